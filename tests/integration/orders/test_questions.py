"""A question to a workflow whose worker is gone with it is asked again, on a real server."""

import asyncio
import secrets
from datetime import timedelta
from typing import Any

import pytest
from temporalio import workflow
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import PollWorkflowTaskQueueRequest
from temporalio.client import Client, WorkflowHandle
from temporalio.service import RPCError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from orders.clients.queries import NOT_IN_TIME, ask
from orders.operations.pollers import last_polls
from stack.endpoints import Endpoints
from tests.helpers.system.bridge_room import connect
from tests.helpers.system.waiting import assert_eventually

WHERE, THIEF = "where", "thief"
PATIENCE_SECONDS = 60.0
AGAIN_AFTER = timedelta(seconds=5)
"""Long enough for the first question to reach its thief on a busy machine."""


@workflow.defn(sandboxed=False)
class Waiting:
    """Waits for ever, and says so."""

    @workflow.run
    async def run(self) -> None:
        """Waits."""
        await workflow.wait_condition(lambda: False)

    @workflow.query(name=WHERE)
    def where(self) -> str:
        """Where it is."""
        return "here"


def worker_of(client: Client, queue: str) -> Worker:
    """Keeps nothing between tasks, and so takes all questions from the queue that all workers share."""
    return Worker(
        client,
        task_queue=queue,
        workflows=[Waiting],
        workflow_runner=UnsandboxedWorkflowRunner(),
        max_cached_workflows=0,
    )


async def steal_a_question(client: Client, queue: str) -> None:
    """Takes a question from the queue as a worker does that is killed before it answers."""
    while True:
        taken = await client.workflow_service.poll_workflow_task_queue(
            PollWorkflowTaskQueueRequest(namespace=client.namespace, task_queue=TaskQueue(name=queue), identity=THIEF),
            timeout=timedelta(seconds=70),  # The server answers an empty poll after 60 s.
        )
        if taken.task_token:
            assert taken.query.query_type == WHERE
            return


@pytest.fixture
async def client(endpoints: Endpoints) -> Client:
    return await connect(endpoints.temporal_host)


async def waiting_run(client: Client, queue: str) -> WorkflowHandle[Any, Any]:
    """A run that waits, and whose worker is gone."""
    async with worker_of(client, queue):
        handle = await client.start_workflow(Waiting.run, id=queue, task_queue=queue)
        assert await ask(handle, WHERE, result_type=str, wait=timedelta(seconds=PATIENCE_SECONDS)) == "here"
    return handle


async def test_a_question_that_got_lost_with_a_worker_is_asked_again(client: Client) -> None:
    queue = f"questions-{secrets.token_hex(4)}"
    handle = await waiting_run(client, queue)
    thief = asyncio.create_task(steal_a_question(client, queue))

    async def thief_asks() -> bool:
        return THIEF in await last_polls(client, queue)

    await assert_eventually(thief_asks, PATIENCE_SECONDS, lambda: "the thief to poll")
    asking = asyncio.create_task(
        ask(handle, WHERE, result_type=str, wait=timedelta(seconds=PATIENCE_SECONDS), again_after=AGAIN_AFTER)
    )
    await asyncio.wait_for(thief, PATIENCE_SECONDS)
    assert not asking.done()
    async with worker_of(client, queue):
        assert await asking == "here"
    await handle.terminate()


async def test_where_no_worker_is_the_question_ends_in_time(client: Client) -> None:
    queue = f"questions-{secrets.token_hex(4)}"
    handle = await waiting_run(client, queue)
    began = asyncio.get_running_loop().time()
    with pytest.raises(RPCError) as caught:
        await ask(handle, WHERE, result_type=str, wait=timedelta(seconds=2))
    assert caught.value.status in NOT_IN_TIME
    assert 2 <= asyncio.get_running_loop().time() - began < PATIENCE_SECONDS / 2
    await handle.terminate()
