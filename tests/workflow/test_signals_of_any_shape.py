"""Signals as a person or a broken program sends them: no shape stops the order or passes unanswered."""

from typing import Any

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.common import RawValue

from schemas.inbound import InboundEvent
from schemas.states import OrderState, OrderStep
from tests.helpers.system.waiting import assert_eventually
from tests.workflow.workbench.bench import APPROVED, CANCELLED, CREATED, Bench


def raw(data: bytes, encoding: bytes = b"json/plain") -> RawValue:
    return RawValue(Payload(metadata={"encoding": encoding}, data=data))


APPROVES: dict[str, list[Any]] = {
    "no argument": [],
    "null": [None],
    "an empty object": [{}],
    "a body without an order id": [{"body": {"approved_by": "Ada"}}],
    "an argument too many": [InboundEvent(event_id="e"), "and another"],
    "fields nobody knows": [{"event_id": "e", "unknown": 1}],
    "a time as text": [{"occurred_at": "2026-01-31T12:00:00Z"}],
}
REFUSED: dict[str, list[Any]] = {
    "text": ["approved"],
    "a list": [[1, 2]],
    "a number": [7],
    "a wrong type": [{"event_id": 7}],
    "an event id that is too long": [{"event_id": "x" * 5_000}],
    "the type of another signal": [InboundEvent(event_id="e", type=CANCELLED)],
    "an unknown type": [{"type": "order.exploded"}],
    "another order": [{"body": {"order_id": "another-order"}}],
    "broken JSON": [raw(b'{"event_id": ')],
    "no JSON at all": [raw(b"\x00\xff", b"binary/plain")],
    "an unknown encoding": [raw(b"?", b"text/klingon")],
}


@pytest.mark.parametrize("arguments", APPROVES.values(), ids=list(APPROVES))
async def test_a_signal_by_hand_approves_the_order(bench: Bench, order_id: str, arguments: list[Any]) -> None:
    await bench.send(order_id, CREATED)
    await bench.signal_with_start(order_id, "approve_order", arguments)
    assert (await bench.result(order_id)).state is OrderState.COMPLETED


@pytest.mark.parametrize("arguments", REFUSED.values(), ids=list(REFUSED))
async def test_a_signal_that_cannot_be_read_is_refused_as_invalid(
    bench: Bench, order_id: str, arguments: list[Any]
) -> None:
    await bench.send(order_id, CREATED)
    await bench.reaches(order_id, OrderStep.AWAITING_MANUAL_APPROVAL)
    await bench.signal_with_start(order_id, "approve_order", arguments)
    await assert_eventually(lambda: "invalid" in bench.story(order_id))
    await bench.send(order_id, APPROVED)
    assert (await bench.result(order_id)).state is OrderState.COMPLETED


@pytest.mark.parametrize("signal", ["order_created", "update_address"])
async def test_a_signal_that_needs_a_body_is_refused_without_one(bench: Bench, order_id: str, signal: str) -> None:
    await bench.signal_with_start(order_id, signal, [])
    await bench.publishes(order_id, 1)
    assert bench.story(order_id) == ["invalid"]


@pytest.mark.parametrize(
    ("signal", "argument"),
    [
        ("nobody_knows_this", None),
        ("shipping_milestone", None),
        ("shipping_milestone", "text"),
        ("shipping_milestone", {"state": "COMPLETED", "attempt": 1}),
        ("shipping_milestone", {"state": "CARRIER_DISPATCHED", "attempt": 1}),
    ],
)
async def test_a_signal_that_is_not_for_this_moment_changes_nothing(
    bench: Bench, order_id: str, signal: str, argument: Any
) -> None:
    await bench.send(order_id, CREATED)
    await bench.reaches(order_id, OrderStep.AWAITING_MANUAL_APPROVAL)
    await bench.signal_with_start(order_id, signal, [argument])
    await bench.send(order_id, APPROVED)
    result = await bench.result(order_id)
    assert (result.state, result.last_sequence) == (OrderState.COMPLETED, 8)


async def test_a_signal_by_hand_is_a_new_event_each_time(bench: Bench, order_id: str) -> None:
    go_on = await bench.brought_to(order_id, OrderStep.CHARGING_PAYMENT)
    for street in ("1", "2"):
        await bench.signal_with_start(order_id, "update_address", [{"body": {"address": {"street": street}}}])
    go_on()
    result = await bench.result(order_id)
    assert bench.story(order_id).count("address") == 2
    assert result.address is not None
    assert result.address.street == "2"
