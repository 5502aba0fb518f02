"""How much a worker process takes on at once, and how much of what it has seen it keeps."""

import math
import os
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from temporalio.worker import PollerBehaviorAutoscaling

from orders.settings import Settings

CACHED_RUN_BYTES: Final = 192 * 1024
"""What one order's run takes while it is kept in memory: 173 KiB more of the process for each of 400 orders that waited
for their approval (measured 2026-11-26, temporalio 1.35, Python 3.11)."""
SANDBOXED_RUN_BYTES: Final = 256 * 1024
"""The same in the SDK's sandbox, which imports the workflows' modules anew for each run: 238 KiB, of 150 orders."""
CACHE_SHARE: Final = 0.25
"""How much of its memory a worker process may fill with runs: the rest is for its own code, for activities under way,
and for whatever else runs beside it."""
_CACHED_RUNS_MIN: Final = 500
_GROUP_LIMITS: Final = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
"""Where Linux tells a container its limit (control groups of version 2, then 1)."""


ACTIVITIES_A_CONNECTION: Final = 5
"""How many activities at once share a connection. Each holds one for a statement, which takes a few milliseconds, and
waits for Kafka's acknowledgements or for a provider otherwise. With a connection each, workers would have all that a
server takes as soon as one table is locked: PostgreSQL's `max_connections` is 100 unless set."""
CONNECTIONS_MIN: Final = 2
"""So that the figures of `/metrics` are read though a record waits for a lock; all that a worker of workflows needs."""


def worker_connections(settings: Settings, *, queues: int) -> int:
    """Most connections to Postgres that a worker process holds, unless DB_POOL_SIZE says otherwise.

    Args:
        settings: How many activities run at once on each task queue.
        queues: On how many it runs activities; 0 for a worker of workflows alone.
    """
    return max(CONNECTIONS_MIN, math.ceil(settings.worker_concurrent_activities * queues / ACTIVITIES_A_CONNECTION))


def worker_size(settings: Settings, *, queues: int) -> dict[str, Any]:
    """The arguments of a ``Worker`` that say how much it does at once.

    Args:
        settings: What an installation has set.
        queues: How many workers this process has, among which its memory is shared.
    """
    cached = settings.worker_cached_workflows
    return {
        "max_concurrent_workflow_tasks": settings.worker_concurrent_workflow_tasks,
        "max_concurrent_activities": settings.worker_concurrent_activities,
        "max_cached_workflows": cached_runs(settings, memory_bytes()) // queues if cached is None else cached,
        # A workflow's calls go by two task queues, the worker's own and the shared one; two calls is the SDK's minimum.
        "workflow_task_poller_behavior": PollerBehaviorAutoscaling(
            minimum=2, initial=settings.worker_workflow_pollers, maximum=settings.worker_workflow_pollers_max
        ),
        "activity_task_poller_behavior": PollerBehaviorAutoscaling(
            minimum=1, initial=settings.worker_activity_pollers, maximum=settings.worker_activity_pollers_max
        ),
        "graceful_shutdown_timeout": timedelta(seconds=settings.worker_shutdown_grace_seconds),
    }


def cached_runs(settings: Settings, memory: int) -> int:
    """How many runs fit into a worker's share of the memory; at least a few hundred, however small it is.

    Args:
        settings: Whether they run in the sandbox.
        memory: What the process may use, in bytes.
    """
    each = SANDBOXED_RUN_BYTES if settings.worker_sandbox else CACHED_RUN_BYTES
    return max(_CACHED_RUNS_MIN, int(memory * CACHE_SHARE) // each)


def memory_bytes(group_limits: tuple[Path, ...] = _GROUP_LIMITS) -> int:
    """The memory that this process may use: the machine's, or its container's limit where that is lower."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([machine, *(limit for path in group_limits if (limit := _read_limit(path)) is not None)])


def _read_limit(path: Path) -> int | None:
    """A limit in bytes; None where there is none, which version 2 writes as ``max`` and version 1 as a huge number."""
    try:
        text = path.read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdecimal() else None
