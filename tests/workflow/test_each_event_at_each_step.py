"""Each event at each step, sent to the real workflow: what DESIGN's windows promise, written out a second time."""

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

import pytest
from temporalio.exceptions import WorkflowAlreadyStartedError

from schemas.base import parse_rfc_3339
from schemas.event_types import EventType
from schemas.states import OrderStep
from tests.helpers.fakes import Unreliable
from tests.helpers.system.waiting import assert_eventually
from tests.workflow.workbench.bench import ADDRESS, APPROVED, BEFORE_APPROVAL, CANCELLED, CREATED, Bench

APPLIED = "applied"
OUTCOMES: dict[OrderStep, dict[EventType, str]] = {
    OrderStep.AWAITING_ORDER: {
        # `already_approved`: the order is held at this step by an approval that came first.
        CREATED: APPLIED, APPROVED: "already_approved", CANCELLED: APPLIED, ADDRESS: APPLIED,
    },
    OrderStep.RECEIVING: {CREATED: "duplicate_order", APPROVED: APPLIED, CANCELLED: APPLIED, ADDRESS: APPLIED},
    OrderStep.VALIDATING: {CREATED: "duplicate_order", APPROVED: APPLIED, CANCELLED: APPLIED, ADDRESS: APPLIED},
    OrderStep.AWAITING_MANUAL_APPROVAL: {
        CREATED: "duplicate_order", APPROVED: APPLIED, CANCELLED: APPLIED, ADDRESS: APPLIED,
    },
    OrderStep.CHARGING_PAYMENT: {
        CREATED: "duplicate_order", APPROVED: "already_approved", CANCELLED: "already_charged", ADDRESS: APPLIED,
    },
    OrderStep.SHIPPING: {
        CREATED: "duplicate_order", APPROVED: "already_approved", CANCELLED: "already_charged",
        ADDRESS: "already_shipping",
    },
    OrderStep.REFUNDING_PAYMENT: {
        CREATED: "duplicate_order", APPROVED: "already_approved", CANCELLED: "already_charged",
        ADDRESS: "already_shipping",
    },
    OrderStep.MARKING_SHIPPED: {
        CREATED: "duplicate_order", APPROVED: "already_approved", CANCELLED: "already_charged",
        ADDRESS: "already_shipping",
    },
}  # fmt: skip
CASES = [(step, event_type) for step in OUTCOMES for event_type in EventType]


@pytest.mark.parametrize(("step", "event_type"), CASES)
async def test_an_event_at_a_step_has_its_outcome(
    bench: Bench, order_id: str, step: OrderStep, event_type: EventType
) -> None:
    go_on = await bench.brought_to(order_id, step)
    event_id = await bench.send(order_id, event_type, "the-event")
    if step is OrderStep.AWAITING_ORDER and event_type is not CREATED:
        await bench.send(order_id, CREATED)
    go_on()
    if step in BEFORE_APPROVAL and event_type not in (APPROVED, CANCELLED):
        await bench.send(order_id, APPROVED)
    await bench.result(order_id)
    assert bench.outcome(order_id, event_id) == OUTCOMES[step][event_type]


@pytest.mark.parametrize(("step", "event_type"), CASES)
async def test_an_event_that_comes_three_times_counts_once(
    bench: Bench, order_id: str, step: OrderStep, event_type: EventType
) -> None:
    go_on = await bench.brought_to(order_id, step)
    for _ in range(3):
        await bench.send(order_id, event_type, "the-event")
    if step is OrderStep.AWAITING_ORDER and event_type is not CREATED:
        await bench.send(order_id, CREATED)
    go_on()
    if step in BEFORE_APPROVAL and event_type not in (APPROVED, CANCELLED):
        await bench.send(order_id, APPROVED)
    with suppress(WorkflowAlreadyStartedError):  # The order may be over by now.
        await bench.send(order_id, event_type, "the-event")
    await bench.result(order_id)
    caused = [event for event in bench.events(order_id) if event.cause and event.cause.event_id == "the-event"]
    assert len(caused) == 1


ENDS: list[tuple[OrderStep, dict[str, object], Callable[[Bench], tuple[Unreliable, str]]]] = [
    (OrderStep.REJECTED, {"amount": 10**9}, lambda bench: (bench.store, "look_up")),
    (OrderStep.CANCELLED, {}, lambda bench: (bench.store, "record")),
    (OrderStep.PAYMENT_DECLINED, {"payment_id": "decline-1"}, lambda bench: (bench.gateway, "charge")),
    (
        OrderStep.REFUNDED,
        {"shipping_address": {"zip_code": "FAIL0"}},
        lambda bench: (bench.gateway, "refund"),
    ),
    (OrderStep.COMPLETED, {}, lambda bench: (bench.carrier, "dispatch")),
]
"""With what comes last before the end."""


