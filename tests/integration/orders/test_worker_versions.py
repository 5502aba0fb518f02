"""Two builds of the workers side by side: an order stays where it began, new ones go to the current build."""

from datetime import timedelta
from pathlib import Path

from temporalio.client import Client, WorkflowHandle

from schemas.event_types import INBOUND, EventType
from schemas.inbound import InboundEvent
from schemas.order import OrderPolicy
from schemas.states import OrderState
from schemas.workflow_io import OrderResult, OrderWorkflowInput
from stack.endpoints import Endpoints
from tests.helpers.system.builds import DEPLOYMENT, builds_of, make_current, worker_of
from tests.helpers.system.system import TASK_QUEUES, OrderSystem, order_system
from workflows.converter import DATA_CONVERTER
from workflows.names import ORDER_WORKFLOW, order_workflow_id, shipping_workflow_id


async def test_an_order_ends_on_the_build_it_began_on_and_new_ones_go_to_the_current_build(
    endpoints: Endpoints, tmp_path: Path
) -> None:
    async with order_system(endpoints, tmp_path, start=False) as system:
        await worker_of(system, "build-1.0")
        await make_current(system, "build-1.0")
        old = await _start(system, "o-old")
        await _awaits_approval(system, "o-old")

        worker = await worker_of(system, "build-2.0")
        await make_current(system, "build-2.0")
        new = await _start(system, "o-new")
        await _awaits_approval(system, "o-new")
        for handle in (old, new):
            approve = INBOUND[EventType.ORDER_APPROVED].signal
            await handle.signal(approve, InboundEvent(event_id=f"approved-{handle.id}"))
            assert (await handle.result()).state is OrderState.COMPLETED

        assert await builds_of(system, order_workflow_id("o-old")) == {f"{DEPLOYMENT}.build-1.0"}
        assert await builds_of(system, order_workflow_id("o-new")) == {f"{DEPLOYMENT}.build-2.0"}
        # Server 1.27 starts an attempt to ship on the current build, later ones on its order's; it ends where it began.
        assert len(await builds_of(system, shipping_workflow_id("o-old", 1))) == 1
        assert '"build_id":"build-2.0"' in worker.log.replace(": ", ":")


async def _start(system: OrderSystem, order_id: str) -> WorkflowHandle[object, OrderResult]:
    event = InboundEvent(
        event_id=f"created-{order_id}", body={"order_id": order_id, "payment_id": f"p-{order_id}", "amount": 100}
    )
    client = await Client.connect(
        system.endpoints.temporal_host, namespace=system.client.namespace, data_converter=DATA_CONVERTER
    )
    return await client.start_workflow(
        ORDER_WORKFLOW,
        OrderWorkflowInput(order_id=order_id, policy=OrderPolicy(approval_timeout=timedelta(hours=1))),
        id=order_workflow_id(order_id),
        task_queue=TASK_QUEUES[0],
        result_type=OrderResult,
        start_signal=INBOUND[EventType.ORDER_CREATED].signal,
        start_signal_args=[event],
    )


async def _awaits_approval(system: OrderSystem, order_id: str) -> None:
    await system.wait_until_states(order_id, "RECEIVED", "VALIDATED")
