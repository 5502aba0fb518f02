"""An event and a deadline that the workflow learns of in the same moment: the event counts."""

from datetime import timedelta

import pytest
from temporalio.testing import WorkflowEnvironment

from schemas.event_types import EventType
from schemas.states import OrderState, OrderStep
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
    await bench.env.sleep(bench.policy.approval_timeout)
    await bench.send(order_id, event_type)
    async with running(bench):
        assert (await bench.result(order_id)).state is end
    bench.check()
