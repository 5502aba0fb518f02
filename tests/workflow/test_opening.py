"""A new order is found, checked and kept by one call, however long that takes, and whatever comes meanwhile."""

from datetime import timedelta

import pytest

from schemas.event_types import EventType
from schemas.outbound import OrderStateChanged
from schemas.states import OrderState, OrderStep
from tests.helpers.system.waiting import assert_eventually
from tests.workflow.test_order_life import STRAIGHT_ROAD
from tests.workflow.workbench.bench import ADDRESS, APPROVED, CANCELLED, CREATED, Bench


def deadline_of(bench: Bench, order_id: str) -> timedelta:
    """How long the order was given for its approval, by what is published."""
    (validated,) = (
        event
        for event in bench.events(order_id)
        if isinstance(event, OrderStateChanged) and event.state is OrderState.VALIDATED
    )
    assert validated.approval_deadline is not None
    return validated.approval_deadline - validated.occurred_at


async def test_a_new_order_takes_one_call_to_be_received_and_validated(bench: Bench, order_id: str) -> None:
    await bench.send(order_id, CREATED)
    await bench.reaches(order_id, OrderStep.AWAITING_MANUAL_APPROVAL)
    assert bench.story(order_id) == ["RECEIVED", "VALIDATED"]
    assert (bench.store.calls["record"], bench.store.calls["look_up"]) == (1, 0)
    await bench.send(order_id, CANCELLED)
    await bench.result(order_id)


@pytest.mark.parametrize(
    ("last", "story"),
    [
        (APPROVED, ["RECEIVED", "VALIDATED", "address", *STRAIGHT_ROAD[2:]]),
        (CANCELLED, ["RECEIVED", "VALIDATED", "address", "CANCELLED"]),
    ],
)
async def test_what_comes_while_it_is_kept_is_in_time_and_decided_in_its_order(
    bench: Bench, order_id: str, last: EventType, story: list[str]
) -> None:
    bench.new_policy(activity_start_to_close=timedelta(minutes=1))
    gate = bench.store.hold("record")
    await bench.send(order_id, CREATED)
    await assert_eventually(bench.store.reached["record"].is_set)
    moved = await bench.send(order_id, ADDRESS, address={"street": "New St 2"})
    decided = await bench.send(order_id, last)
    again = await bench.send(order_id, CREATED)

    async def has_all() -> bool:
        return (await bench.status(order_id)).held_events == 4

    await assert_eventually(has_all)
    status = await bench.status(order_id)
    assert status.waits_for == "the database to keep the order, or to say what it knows of it"
    assert status.waits_until is None
    gate.set()
    await bench.result(order_id)
    refusal = "order_closed" if last is CANCELLED else "duplicate_order"
    assert [one for one in bench.story(order_id) if one != refusal] == story
    assert [bench.outcome(order_id, one) for one in (moved, decided, again)] == ["applied", "applied", refusal]


async def test_the_time_for_approval_begins_when_the_order_is_kept(bench: Bench, order_id: str) -> None:
    """An outage of the database that is longer than that time."""
    bench.new_policy(approval_timeout=timedelta(seconds=30))
    bench.store.fail_next(12, "record")
    begun_at = await bench.env.get_current_time()
    await bench.send(order_id, CREATED)
    result = await bench.result(order_id)
    assert (result.state, bench.story(order_id)) == (OrderState.EXPIRED, ["RECEIVED", "VALIDATED", "EXPIRED"])
    received, _, expired = bench.events(order_id)
    assert received.occurred_at - begun_at > timedelta(seconds=60)
    assert deadline_of(bench, order_id) == timedelta(seconds=30)
    assert timedelta(seconds=30) <= expired.occurred_at - received.occurred_at < timedelta(seconds=60)


async def test_an_order_that_is_kept_and_not_published_is_published_once_kafka_is_back(
    bench: Bench, order_id: str
) -> None:
    bench.publisher.fail_next(9, "publish")
    await bench.send(order_id, CREATED)
    await bench.send(order_id, APPROVED)
    assert (await bench.result(order_id)).state is OrderState.COMPLETED
    assert bench.story(order_id) == STRAIGHT_ROAD
    assert bench.gateway.ledger == {("charge", f"pay-{order_id}"): 1}
    assert deadline_of(bench, order_id) == bench.policy.approval_timeout


async def test_an_order_whose_keeping_was_not_answered_is_found_and_not_kept_twice(bench: Bench, order_id: str) -> None:
    bench.store.lose_next_answers(1, "record")
    await bench.send(order_id, CREATED)
    await bench.send(order_id, APPROVED)
    assert (await bench.result(order_id)).state is OrderState.COMPLETED
    assert bench.story(order_id) == STRAIGHT_ROAD
    assert bench.store.calls["look_up"] == 1


async def test_an_order_that_the_rules_refuse_is_refused_by_one_record(bench: Bench, order_id: str) -> None:
    await bench.send(order_id, CREATED, amount=10**9)
    assert (await bench.result(order_id)).state is OrderState.REJECTED
    assert bench.story(order_id) == ["RECEIVED", "REJECTED"]
    assert bench.store.calls["record"] == 1
