"""A run continues as a new one whatever it waits for, while events come without a pause, and nothing is lost.

On a real server that suggests it early: at some hundred events of the history, where others do at four thousand.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import timedelta

import pytest
import pytest_asyncio
from temporalio.common import WorkflowIDReusePolicy
from temporalio.testing import WorkflowEnvironment

from schemas.event_types import INBOUND
from schemas.inbound import InboundEvent
from schemas.states import OrderState, OrderStep
from schemas.workflow_io import OrderWorkflowInput
from tests.helpers.system.waiting import patient_timeout
from tests.workflow.workbench.bench import ADDRESS, APPROVED, CANCELLED, CREATED, OPEN_STEPS, Bench, running
from tests.workflow.workbench.early_server import early_server
from workflows.names import ORDER_WORKFLOW, order_workflow_id

SUGGESTED_AT_EVENTS = 200
CONTINUED_TIMES, SENT_MAX, ASKED_EVERY = 2, 3_000, 10
CALM_SECONDS = 0.01
"""Between two events while nothing can be published. A run carries about 2,500 undecided events over, which a fast
machine would send within the seconds that two runs wait for what they have decided to be published."""
PATIENCE_SECONDS = 60.0
"""On a busy machine."""

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def server(say: Callable[[str], None]) -> AsyncIterator[WorkflowEnvironment]:
    async with early_server(SUGGESTED_AT_EVENTS, say) as environment:
        yield environment


@pytest_asyncio.fixture(loop_scope="session")
async def bench(server: WorkflowEnvironment) -> AsyncIterator[Bench]:
    async with running(Bench(server)) as bench:
        bench.new_policy(approval_timeout=timedelta(hours=1), early_event_time_to_live=timedelta(hours=1))
        yield bench
    bench.check()


async def continues_while_it_is_told_without_a_pause(
    bench: Bench, order_id: str, senders: int = 4, pause_seconds: float = 0.0
) -> int:
    """Sends changes of the address until the run has continued as another so many times; returns how many."""
    runs: set[str] = set()
    numbers = iter(range(SENT_MAX))
    sent, is_enough = 0, False

    async def has_continued() -> bool:
        description = await bench.client.get_workflow_handle(order_workflow_id(order_id)).describe()
        runs.add(description.run_id)
        return len(runs) > CONTINUED_TIMES

    async def send() -> None:
        nonlocal sent, is_enough
        while not is_enough:
            number = next(numbers)
            await bench.send(order_id, ADDRESS, f"update-{number}", address={"street": str(number)})
            sent += 1
            if number % ASKED_EVERY == 0:
                is_enough = await has_continued()
            await asyncio.sleep(pause_seconds)

    await has_continued()
    await asyncio.gather(*(send() for _ in range(senders)))
    return sent


@pytest.mark.parametrize("step", OPEN_STEPS)
async def test_at_each_step_while_what_it_waits_for_is_away(bench: Bench, order_id: str, step: OrderStep) -> None:
    go_on = await bench.brought_to(order_id, step)
    await continues_while_it_is_told_without_a_pause(bench, order_id)
    assert (await bench.status(order_id)).step is step

    go_on()
    if step is OrderStep.AWAITING_ORDER:
        await bench.send(order_id, CREATED)
    elif step in (OrderStep.RECEIVING, OrderStep.VALIDATING, OrderStep.AWAITING_MANUAL_APPROVAL):
        await bench.send(order_id, APPROVED)

    async with patient_timeout(PATIENCE_SECONDS):
        result = await bench.result(order_id)
    refunded = step is OrderStep.REFUNDING_PAYMENT
    assert result.state is (OrderState.REFUNDED if refunded else OrderState.COMPLETED)
    assert bench.story(order_id).count("RECEIVED") == 1


async def test_while_nothing_can_be_recorded(bench: Bench, order_id: str) -> None:
    """What was decided is carried over, and recorded once, under the numbers that it has."""
    await bench.brought_to(order_id, OrderStep.AWAITING_MANUAL_APPROVAL)
    await bench.publishes(order_id, 2)
    held = bench.store.hold("record")
    sent = await continues_while_it_is_told_without_a_pause(bench, order_id, senders=1, pause_seconds=CALM_SECONDS)
    held.set()
    await bench.send(order_id, APPROVED)
    async with patient_timeout(PATIENCE_SECONDS):
        assert (await bench.result(order_id)).state is OrderState.COMPLETED
    assert bench.story(order_id).count("address") == sent


async def test_before_anything_is_known_of_the_order(bench: Bench, order_id: str) -> None:
    held = bench.store.hold("look_up")
    await bench.send(order_id, CREATED)
    sent = await continues_while_it_is_told_without_a_pause(bench, order_id)
    held.set()
    await bench.send(order_id, APPROVED)
    async with patient_timeout(PATIENCE_SECONDS):
        assert (await bench.result(order_id)).state is OrderState.COMPLETED
    story = bench.story(order_id)
    assert story.count("address") == sent


async def test_at_the_end_while_it_cannot_be_published(bench: Bench, order_id: str) -> None:
    await bench.brought_to(order_id, OrderStep.AWAITING_MANUAL_APPROVAL)
    await bench.publishes(order_id, 2)
    held = bench.store.hold("record")
    await bench.send(order_id, CANCELLED)
    sent = await continues_while_it_is_told_without_a_pause(bench, order_id, senders=1, pause_seconds=CALM_SECONDS)
    held.set()
    async with patient_timeout(PATIENCE_SECONDS):
        assert (await bench.result(order_id)).state is OrderState.CANCELLED
    assert bench.story(order_id) == ["RECEIVED", "VALIDATED", "CANCELLED", *["order_closed"] * sent]


async def test_in_a_run_after_the_order_s_life_while_nothing_can_be_answered(bench: Bench, order_id: str) -> None:
    await bench.brought_to(order_id, OrderStep.AWAITING_MANUAL_APPROVAL)
    await bench.send(order_id, CANCELLED)
    await bench.result(order_id)
    held = bench.store.hold("answer_late")
    # As where Temporal has forgotten the run.
    await bench.client.start_workflow(
        ORDER_WORKFLOW,
        OrderWorkflowInput(order_id=order_id, policy=bench.policy, shipping_task_queue=bench.shipping_queue),
        id=order_workflow_id(order_id),
        task_queue=bench.order_queue,
        id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
        start_signal=INBOUND[APPROVED].signal,
        start_signal_args=[InboundEvent(event_id="late", type=APPROVED.value, body={"order_id": order_id})],
    )
    sent = await continues_while_it_is_told_without_a_pause(bench, order_id, senders=1, pause_seconds=CALM_SECONDS)
    held.set()
    async with patient_timeout(PATIENCE_SECONDS):
        assert (await bench.result(order_id)).state is OrderState.CANCELLED
    assert bench.story(order_id).count("order_closed") == sent + 1
