"""Builds of the workers in Temporal: workers of one, the current one, and which builds have worked on a run."""

from temporalio.api.workflowservice.v1 import SetWorkerDeploymentCurrentVersionRequest
from temporalio.service import RPCError

from tests.helpers.system.processes import OrdersProcess
from tests.helpers.system.system import TASK_QUEUES, OrderSystem
from tests.helpers.system.waiting import assert_eventually

DEPLOYMENT = "shop/orders"
"""As Temporal's worker controller names them: with a slash."""


async def worker_of(system: OrderSystem, build_id: str) -> OrdersProcess:
    """A worker of a build, on both task queues, which asks them for work."""
    worker = system.start(f"worker-{build_id}", "worker", WORKER_BUILD_ID=build_id, WORKER_DEPLOYMENT_NAME=DEPLOYMENT)
    for task_queue in TASK_QUEUES:
        await system.wait_until_polled(task_queue, worker.pid)
    return worker


async def make_current(system: OrderSystem, build_id: str) -> None:
    """What ``temporal worker deployment set-current-version --version orders.BUILD`` asks the server for."""
    request = SetWorkerDeploymentCurrentVersionRequest(
        namespace=system.client.namespace, deployment_name=DEPLOYMENT, version=f"{DEPLOYMENT}.{build_id}"
    )

    async def is_set() -> bool:
        try:
            await system.client.workflow_service.set_worker_deployment_current_version(request)
        except RPCError as error:
            raise AssertionError(str(error)) from error
        return True

    # The server knows a build some moments after its workers have first asked for work.
    await assert_eventually(is_set, 120)


async def builds_of(system: OrderSystem, workflow_id: str) -> set[str]:
    """The versions of the workers that have completed the tasks of a workflow."""
    history = await system.client.get_workflow_handle(workflow_id).fetch_history()
    completed = [event.workflow_task_completed_event_attributes for event in history.events]
    return {one.worker_deployment_version for one in completed if one.scheduled_event_id}
