"""The bridge as a whole: starts when the servers are there, runs until it is stopped, and leaves nothing behind."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

import structlog
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client

from bridge.backoff import delay_before
from bridge.config import BridgeConfig
from bridge.consumer import Committer, Poller, Rebalancer
from bridge.dead_letters import DeadLetters
from bridge.decode_errors import DecodeError
from bridge.decoder import DecodedRecord, decode
from bridge.dispatcher import Dispatcher
from bridge.engine import Engine
from bridge.errors import Decision, classify_dispatch_error, classify_kafka_error
from bridge.health import Dependency, Health
from bridge.kafka_clients import make_consumer, make_producer
from bridge.offsets import OffsetTracker
from bridge.processor import RecordProcessor
from bridge.records import Record

log = structlog.get_logger("bridge")

_CLOSE_TIMEOUT = timedelta(seconds=3)
"""How long closing one Kafka client may take; it would otherwise wait for a broker that is away."""
_POLL_END_TIMEOUT_SECONDS = 1.0


class MissingTopicsError(Exception):
    """Topics that the bridge is told of are not there."""


class Bridge:
    """Turns each Kafka record into one call on Temporal, and commits its offset afterwards.

    Args:
        config: What it is told.
        client: Connected or lazy, with the pydantic data converter and `bridge.dispatcher.SINGLE_ATTEMPT`.
    """

    def __init__(self, config: BridgeConfig, client: Client) -> None:
        self._config = config
        self._client = client
        self._health = Health()
        self._stop_requested = asyncio.Event()

    def stop(self) -> None:
        """Asks `run` to drain and return. May be called any number of times, from a signal handler of the loop too."""
        self._stop_requested.set()

    async def run(self) -> None:
        """Runs until `stop`, then drains what is in flight, commits, leaves the group and returns.

        While a server is away it waits; it raises only where going on could lose records.
        """
        log.info("bridge.started", topics=sorted(self._config.topics), group_id=self._config.group_id)
        async with AsyncExitStack() as resources:
            if not await self._until_stopped(self._check_temporal, Dependency.TEMPORAL, classify_dispatch_error):
                return
            producer = await self._connect(make_producer, resources)
            consumer = await self._connect(make_consumer, resources)
            if producer is None or consumer is None:
                return
            if not await self._until_stopped(
                lambda: self._check_topics(consumer), Dependency.KAFKA, _classify_start_error
            ):
                return
            await self._bridge(consumer, producer)
        log.info("bridge.stopped")

    async def _bridge(self, consumer: Any, producer: Any) -> None:
        """Wires the parts and keeps them running until stopped."""
        config, tracker = self._config, OffsetTracker()
        dispatcher = Dispatcher(
            self._client,
            config.policy,
            config.run_timeout,
            task_queue=config.task_queue,
            rpc_timeout=config.rpc_timeout,
        )
        dead_letters = DeadLetters(producer, config.dead_letter_topic)
        processor = RecordProcessor(dispatcher, dead_letters, self._health, config.back_off)
        engine = Engine(self._decode, processor, tracker, config.engine)
        committer = Committer(consumer, tracker, self._health, config)
        poller = Poller(consumer, engine, self._health, config)
        async with asyncio.TaskGroup() as tasks:
            engine.start(tasks)
            consumer.subscribe(topics=list(config.topics), listener=Rebalancer(engine, tracker, committer, config))
            polling = tasks.create_task(poller.run(), name="bridge-poller")
            committing = tasks.create_task(committer.run(), name="bridge-committer")
            await self._stop_requested.wait()
            poller.stop()
            drained = await engine.drain(config.drain_timeout)
            committing.cancel()
            committed = await committer.commit()
            log.info("bridge.drained", drained=drained, committed=committed, records_left=engine.records_held)
            engine.close()
            await asyncio.wait([polling], timeout=_POLL_END_TIMEOUT_SECONDS)
            # During a rebalance a poll waits without a limit; cancelled it may be, as nobody polls after it.
            polling.cancel()

    def _decode(self, record: Record) -> DecodedRecord | DecodeError:
        try:
            return decode(record, self._config.topics, self._config.limits)
        except DecodeError as error:
            return error

    # Starting --------------------------------------------------------------------------------------------------------

    async def _check_temporal(self) -> None:
        """Asks for the namespace: it must exist, and we must be allowed in."""
        await self._client.workflow_service.describe_namespace(
            DescribeNamespaceRequest(namespace=self._client.namespace), timeout=self._config.rpc_timeout
        )

    async def _check_topics(self, consumer: Any) -> None:
        """Looks for every topic before subscribing: the client would wait for a missing one without a word."""
        missing = {*self._config.topics, self._config.dead_letter_topic} - set(await consumer.topics())
        if missing:
            raise MissingTopicsError(f"missing topics: {', '.join(sorted(missing))}; make them with: orders migrate")

    async def _connect(self, make: Callable[[BridgeConfig], Any], resources: AsyncExitStack) -> Any:
        """A started Kafka client, closed at the end; None if the bridge was stopped before."""
        started: list[Any] = []

        async def start() -> None:
            client = make(self._config)  # A new one each time: one that failed to start cannot be started again.
            try:
                await client.start()
            except BaseException:
                await _close(client)
                raise
            started.append(client)

        if not await self._until_stopped(start, Dependency.KAFKA, classify_kafka_error):
            return None
        resources.push_async_callback(_close, started[0])
        return started[0]

    async def _until_stopped(
        self,
        attempt: Callable[[], Coroutine[Any, Any, None]],
        dependency: Dependency,
        classify: Callable[[BaseException], Decision],
    ) -> bool:
        """Repeats the attempt until it succeeds (True) or the bridge is stopped (False)."""
        stopped = asyncio.create_task(self._stop_requested.wait())
        attempts = 0
        try:
            while not self._stop_requested.is_set():
                attempts += 1
                attempting = asyncio.ensure_future(attempt())
                await asyncio.wait([attempting, stopped], return_when=asyncio.FIRST_COMPLETED)
                if not attempting.done():
                    attempting.cancel()
                    await asyncio.wait([attempting])
                    break
                error = attempting.exception()
                if error is None:
                    self._health.answered(dependency)
                    return True
                self._health.failed(dependency, classify(error), error)
                delay = delay_before(attempts + 1, self._config.back_off, random_share=1.0)
                await asyncio.wait([stopped], timeout=delay.total_seconds())
            return False
        finally:
            stopped.cancel()


def _classify_start_error(error: BaseException) -> Decision:
    return Decision.CONFIGURATION if isinstance(error, MissingTopicsError) else classify_kafka_error(error)


async def _close(client: Any) -> None:
    """Closes a Kafka client, within bounds."""
    try:
        async with asyncio.timeout(_CLOSE_TIMEOUT.total_seconds()):
            await client.stop()
    except Exception as error:  # noqa: BLE001 -- it is over either way, and everything that counts is committed
        log.warning("bridge.client.not_closed", client=type(client).__name__, error=type(error).__name__)
