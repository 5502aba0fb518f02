"""Decisions of people: who made them, on what they had seen of the order, and until when they were awaited."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from schemas.event_types import EventType
from schemas.outbound import OrderStateChanged
from schemas.states import OrderState, OrderStep
from schemas.workflow_io import EventStatus
from tests.helpers.system.waiting import assert_eventually
from tests.workflow.workbench import time_skipping
from tests.workflow.workbench.bench import ADDRESS, APPROVED, CANCELLED, CREATED, Bench, running
from workflows.names import order_workflow_id


def validated(bench: Bench, order_id: str) -> OrderStateChanged:
    (event,) = [
        one
        for one in bench.events(order_id)
        if isinstance(one, OrderStateChanged) and one.state is OrderState.VALIDATED
    ]
    return event


@pytest_asyncio.fixture(loop_scope="session")
async def own_bench(time_skipping_server: Path) -> AsyncIterator[Bench]:
    """On a server of its own: where a run is terminated in a wrong moment, the server skips no time any more."""
    async with await time_skipping.start(time_skipping_server) as environment:
        async with running(Bench(environment)) as bench:
            yield bench
        bench.check()


async def terminated(bench: Bench, order_id: str) -> None:
    """Ends the order's run, once it has nothing under way but its wait."""
    handle = bench.client.get_workflow_handle(order_workflow_id(order_id))

    async def rests() -> bool:
        description = await handle.describe()
        return not description.raw_description.pending_activities

    for _ in range(2):
        await assert_eventually(rests)
        await bench.status(order_id)  # Answered once all that came before is handled.
    await handle.terminate("the test ends this run")


async def awaits_approval(bench: Bench, order_id: str) -> None:
    await bench.send(order_id, CREATED, "created")
    await bench.reaches(order_id, OrderStep.AWAITING_MANUAL_APPROVAL)
    await bench.publishes(order_id, 2)


@pytest.mark.parametrize("event_type", [APPROVED, CANCELLED, ADDRESS])
async def test_a_decision_on_an_order_that_has_changed_is_refused_and_one_on_the_order_as_it_is_counts(
    bench: Bench, order_id: str, event_type: EventType
) -> None:
    await awaits_approval(bench, order_id)
    await bench.send(order_id, ADDRESS, "moved", address={"city": "Porto"})
    stale = await bench.send(order_id, event_type, "on the order as it was", expected_sequence=2)
    right = await bench.send(order_id, event_type, "on the order as it is", expected_sequence=4)
    if event_type is ADDRESS:
        await bench.send(order_id, CANCELLED)
    await bench.result(order_id)
    assert bench.outcome(order_id, stale) == "order_changed"
    assert bench.outcome(order_id, right) == "applied"
    assert bench.story(order_id)[2:4] == ["address", "order_changed"]


async def test_an_early_decision_is_judged_when_its_turn_comes(bench: Bench, order_id: str) -> None:
    """RECEIVED is 1, the refusal of the cancel 2, and VALIDATED 3."""
    right = await bench.send(order_id, APPROVED, "right", expected_sequence=3)
    wrong = await bench.send(order_id, CANCELLED, "wrong", expected_sequence=0)
    bench.validation.clear()
    await bench.send(order_id, CREATED)
    await bench.reaches(order_id, OrderStep.RECEIVING)
    bench.validation.set()
    await bench.result(order_id)
    assert bench.outcome(order_id, wrong) == "order_changed"
    assert bench.outcome(order_id, right) == "applied"
    assert bench.story(order_id)[:4] == ["RECEIVED", "order_changed", "VALIDATED", "APPROVED"]


async def test_what_forbids_a_decision_anyhow_is_told_before_that_the_order_has_changed(
    bench: Bench, order_id: str
) -> None:
    go_on = await bench.brought_to(order_id, OrderStep.CHARGING_PAYMENT)
    cancelled = await bench.send(order_id, CANCELLED, expected_sequence=2)
    approved = await bench.send(order_id, APPROVED, expected_sequence=2)
    go_on()
    await bench.result(order_id)
    assert bench.outcome(order_id, cancelled) == "already_charged"
    assert bench.outcome(order_id, approved) == "already_approved"


