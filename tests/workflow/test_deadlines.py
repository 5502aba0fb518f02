"""At a deadline: an event in the same moment counts, and so does one that was in Kafka by then."""

import re
from datetime import timedelta

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.testing import WorkflowEnvironment

from schemas.event_types import EventType
from schemas.states import OrderState, OrderStep, ReasonCode
from tests.helpers.system.waiting import assert_eventually
from tests.workflow.workbench.bench import APPROVED, CANCELLED, CREATED, Bench, running


@pytest.mark.parametrize(
    ("event_type", "end"), [(APPROVED, OrderState.COMPLETED), (CANCELLED, OrderState.CANCELLED)], ids=str
)
async def test_an_event_in_the_moment_of_the_deadline_counts(
    skipping_server: WorkflowEnvironment,
    order_id: str,
    event_type: EventType,
    end: OrderState,
) -> None:
    bench = Bench(skipping_server)
    bench.new_policy(approval_timeout=timedelta(hours=1))
    # Without a cache, as Temporal would go on to offer the run to the worker that has it cached.
    async with running(bench, max_cached_workflows=0):
        await bench.send(order_id, CREATED)
        await bench.reaches(order_id, OrderStep.AWAITING_MANUAL_APPROVAL)
        await bench.publishes(order_id, 2)
    # No worker is there when the two happen, so the next one learns of both at once.
    await bench.skip(bench.policy.approval_timeout)
    await bench.send(order_id, event_type)
    async with running(bench):
        assert (await bench.result(order_id)).state is end
    bench.check()


# What was in Kafka at the deadline ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("event_type", "end"), [(APPROVED, OrderState.COMPLETED), (CANCELLED, OrderState.CANCELLED)], ids=str
)
async def test_an_event_that_was_in_kafka_at_the_deadline_counts_however_late_it_is_handed_over(
    bench: Bench, order_id: str, event_type: EventType, end: OrderState
) -> None:
    """I17."""
    await bench.waits_for_its_backlog(order_id, event_type)
    await bench.skip(timedelta(hours=1))

    await bench.comes_late(order_id, event_type, "in-time")

    assert (await bench.result(order_id)).state is end
    assert bench.outcome(order_id, "in-time") == "applied"


async def test_an_order_that_nobody_approved_expires_once_all_is_handed_over(bench: Bench, order_id: str) -> None:
    await bench.waits_for_its_backlog(order_id, APPROVED)
    assert OrderState.EXPIRED not in bench.states(order_id)

    bench.kafka.hand_over(APPROVED)

    assert (await bench.result(order_id)).state is OrderState.EXPIRED


async def test_an_order_that_came_in_time_is_received_though_it_is_handed_over_late(
    bench: Bench, order_id: str
) -> None:
    await bench.waits_for_its_backlog(order_id, CREATED)

    await bench.comes_late(order_id, CREATED)

    assert (await bench.result(order_id)).state is OrderState.COMPLETED
    assert bench.outcome(order_id, "early") == "applied"


async def test_early_events_are_refused_once_all_is_handed_over_and_no_order_was_among_it(
    bench: Bench, order_id: str
) -> None:
    await bench.waits_for_its_backlog(order_id, CREATED)
    assert bench.story(order_id) == []

    bench.kafka.hand_over(CREATED)

    with pytest.raises(WorkflowFailureError):
        await bench.result(order_id)
    assert bench.story(order_id) == [ReasonCode.UNKNOWN_ORDER]


async def test_what_comes_to_kafka_after_the_deadline_puts_it_off_no_further(bench: Bench, order_id: str) -> None:
    await bench.waits_for_its_backlog(order_id, APPROVED)
    bench.kafka.produce(order_id, APPROVED)

    bench.kafka.hand_over(APPROVED, 0)

    assert (await bench.result(order_id)).state is OrderState.EXPIRED


async def test_the_wait_has_a_longest_time(bench: Bench, order_id: str) -> None:
    bench.new_policy(expiry_wait_max=timedelta(hours=2))
    await bench.waits_for_its_backlog(order_id, APPROVED)

    assert (await bench.result(order_id)).state is OrderState.EXPIRED
    expired = bench.events(order_id)[-1]
    assert expired.occurred_at - bench.events(order_id)[0].occurred_at >= timedelta(hours=2)


async def test_while_kafka_does_not_answer_the_order_waits_and_says_so(bench: Bench, order_id: str) -> None:
    bench.kafka.fail_next(50, "find")
    await bench.send(order_id, CREATED)
    await bench.reaches(order_id, OrderStep.AWAITING_MANUAL_APPROVAL)
    await bench.skip(bench.policy.approval_timeout + timedelta(seconds=1))

    async def waits() -> bool:
        return ((await bench.status(order_id)).waits_for or "").startswith("Kafka to say whether")

    await assert_eventually(waits)
    await bench.send(order_id, APPROVED)

    assert (await bench.result(order_id)).state is OrderState.COMPLETED


async def test_the_status_names_what_is_behind(bench: Bench, order_id: str) -> None:
    await bench.waits_for_its_backlog(order_id, APPROVED)

    waits_for = (await bench.status(order_id)).waits_for or ""

    assert re.fullmatch(
        r"what was in Kafka at the deadline to be handed over \(since \S+Z: 1 record in order\.approved:0\)", waits_for
    )
    # An order that went on asking would hold up the clock of the tests after this one.
    bench.kafka.hand_over(APPROVED)
    assert (await bench.result(order_id)).state is OrderState.EXPIRED


async def test_without_a_bridge_nothing_is_asked_and_nothing_waited_for(bench: Bench, order_id: str) -> None:
    bench.new_policy(expiry_wait_max=None)
    bench.kafka.produce(order_id, APPROVED)
    await bench.send(order_id, CREATED)

    assert (await bench.result(order_id)).state is OrderState.EXPIRED
    assert bench.kafka.calls == {}


async def test_an_order_that_is_approved_in_time_asks_nothing(bench: Bench, order_id: str) -> None:
    await bench.send(order_id, CREATED)
    await bench.send(order_id, APPROVED)

    assert (await bench.result(order_id)).state is OrderState.COMPLETED
    assert bench.kafka.calls == {}
