"""Which workers ask a task queue for work, as Temporal knows it."""

from datetime import UTC, datetime, timedelta
from typing import Final

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client

_CALL_TIMEOUT: Final = timedelta(seconds=5)
_POLLS_WITHIN: Final = timedelta(seconds=75)
"""A worker asks for work at least once a minute (the server's long poll); one that has not for longer is gone."""


async def last_polls(client: Client, task_queue: str) -> dict[str, datetime]:
    """When each worker that still asks the task queue for work did so last, by the worker's identity.

    Raises:
        RPCError: Temporal does not answer, or refuses.
    """
    answer = await client.workflow_service.describe_task_queue(
        DescribeTaskQueueRequest(
            namespace=client.namespace,
            task_queue=TaskQueue(name=task_queue),
            task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
        ),
        timeout=_CALL_TIMEOUT,
    )
    found: dict[str, datetime] = {}
    for poller in answer.pollers:
        at = poller.last_access_time.ToDatetime(UTC)
        found[poller.identity] = max(at, found.get(poller.identity, at))
    since = datetime.now(UTC) - _POLLS_WITHIN
    return {identity: at for identity, at in found.items() if at > since}
