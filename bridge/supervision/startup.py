"""Waits for the servers and connects to them; an outage is waited for, and what a person must correct is said."""

import asyncio
from collections.abc import Callable, Collection, Coroutine
from contextlib import AsyncExitStack
from typing import Any, Final

import structlog
from aiokafka.errors import KafkaConnectionError

from bridge.config import BridgeConfig, Kafka
from bridge.decisions import Decision, classify_dispatch_error, classify_kafka_error
from bridge.health import Dependency, Health
from bridge.kafka.clients import client_id_of, close_client, login_error, make_consumer, make_producer

log = structlog.get_logger("bridge")


_CANCEL_SECONDS: Final = 5.0
"""How long an attempt that is cancelled may take to end: longer than it takes to close the client that it made."""


class MissingTopicsError(Exception):
    """Topics that the mapping or the configuration names are not there, or may not be seen."""

    def __init__(self, message: str, topics: Collection[str]) -> None:
        super().__init__(message)
        self.topics = frozenset(topics)


class Startup:
    """Connects to the servers. Each step is repeated until it succeeds, or the bridge is stopped.

    Args:
        config: The bridge's.
        kafka: Where Kafka is.
        topics: The topics that must be there, beside the one of the dead letters.
        health: Is told of each failure.
        stop_requested: Set where the bridge is to stop.
    """

    def __init__(
        self,
        config: BridgeConfig,
        kafka: Kafka,
        topics: Collection[str],
        *,
        health: Health,
        stop_requested: asyncio.Event,
    ) -> None:
        self._config = config
        self._kafka = kafka
        self._topics = topics
        self._health = health
        self._stop_requested = stop_requested

    async def reach_temporal(self, ask: Callable[[], Coroutine[Any, Any, None]]) -> bool:
        """Waits until Temporal answers; False if the bridge was stopped before."""
        return await self._repeat(ask, Dependency.TEMPORAL, classify_dispatch_error)

    async def connect_producer(self, resources: AsyncExitStack) -> Any:
        """A started `AIOKafkaProducer`, closed with the resources; None if the bridge was stopped before."""
        return await self._connect(make_producer, resources)

    async def connect_consumer(self, resources: AsyncExitStack) -> Any:
        """A started `AIOKafkaConsumer`, closed with the resources; None if the bridge was stopped before.

        It is not subscribed yet, and every topic is there by then.
        """
        consumer = await self._connect(make_consumer, resources)
        if consumer is None:
            return None
        found = await self._repeat(lambda: self._look_for_topics(consumer), Dependency.KAFKA, _classify_start_error)
        return consumer if found else None

    async def _look_for_topics(self, consumer: Any) -> None:
        """Before subscribing: the client would wait for a missing topic without a word."""
        missing = {*self._topics, self._config.dead_letter_topic} - set(await consumer.topics())
        if missing:
            names = ", ".join(sorted(missing))
            raise MissingTopicsError(f"missing topics: {names}; {self._config.make_topics}", missing)

    async def _connect(self, make: Callable[[BridgeConfig, Kafka], Any], resources: AsyncExitStack) -> Any:
        started: list[Any] = []

        async def start() -> None:
            client = make(
                self._config, self._kafka
            )  # A new one each time: one that failed to start cannot be started again.
            try:
                await client.start()
            except KafkaConnectionError as error:
                await close_client(client)
                raise await login_error(self._kafka, client_id_of(self._config)) or error from None
            except BaseException:
                await close_client(client)
                raise
            started.append(client)

        if not await self._repeat(start, Dependency.KAFKA, classify_kafka_error):
            return None
        resources.push_async_callback(close_client, started[0])
        return started[0]

    async def _repeat(
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
                error = await _outcome(attempt(), unless=stopped)
                if error is None:
                    if self._stop_requested.is_set():
                        break
                    self._health.answered(dependency)
                    return True
                await self._noted(dependency, classify(error), error, unless=stopped)
                delay = self._config.back_off.delay_before(attempts + 1, random_share=1.0)
                await asyncio.wait([stopped], timeout=delay.total_seconds())
            return False
        finally:
            stopped.cancel()

    async def _noted(
        self, dependency: Dependency, decision: Decision, error: BaseException, *, unless: "asyncio.Task[Any]"
    ) -> None:
        """Tells the health of a failure, after looking into it; not where the other task comes first."""
        noting = asyncio.create_task(self._health.look_into(dependency, decision, error))
        try:
            await asyncio.wait([noting, unless], return_when=asyncio.FIRST_COMPLETED)
        finally:
            noting.cancel()
            await asyncio.wait([noting], timeout=_CANCEL_SECONDS)


async def _outcome(attempt: Coroutine[Any, Any, None], *, unless: "asyncio.Task[Any]") -> BaseException | None:
    """The attempt's exception; None if it succeeded, or was ended because the other task came first.

    An attempt that was cancelled from within has failed: the client lets out the cancellation of tasks of its own
    (aiokafka 0.14).
    """
    attempting = asyncio.create_task(attempt)
    try:
        await asyncio.wait([attempting, unless], return_when=asyncio.FIRST_COMPLETED)
    finally:
        if not attempting.done():
            attempting.cancel()
            # The client may keep the cancellation to itself; a stop waits for nobody.
            await asyncio.wait([attempting], timeout=_CANCEL_SECONDS)
    if not attempting.done():
        return None
    if attempting.cancelled():
        return None if unless.done() else asyncio.CancelledError("cancelled from within")
    return attempting.exception()


def _classify_start_error(error: BaseException) -> Decision:
    return Decision.CONFIGURATION if isinstance(error, MissingTopicsError) else classify_kafka_error(error)
