"""Large events on a real server, which terminates a run that sends more than 2 MiB in one call."""

import secrets

from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.testing import WorkflowEnvironment

from schemas.event_types import INBOUND
from schemas.inbound import InboundEvent
from schemas.states import OrderState
from schemas.workflow_io import OrderResult, OrderWorkflowInput
from stack.endpoints import Endpoints
from tests.workflow.workbench.bench import CANCELLED, CREATED, Bench, running
from workflows.converter import DATA_CONVERTER
from workflows.names import ORDER_WORKFLOW, order_workflow_id

LARGE_ITEMS = [{"sku": "s" * 470, "quantity": 1, "unit_amount": 1}] * 1_000
"""About half a megabyte, which is what the bridge takes as one record."""
BURST = 6


async def test_a_burst_of_large_late_events_is_answered(endpoints: Endpoints) -> None:
    """I9: as after Temporal's retention, when everything of an order is sent again."""
    client = await Client.connect(endpoints.temporal_host, data_converter=DATA_CONVERTER)
    bench = Bench(WorkflowEnvironment.from_client(client))
    bench.new_policy(search_attributes=False)
    order_id = f"o-{secrets.token_hex(6)}"
    async with running(bench):
        await bench.send(order_id, CREATED, "created")
        await bench.send(order_id, CANCELLED, "cancelled")
        await bench.result(order_id)
    for number in range(BURST):
        body = {"order_id": order_id, "payment_id": "p", "items": LARGE_ITEMS}
        again = InboundEvent(event_id=f"again-{number}", type=CREATED, body=body)
        handle = await client.start_workflow(
            ORDER_WORKFLOW,
            OrderWorkflowInput(order_id=order_id, policy=bench.policy),
            id=order_workflow_id(order_id),
            task_queue=bench.order_queue,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            start_signal=INBOUND[CREATED].signal,
            start_signal_args=[again],
            result_type=OrderResult,
        )
    async with running(bench):
        assert (await handle.result()).state is OrderState.CANCELLED
    # The cancel comes with the order, or while it is kept.
    assert [one for one in bench.story(order_id) if one != "VALIDATED"] == [
        "RECEIVED",
        "CANCELLED",
        *["order_closed"] * BURST,
    ]
    assert {bench.outcome(order_id, f"again-{number}") for number in range(BURST)} == {"order_closed"}