async def test_who_decided_is_published_and_kept(bench: Bench, order_id: str) -> None:
    await awaits_approval(bench, order_id)
    await bench.send(order_id, APPROVED, approved_by="ada", note="as agreed")
    await bench.result(order_id)
    causes = [event.cause for event in bench.events(order_id) if event.cause]
    assert [(cause.type, cause.by, cause.note) for cause in causes] == [
        (CREATED, None, None),
        (APPROVED, "ada", "as agreed"),
    ]
    snapshot = await bench.store.look_up(order_id)
    assert snapshot.decided_by == "ada"


async def test_a_cancel_in_temporal_says_that_an_operator_made_it(bench: Bench, order_id: str) -> None:
    await awaits_approval(bench, order_id)
    await bench.handle(order_id).cancel()
    await bench.result(order_id)
    cause = bench.events(order_id)[-1].cause
    assert cause is not None
    assert cause.by == "an operator, in Temporal"


async def test_the_deadline_that_is_published_is_the_one_that_ends_the_order(bench: Bench, order_id: str) -> None:
    bench.new_policy(approval_timeout=timedelta(hours=2))
    await awaits_approval(bench, order_id)
    deadline = validated(bench, order_id).approval_deadline
    assert deadline == validated(bench, order_id).occurred_at + timedelta(hours=2)
    status = await bench.status(order_id)
    snapshot = await bench.store.look_up(order_id)
    assert status.waits_until == snapshot.approval_deadline == deadline
    await bench.result(order_id)
    expired = bench.events(order_id)[-1]
    assert expired.state is OrderState.EXPIRED
    assert deadline <= expired.occurred_at < deadline + timedelta(minutes=1)


async def test_a_run_that_recovers_an_order_awaits_approval_until_the_published_deadline(
    own_bench: Bench, order_id: str
) -> None:
    bench = own_bench
    bench.new_policy(approval_timeout=timedelta(hours=2))
    await awaits_approval(bench, order_id)
    deadline = validated(bench, order_id).approval_deadline
    await terminated(bench, order_id)
    await bench.skip(timedelta(hours=1))
    await bench.send(order_id, CREATED, "created")
    assert (await bench.reaches(order_id, OrderStep.AWAITING_MANUAL_APPROVAL)).waits_until == deadline
    await bench.result(order_id)
    expired = bench.events(order_id)[-1]
    assert deadline is not None
    assert deadline <= expired.occurred_at < deadline + timedelta(minutes=1)
    assert bench.story(order_id) == ["RECEIVED", "VALIDATED", "EXPIRED"]


@pytest.mark.parametrize(
    ("event_type", "end"), [(APPROVED, OrderState.COMPLETED), (ADDRESS, OrderState.EXPIRED)], ids=str
)
async def test_what_brings_an_order_back_after_its_time_still_counts(
    own_bench: Bench, order_id: str, event_type: EventType, end: OrderState
) -> None:
    bench = own_bench
    await awaits_approval(bench, order_id)
    await terminated(bench, order_id)
    await bench.skip(bench.policy.approval_timeout + timedelta(hours=1))
    came_back = await bench.send(order_id, event_type)
    assert (await bench.result(order_id)).state is end
    assert bench.outcome(order_id, came_back) == "applied"


async def test_an_event_that_is_held_is_told_with_what_it_waits_for(bench: Bench, order_id: str) -> None:
    await bench.send(order_id, APPROVED, "early")
    await bench.reaches(order_id, OrderStep.AWAITING_ORDER)

    async def held() -> EventStatus | None:
        status = await bench.event_status(order_id, APPROVED, "early")
        return status if status.held else None

    status = await assert_eventually(held, message="the approval is held")
    assert status is not None
    assert status.waits_for is not None
    assert status.waits_for.startswith("order.created")
    assert status.waits_until == (await bench.status(order_id)).waits_until
    assert not (await bench.event_status(order_id, CANCELLED, "early")).held
    assert not (await bench.event_status(order_id, APPROVED, "unknown")).held
    await bench.send(order_id, CREATED)
    await bench.result(order_id)
    assert not (await bench.event_status(order_id, APPROVED, "early")).held
