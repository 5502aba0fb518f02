"""What a bridge and a worker answer about themselves."""

import asyncio
import time
from collections.abc import Sequence
from typing import Final

from temporalio.client import Client
from temporalio.worker import Worker

from activities.giving_up import ProviderAccess
from bridge.service import Bridge
from bridge.supervision.probe import ask_temporal
from orders.clients.mistakes import Server
from orders.processes.health_server import HealthAnswer, HealthChecks
from orders.processes.server_watch import ServerWatch
from orders.telemetry.metrics_page import MetricsPage

_ASK_TIMEOUT_SECONDS: Final = 2.0
_ANSWER_AGE_MAX_SECONDS: Final = 2.0
"""Temporal is asked again after so long at the earliest, however often we are asked."""


def bridge_checks(bridge: Bridge, metrics: MetricsPage | None = None) -> HealthChecks:
    """Answers for a bridge. Live: its poll loop turns. Ready: it has an assignment, and the servers answer.

    A member that stands by, as there are more bridges than partitions, has an assignment of no partitions. It is ready:
    it takes over as soon as another one leaves, and an orchestrator that waited for it to get partitions would wait for
    ever.
    """

    def live() -> HealthAnswer:
        status = bridge.status(with_progress=False)
        reasons = () if status.live else ("the poll loop does not turn",)
        return HealthAnswer(status.live, reasons, {"partitions": status.partitions})

    async def ready() -> HealthAnswer:
        status = bridge.status(with_progress=False)
        details = {
            "partitions": status.partitions,
            "records_held": status.records_held,
            "records_deferred": status.records_deferred,
            "stuck": list(status.stuck),
        }
        return HealthAnswer(status.ready, status.reasons, details)

    return HealthChecks(live, ready, metrics)


class WorkerHealth:
    """Answers for a worker process. Live: none of its workers has ended. Ready: all poll, and Temporal answers.

    A worker that a provider or a server refuses, as with a wrong key, is not ready either: so a deployment of such
    workers stops before it replaces the others.
    """

    def __init__(self, metrics: MetricsPage | None = None, servers: ServerWatch | None = None) -> None:
        self._metrics = metrics
        self.servers = servers or ServerWatch()
        """Which servers do not let the worker in."""
        self._client: Client | None = None
        self._workers: Sequence[Worker] = ()
        self._providers: list[ProviderAccess] = []
        self._asking = asyncio.Lock()
        self._answered = (0.0, "")
        """When Temporal was last asked, and what was wrong."""

    def started(self, client: Client, workers: Sequence[Worker]) -> None:
        """Tells that these workers run: from now on the answers are about them."""
        self._client = client
        self._workers = workers

    def watch(self, provider: ProviderAccess) -> None:
        """From now on it is not ready while the provider cannot be asked."""
        self._providers.append(provider)

    @property
    def checks(self) -> HealthChecks:
        """The checks that the health server asks."""
        return HealthChecks(self._live, self._ready, self._metrics)

    def _live(self) -> HealthAnswer:
        stopped = [worker.task_queue for worker in self._workers if worker.is_shutdown]
        return HealthAnswer(not stopped, tuple(f"the worker of {queue} has ended" for queue in stopped))

    async def _ready(self) -> HealthAnswer:
        queues = [worker.task_queue for worker in self._workers]
        if self._client is None:
            return HealthAnswer(ok=False, reasons=("starting: Temporal was not reached yet", *self.servers.troubles))
        reasons = [
            f"the worker of {worker.task_queue} does not run" for worker in self._workers if not worker.is_running
        ]
        reasons += [f"{one.provider}: {one.trouble}" for one in self._providers if one.trouble]
        reasons += self.servers.troubles
        trouble = await self._temporal_trouble(self._client)
        if trouble and not self.servers.trouble(Server.TEMPORAL):
            reasons.append(trouble)
        return HealthAnswer(not reasons, tuple(reasons), {"task_queues": queues})

    async def _temporal_trouble(self, client: Client) -> str:
        """What is wrong with Temporal; empty where it answers."""
        async with self._asking:
            asked_at, trouble = self._answered
            if asked_at and time.monotonic() - asked_at < _ANSWER_AGE_MAX_SECONDS:
                return trouble
            try:
                async with asyncio.timeout(_ASK_TIMEOUT_SECONDS):
                    await ask_temporal(client)
                trouble = ""
            except Exception as error:  # noqa: BLE001 - whatever it is, Temporal does not serve us now
                trouble = f"temporal does not answer ({type(error).__name__})"
            self._answered = (time.monotonic(), trouble)
            return trouble
