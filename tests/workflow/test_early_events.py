"""Events that come before their order, and orders that never come."""

from datetime import timedelta

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ApplicationError

from schemas.event_types import EventType
from schemas.states import OrderState, OrderStep
from tests.workflow.workbench.bench import ADDRESS, APPROVED, CANCELLED, CREATED, Bench
from workflows.order import ORPHANED_EVENTS


async def test_an_early_approval_counts_when_approval_is_awaited(bench: Bench, order_id: str) -> None:
    approved = await bench.send(order_id, APPROVED)
    status = await bench.reaches(order_id, OrderStep.AWAITING_ORDER)
    assert status.held_events == 1
    await bench.send(order_id, CREATED)
    assert (await bench.result(order_id)).state is OrderState.COMPLETED
    assert bench.story(order_id)[:4] == ["RECEIVED", "VALIDATED", "APPROVED", "PAID"]
    assert bench.outcome(order_id, approved) == "applied"


async def test_an_early_cancel_cancels_the_order_as_soon_as_it_is_received(bench: Bench, order_id: str) -> None:
    approved = await bench.send(order_id, APPROVED)
    await bench.send(order_id, CANCELLED)
    await bench.send(order_id, CREATED)
    assert (await bench.result(order_id)).state is OrderState.CANCELLED
    assert bench.story(order_id) == ["RECEIVED", "CANCELLED", "order_closed"]
    assert bench.outcome(order_id, approved) == "order_closed"


async def test_early_addresses_are_merged_in_order_before_the_order_is_validated(bench: Bench, order_id: str) -> None:
    await bench.send(order_id, ADDRESS, address={"street": "A", "city": "Oslo"})
    await bench.send(order_id, ADDRESS, address={"street": "B"})
    await bench.send(order_id, CREATED, shipping_address={"country": "NO", "city": "Rome"})
    await bench.send(order_id, APPROVED)
    result = await bench.result(order_id)
    assert bench.story(order_id)[:4] == ["RECEIVED", "address", "address", "VALIDATED"]
    assert result.address is not None
    assert result.address.model_dump(exclude_none=True) == {"street": "B", "city": "Oslo", "country": "NO"}


async def test_the_same_early_event_twice_is_applied_once(bench: Bench, order_id: str) -> None:
    for _ in range(2):
        await bench.send(order_id, ADDRESS, "address")
        await bench.send(order_id, APPROVED, "approved")
    await bench.send(order_id, CREATED)
    await bench.result(order_id)
    assert bench.story(order_id)[:5] == ["RECEIVED", "address", "VALIDATED", "APPROVED", "PAID"]


async def test_the_first_of_two_early_approvals_is_the_one_that_counts(bench: Bench, order_id: str) -> None:
    first, second = [await bench.send(order_id, APPROVED) for _ in range(2)]
    await bench.send(order_id, CREATED)
    await bench.result(order_id)
    assert [bench.outcome(order_id, event_id) for event_id in (first, second)] == ["applied", "already_approved"]


async def test_of_two_orders_under_one_id_the_first_is_taken(bench: Bench, order_id: str) -> None:
    first = await bench.send(order_id, CREATED, payment_id="pay-first")
    second = await bench.send(order_id, CREATED, payment_id="pay-second")
    await bench.send(order_id, APPROVED)
    await bench.result(order_id)
    assert [bench.outcome(order_id, event_id) for event_id in (first, second)] == ["applied", "duplicate_order"]
    assert bench.gateway.ledger == {("charge", "pay-first"): 1}
    assert bench.story(order_id)[0] == "RECEIVED"


async def test_events_whose_order_never_comes_are_refused_and_the_run_fails(bench: Bench, order_id: str) -> None:
    bench.new_policy(early_event_time_to_live=timedelta(hours=3))
    orphans = [await bench.send(order_id, event_type) for event_type in (APPROVED, ADDRESS, CANCELLED)]
    await bench.send(order_id, APPROVED, orphans[0])
    with pytest.raises(WorkflowFailureError) as failure:
        await bench.result(order_id)
    assert isinstance(failure.value.cause, ApplicationError)
    assert (failure.value.cause.type, failure.value.cause.non_retryable) == (ORPHANED_EVENTS, True)
    assert bench.story(order_id) == ["unknown_order"] * 3
    assert [bench.outcome(order_id, event_id) for event_id in orphans] == ["unknown_order"] * 3


async def test_a_later_order_starts_after_its_orphans_were_refused(bench: Bench, order_id: str) -> None:
    orphan = await bench.send(order_id, APPROVED)
    with pytest.raises(WorkflowFailureError):
        await bench.result(order_id)
    await bench.send(order_id, CREATED)
    await bench.send(order_id, APPROVED, orphan)
    await bench.send(order_id, APPROVED, "another")
    result = await bench.result(order_id)
    assert result.state is OrderState.COMPLETED
    assert bench.story(order_id)[:4] == ["unknown_order", "RECEIVED", "VALIDATED", "APPROVED"]
    assert bench.outcome(order_id, orphan) == "unknown_order", "what was refused stays refused"
    assert result.last_sequence == 9


async def test_an_order_that_comes_while_its_orphans_are_refused_is_taken_on(bench: Bench, order_id: str) -> None:
    await bench.send(order_id, CANCELLED)
    await bench.reaches(order_id, OrderStep.AWAITING_ORDER)
    gate = bench.publisher.hold("publish")
    await bench.skip(bench.policy.early_event_time_to_live)
    await bench.reaches(order_id, OrderStep.ORPHANED)
    refused = await bench.send(order_id, ADDRESS)
    await bench.send(order_id, CREATED)
    await bench.send(order_id, APPROVED)
    gate.set()
    assert (await bench.result(order_id)).state is OrderState.COMPLETED
    assert bench.story(order_id)[:4] == ["unknown_order", "unknown_order", "RECEIVED", "VALIDATED"]
    assert bench.outcome(order_id, refused) == "unknown_order"


async def test_an_invalid_event_is_refused_before_the_order_is_known(bench: Bench, order_id: str) -> None:
    invalid = await bench.send(order_id, CREATED, payment_id="")
    await bench.publishes(order_id, 1)
    await bench.send(order_id, CREATED)
    await bench.send(order_id, APPROVED)
    await bench.result(order_id)
    assert bench.story(order_id)[:2] == ["invalid", "RECEIVED"]
    assert bench.outcome(order_id, invalid) == "invalid"


@pytest.mark.parametrize("event_type", list(EventType))
async def test_whichever_event_comes_first_starts_the_run(bench: Bench, order_id: str, event_type: EventType) -> None:
    await bench.send(order_id, event_type)
    status = await bench.status(order_id)
    assert status.order_id == order_id
    assert status.waits_for
    await bench.send(order_id, CREATED)
    await bench.send(order_id, APPROVED)
    await bench.result(order_id)
