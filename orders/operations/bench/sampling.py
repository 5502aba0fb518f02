"""What is looked at while orders run: what waits in Kafka and on task queues, connections, and this machine's cores."""

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Final

from sqlalchemy import text
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.service import RPCError

from orders.clients.opened import Clients
from orders.errors import OrdersError
from orders.operations.overview import bridges_overview
from orders.settings import Settings
from orders.settings.types import is_loopback
from workflows.names import ORDER_TASK_QUEUE, SHIPPING_TASK_QUEUE

_EVERY_SECONDS: Final = 1.0
_CALL_TIMEOUT: Final = timedelta(seconds=5)
_STAT: Final = Path("/proc/stat")
_CONNECTIONS: Final = text(
    "SELECT application_name, count(*) FROM pg_stat_activity "
    "WHERE datname = current_database() AND application_name LIKE 'orders %' GROUP BY 1"
)
_PARTS: Final = {
    TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW: "workflows",
    TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY: "activities",
}


@dataclass(slots=True)
class Highest:
    """The most of each that was seen at one moment."""

    unsettled: int = 0
    """Records of the inbound topics that bridges had not handed over, others' orders included."""
    backlog_seconds: dict[str, float] = field(default_factory=dict)
    """How old the oldest task was that waited for a worker, by queue and kind; as Temporal reckons."""
    connections: Counter[str] = field(default_factory=Counter)
    """To Postgres, by the kind of process, over all processes of that kind."""
    cores_busy: float | None = None
    """Of this machine's processors, on average; None where servers are on other machines."""


@asynccontextmanager
async def sampled(clients: Clients) -> AsyncIterator[Highest]:
    """Looks once a second until the block ends. A server that does not answer is passed over: the orders will tell."""
    highest = Highest()
    looking = asyncio.create_task(_look_again_and_again(clients, highest), name="sampling")
    before = _processor_seconds() if _all_is_here(clients.settings) else None
    try:
        yield highest
    finally:
        after = _processor_seconds()
        if before is not None and after is not None and after[1] > before[1]:
            highest.cores_busy = (after[0] - before[0]) / (after[1] - before[1]) * (os.cpu_count() or 1)
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)


async def _look_again_and_again(clients: Clients, highest: Highest) -> None:
    while True:
        try:
            overview = await bridges_overview(clients)
            highest.unsettled = max(highest.unsettled, sum(one.unsettled for one in overview.partitions))
            await _look_at_connections(clients, highest)
            await _look_at_queues(clients, highest)
        except (OrdersError, RPCError, TimeoutError):
            pass
        await asyncio.sleep(_EVERY_SECONDS)


async def _look_at_connections(clients: Clients, highest: Highest) -> None:
    async with clients.database() as engine, engine.connect() as connection:
        for name, count in await connection.execute(_CONNECTIONS):
            highest.connections[name] = max(highest.connections[name], count)


async def _look_at_queues(clients: Clients, highest: Highest) -> None:
    client = await clients.temporal()
    for queue in (ORDER_TASK_QUEUE, SHIPPING_TASK_QUEUE):
        for kind, part in _PARTS.items():
            answer = await client.workflow_service.describe_task_queue(
                DescribeTaskQueueRequest(
                    namespace=client.namespace,
                    task_queue=TaskQueue(name=queue),
                    task_queue_type=kind,
                    report_stats=True,
                ),
                timeout=_CALL_TIMEOUT,
            )
            age = answer.stats.approximate_backlog_age.ToTimedelta().total_seconds()
            name = f"{queue} {part}"
            highest.backlog_seconds[name] = max(highest.backlog_seconds.get(name, 0.0), age)


def _all_is_here(settings: Settings) -> bool:
    brokers = [one.rpartition(":")[0] for one in settings.kafka_bootstrap_servers.split(",")]
    return all(is_loopback(host) for host in [*brokers, settings.temporal_host.rpartition(":")[0], settings.db_host])


def _processor_seconds() -> tuple[float, float] | None:
    """Busy and all time of this machine's processors, in ticks, since it started; None where it does not say."""
    try:
        first = _STAT.read_text().splitlines()[0].split()[1:9]
    except (OSError, IndexError):
        return None
    user, nice, system, idle, waiting, *interrupts = map(float, first)
    busy = user + nice + system + sum(interrupts)
    return busy, busy + idle + waiting
