"""A defect of ours stops an order in plain sight and publishes nothing wrong; the order goes on once it is mended.

On the real server, where each failed workflow task stands in the history.
"""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final, cast

import pytest
import pytest_asyncio
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment

from schemas.order import OrderPolicy
from schemas.states import OrderState, OrderStep
from stack.endpoints import Endpoints
from tests.helpers.system.waiting import assert_eventually
from tests.workflow.workbench.bench import APPROVED, CREATED, Bench, running
from workflows.converter import DATA_CONVERTER
from workflows.life.ledger import EFFECTS
from workflows.life.steps import STEPS

pytestmark = pytest.mark.asyncio(loop_scope="session")

PATIENCE_SECONDS: Final = 60.0
"""On a busy machine."""
STEP: Final = OrderStep.AWAITING_MANUAL_APPROVAL
DEFECTS: Final[dict[str, tuple[Any, object, object]]] = {
    f"an order at {STEP} does not come from VALIDATED to APPROVED": (STEPS, STEP, replace(STEPS[STEP], transitions={})),
    "the rules apply order.approved, and no effect is known of it": (EFFECTS, APPROVED, None),
}
"""By what they say: a table, a row of it, and the row as the defect has it."""


@pytest_asyncio.fixture(loop_scope="session")
async def bench(endpoints: Endpoints) -> AsyncIterator[Bench]:
    client = await Client.connect(endpoints.temporal_host, data_converter=DATA_CONVERTER)
    environment = WorkflowEnvironment.from_client(client)
    policy = OrderPolicy(approval_timeout=timedelta(minutes=10))
    async with running(Bench(environment, policy=policy, task_timeout=timedelta(seconds=3))) as bench:
        yield bench
    bench.check()


async def failures_of_tasks(bench: Bench, order_id: str) -> set[str]:
    """What the run's workflow tasks failed of."""
    history = await bench.handle(order_id).fetch_history()
    return {
        event.workflow_task_failed_event_attributes.failure.message
        for event in history.events
        if event.HasField("workflow_task_failed_event_attributes")
    }


@pytest.mark.parametrize("message", DEFECTS)
async def test_an_order_stands_still_until_the_defect_is_mended(
    bench: Bench, order_id: str, monkeypatch: pytest.MonkeyPatch, message: str
) -> None:
    table, key, wrong = DEFECTS[message]
    await bench.send(order_id, CREATED)
    await bench.publishes(order_id, 2)
    with monkeypatch.context() as defect:
        defect.setitem(cast("dict[object, object]", table), key, wrong)
        await bench.send(order_id, APPROVED)

        async def has_failed() -> bool:
            return message in await failures_of_tasks(bench, order_id)

        await assert_eventually(has_failed, PATIENCE_SECONDS, "a workflow task that failed")
        assert bench.states(order_id) == [OrderState.RECEIVED, OrderState.VALIDATED]
    assert (await bench.result(order_id)).state is OrderState.COMPLETED
