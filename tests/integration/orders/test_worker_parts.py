"""Workflows and activities of the task queues in processes of their own, and what a worker holds of Postgres."""

import json
from functools import partial
from pathlib import Path

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest

from schemas.event_types import EventType
from stack.endpoints import Endpoints
from tests.helpers.checker import postgres_rows
from tests.helpers.messages.kafka_io import Outgoing
from tests.helpers.system.processes import START_TIMEOUT_SECONDS
from tests.helpers.system.system import TASK_QUEUES, OrderSystem, order_system

ACTIVITY = TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY
WORKFLOW = TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW
WHOLE_LIFE = (
    "RECEIVED",
    "VALIDATED",
    "APPROVED",
    "PAID",
    "PACKAGE_PREPARED",
    "CARRIER_DISPATCHED",
    "SHIPPED",
    "COMPLETED",
)
NOBODY = "http://127.0.0.1:1"
NO_SERVICES = {"PAYMENT_GATEWAY_URL": NOBODY, "CARRIER_GATEWAY_URL": NOBODY, "DB_HOST": "127.0.0.1", "DB_PORT": "1"}
"""Nobody answers there: whoever asks a provider or Postgres by it gets nowhere."""


async def test_an_order_is_done_by_two_processes_of_which_only_one_reaches_postgres_and_the_providers(
    endpoints: Endpoints, tmp_path: Path
) -> None:
    async with order_system(endpoints, tmp_path, start=False) as system:
        workflows = system.start("workflows", "worker", "--only", "workflows", expect_end=False, **NO_SERVICES)
        activities = system.start("activities", "worker", "--only", "activities")
        system.start_bridge()
        await system.wait_until_bridges_own_partitions()
        for task_queue in TASK_QUEUES:
            await system.wait_until_polled(task_queue, workflows.pid)
            await system.wait_until(
                partial(_asks, system, task_queue, ACTIVITY, activities.pid),
                START_TIMEOUT_SECONDS,
                lambda: "the activities' worker asks for activities",
            )
            assert not await _asks(system, task_queue, ACTIVITY, workflows.pid)
            assert not await _asks(system, task_queue, WORKFLOW, activities.pid)
        body = {"order_id": "o-1", "payment_id": "p-1", "amount": 500, "currency": "EUR"}
        await system.produce(
            [
                Outgoing(system.topic_of(EventType.ORDER_CREATED), json.dumps(body).encode(), b"o-1"),
                Outgoing(system.topic_of(EventType.ORDER_APPROVED), b'{"order_id": "o-1"}', b"o-1"),
            ]
        )
        await system.wait_until_states("o-1", *WHOLE_LIFE)


async def test_a_worker_opens_a_connection_for_each_five_of_its_activities_and_none_beyond(
    endpoints: Endpoints, tmp_path: Path
) -> None:
    """Counted by the server, while every record waits for a lock with its connection."""
    async with order_system(endpoints, tmp_path, start=False, ORDER_RETRY_MAXIMUM_INTERVAL_SECONDS="1") as system:
        worker = system.start("worker", "worker", "--queue", "order-tq", WORKER_CONCURRENT_ACTIVITIES="10")
        system.start_bridge()
        await system.wait_until_bridges_own_partitions()
        one, other = postgres_rows.connection(system.settings), postgres_rows.connection(system.settings)
        async with one as somebody, other as watching:
            seen: list[int] = []

            async def waits_in_vain() -> bool:
                seen.append(await watching.fetchval(_HELD_BY_WORKERS))
                return "all connections to the database are in use" in worker.log

            async with somebody.transaction():
                await somebody.execute("LOCK TABLE journals")
                await system.produce(
                    Outgoing(
                        system.topic_of(EventType.ORDER_CREATED),
                        json.dumps({"order_id": f"o-{number}", "payment_id": f"p-{number}"}).encode(),
                    )
                    for number in range(30)
                )
                await system.wait_until(waits_in_vain, 90.0, lambda: "an activity that gets no connection")
            assert max(seen) == 2

            async def all_recorded() -> bool:
                return bool(await watching.fetchval("SELECT count(*) = 30 FROM orders"))

            await system.wait_until(all_recorded, 90.0, lambda: "every order recorded once the lock is gone")


_HELD_BY_WORKERS = (
    "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'orders worker' AND datname = current_database()"
)


async def _asks(system: OrderSystem, task_queue: str, kind: TaskQueueType.ValueType, pid: int) -> bool:
    """Whether a process asks a task queue for this kind of work."""
    request = DescribeTaskQueueRequest(
        namespace=system.client.namespace, task_queue=TaskQueue(name=task_queue), task_queue_type=kind
    )
    answer = await system.client.workflow_service.describe_task_queue(request)
    return any(poller.identity.startswith(f"{pid}@") for poller in answer.pollers)
