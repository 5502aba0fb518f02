"""Asks Kafka and Temporal now and then whether they answer, also while there is nothing to do."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

import structlog
from aiokafka import TopicPartition
from aiokafka.errors import TopicAuthorizationFailedError
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError

from bridge.config import BridgeConfig, Kafka
from bridge.decisions import classify_dispatch_error, classify_kafka_error, ended_with_its_connection
from bridge.engine.engine import Engine
from bridge.engine.offsets import OffsetTracker, Partition
from bridge.health import Dependency, Health
from bridge.kafka.clients import client_id_of, has_leader, login_error, refused_topics

_PROBE_TIMEOUT_SECONDS = 5.0
_NAMED_MAX: Final = 20
"""The most partitions that one line of the log names."""

log = structlog.get_logger("bridge")


async def ask_temporal(client: Client) -> None:
    """Asks Temporal for the client's namespace.

    Raises:
        Exception: Temporal does not answer within 5 s, has no such namespace, or does not let the client in.
    """
    async with asyncio.timeout(_PROBE_TIMEOUT_SECONDS):
        try:
            await _describe_namespace(client)
        except RPCError as error:
            if not ended_with_its_connection(error):
                raise
            await _describe_namespace(client)


async def _describe_namespace(client: Client) -> None:
    await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace=client.namespace))


class Prober:
    """Asks both servers now and then, tells the health, and knows whether there is something to read.

    The Kafka client itself says nothing while its broker is away: it polls empty and tries again.
    """

    def __init__(
        self,
        consumer: Any,
        client: Client,
        *,
        engine: Engine,
        tracker: OffsetTracker,
        health: Health,
        config: BridgeConfig,
        kafka: Kafka,
    ) -> None:
        self._consumer = consumer
        self._client = client
        self._engine = engine
        self._tracker = tracker
        self._health = health
        self._kafka = kafka
        self._client_id = client_id_of(config)
        self._interval_seconds = config.probe_interval.total_seconds()
        self.is_lagging = False
        """Whether there were records to read at the last look."""
        self.ends: dict[Partition, int] = {}
        """Where each assigned partition ended at the last look."""
        self.leaderless: tuple[str, ...] = ()
        """The assigned partitions that had no leader at the last look, as ``topic:partition``."""
        self._was_refused = False
        """Whether the last look at Temporal failed."""

    async def run(self) -> None:
        """Looks again and again, until cancelled."""
        while True:
            await asyncio.sleep(self._interval_seconds)
            await asyncio.gather(self._look_at_kafka(), self._look_at_temporal())

    async def _look_at_temporal(self) -> None:
        try:
            await ask_temporal(self._client)
        except Exception as error:  # noqa: BLE001 -- every failure of the boundary is classified, in one place
            await self._health.look_into(Dependency.TEMPORAL, classify_dispatch_error(error), error)
            self._was_refused = True
            return
        self._health.heard_from(Dependency.TEMPORAL)
        # While there is work, its calls say how Temporal is: a namespace may answer that takes no calls. But records
        # that are held may wait for dead letters, and make no call: so trouble noted here is cleared here.
        if self._engine.records_held == 0 or self._was_refused:
            self._health.answered(Dependency.TEMPORAL)
        self._was_refused = False

    async def _look_at_kafka(self) -> None:
        assigned = [TopicPartition(key.topic, key.partition) for key in self._tracker.partitions]
        led = [key for key in assigned if has_leader(self._consumer, key)]
        try:
            async with asyncio.timeout(_PROBE_TIMEOUT_SECONDS):
                if not led:
                    await self._consumer.topics()
                if refused := refused_topics(self._consumer):
                    raise TopicAuthorizationFailedError(*sorted(refused))  # noqa: TRY301 -- one of the failures below
                ends = await self._consumer.end_offsets(led) if led else {}
                lagging = await self._is_behind(ends)
        except Exception as error:  # noqa: BLE001 -- as above
            reason = await login_error(self._kafka, self._client_id) or error
            await self._health.look_into(Dependency.KAFKA, classify_kafka_error(reason), reason)
            return
        self.is_lagging = lagging
        self.ends = {Partition(*key): end for key, end in ends.items()}
        self._health.answered(Dependency.KAFKA)
        self._note_leaderless(sorted(f"{key.topic}:{key.partition}" for key in set(assigned) - set(led)))

    def _note_leaderless(self, partitions: Sequence[str]) -> None:
        """Says it when other partitions have no leader than at the last look."""
        if tuple(partitions) == self.leaderless:
            return
        self.leaderless = tuple(partitions)
        if partitions:
            log.warning(
                "bridge.partitions.leaderless",
                partitions=partitions[:_NAMED_MAX],
                count=len(partitions),
                detail="no broker leads them, so nothing of them can be read; all others go on",
                action="see to the brokers that hold their replicas",
            )
        else:
            log.info("bridge.partitions.led")

    async def _is_behind(self, ends: dict[Any, int]) -> bool:
        """Whether a partition's position is below its end.

        Not the tracker's next offset: the markers of transactions are never delivered, and would look like a lag.
        """
        # A partition that is held has a lag that nobody can work off; its alarm is raised elsewhere.
        readable = self._consumer.assignment() - self._consumer.paused()
        for partition, end in ends.items():
            if partition in readable and await self._consumer.position(partition) < end:
                return True
        return False