@pytest.mark.parametrize(("step", "body", "last"), ENDS, ids=[end[0] for end in ENDS])
async def test_every_event_that_comes_while_the_end_is_published_is_refused_as_closed(
    bench: Bench,
    order_id: str,
    step: OrderStep,
    body: dict[str, object],
    last: Callable[[Bench], tuple[Unreliable, str]],
) -> None:
    """I9: the run is over but for its last words, and still answers."""
    bench.new_policy(shipping_attempts=1, activity_start_to_close=timedelta(minutes=1))
    port, method = last(bench)
    if step is OrderStep.CANCELLED:
        # What it begins with is a record as well.
        await bench.send(order_id, CREATED, "created", **body)
        await bench.publishes(order_id, 2)
        port.reached[method].clear()
    last_gate = port.hold(method)
    if step is not OrderStep.CANCELLED:
        await bench.send(order_id, CREATED, "created", **body)
    await bench.send(order_id, CANCELLED if step is OrderStep.CANCELLED else APPROVED)
    await assert_eventually(port.reached[method].is_set)
    gate = bench.publisher.hold("publish")
    last_gate.set()
    await bench.reaches(order_id, step)
    late = [await bench.send(order_id, event_type) for event_type in EventType]
    await bench.send(order_id, CREATED, "created")
    gate.set()
    result = await bench.result(order_id)
    assert OrderStep(result.state) is step
    assert [bench.outcome(order_id, event_id) for event_id in late] == ["order_closed"] * 4
    assert bench.story(order_id)[-4:] == ["order_closed"] * 4


async def test_every_event_after_the_deadline_is_refused_as_closed(bench: Bench, order_id: str) -> None:
    await bench.send(order_id, CREATED)
    await bench.reaches(order_id, OrderStep.AWAITING_MANUAL_APPROVAL)
    await bench.publishes(order_id, 2)
    gate = bench.publisher.hold("publish")
    await bench.skip(bench.policy.approval_timeout)
    await bench.reaches(order_id, OrderStep.EXPIRED)
    late = [await bench.send(order_id, event_type) for event_type in EventType]
    gate.set()
    await bench.result(order_id)
    assert [bench.outcome(order_id, event_id) for event_id in late] == ["order_closed"] * 4


async def test_a_cancel_right_behind_the_approval_comes_too_late_or_in_time_but_never_both(
    bench: Bench, order_id: str
) -> None:
    await bench.send(order_id, CREATED)
    await bench.reaches(order_id, OrderStep.AWAITING_MANUAL_APPROVAL)
    approved = await bench.send(order_id, APPROVED)
    cancelled = await bench.send(order_id, CANCELLED)
    result = await bench.result(order_id)
    assert bench.outcome(order_id, approved) == APPLIED
    if bench.outcome(order_id, cancelled) == APPLIED:
        assert result.state == "CANCELLED"
        assert not bench.gateway.ledger
    else:
        assert result.state == "COMPLETED"


@pytest.mark.parametrize("ahead", [timedelta(hours=1), timedelta(days=365 * 7_000)], ids=["an hour", "the year 9026"])
@pytest.mark.parametrize("step", [OrderStep.AWAITING_ORDER, OrderStep.AWAITING_MANUAL_APPROVAL], ids=str)
async def test_a_clock_that_is_ahead_makes_no_later_address_stale(
    bench: Bench, order_id: str, ahead: timedelta, step: OrderStep
) -> None:
    """Also where both wait for their order: an event's time is never later than its own arrival."""
    if step is OrderStep.AWAITING_MANUAL_APPROVAL:
        await bench.send(order_id, CREATED)
        await bench.reaches(order_id, step)
    now = await bench.env.get_current_time()
    await bench.send(order_id, ADDRESS, "ahead", address={"city": "Rome"}, at=now + ahead)
    await bench.reaches(order_id, step)
    await bench.skip(timedelta(seconds=2))
    right = await bench.env.get_current_time()
    await bench.send(order_id, ADDRESS, "right", address={"city": "Oslo"}, at=right)
    await bench.reaches(order_id, step)
    if step is OrderStep.AWAITING_ORDER:
        await bench.send(order_id, CREATED)
    await bench.send(order_id, APPROVED)
    result = await bench.result(order_id)
    assert result.address is not None
    assert result.address.city == "Oslo"
    assert [bench.outcome(order_id, event_id) for event_id in ("ahead", "right")] == [APPLIED, APPLIED]


async def test_an_address_older_than_the_last_one_is_stale(bench: Bench, order_id: str) -> None:
    go_on = await bench.brought_to(order_id, OrderStep.CHARGING_PAYMENT)
    moments = ["2026-01-01T12:00:00Z", "2026-01-01T13:00:00+01:00", "2026-01-01T11:59:59Z", "2026-01-01T12:00:01Z"]
    sent = [
        await bench.send(order_id, ADDRESS, address={"street": str(number)}, at=parse_rfc_3339(moment))
        for number, moment in enumerate(moments)
    ]
    go_on()
    result = await bench.result(order_id)
    assert [bench.outcome(order_id, event_id) for event_id in sent] == [APPLIED, APPLIED, "stale", APPLIED]
    assert result.address is not None
    assert result.address.street == "3"


async def test_invalid_events_are_refused_at_every_step(bench: Bench, order_id: str) -> None:
    go_on = await bench.brought_to(order_id, OrderStep.CHARGING_PAYMENT)
    invalid = [
        await bench.send(order_id, ADDRESS, address={}),
        await bench.send(order_id, CANCELLED, order_id="another-order"),
        await bench.send(order_id, CREATED, payment_id=7),
        await bench.send(order_id, APPROVED, note="\x00"),
    ]
    await assert_eventually(lambda: len(bench.store.outcomes_of(order_id)) == 2 + len(invalid))
    go_on()
    await bench.result(order_id)
    assert [bench.outcome(order_id, event_id) for event_id in invalid] == ["invalid"] * 4
