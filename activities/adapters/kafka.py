"""The way out to ``order.events``, by an idempotent producer that is replaced when it fails."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack, asynccontextmanager, suppress
from datetime import timedelta
from typing import Any, Final

import structlog
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError, MessageSizeTooLargeError, UnknownTopicOrPartitionError

from activities.ports import EventPublisher, KafkaUnavailableError, StoredEvent
from activities.tracing import sending
from schemas.outbound import OUTBOUND_EVENT, cloudevents_headers

ACKNOWLEDGEMENT_TIMEOUT: Final = timedelta(seconds=2.5)
"""For one request, and for connecting. An activity's attempt has 4 s, and the database needs its part of them."""
REQUEST_TIMEOUT: Final = timedelta(seconds=2)
"""For one answer of a broker, and for learning about the topic. Below `ACKNOWLEDGEMENT_TIMEOUT`, so that the error can
say why."""
CLOSE_TIMEOUT: Final = timedelta(seconds=3)
"""For each step of closing a producer; longer than anybody waits for an event that it still has in flight."""

_log = structlog.get_logger("activities.kafka")


class KafkaEventPublisher(EventPublisher):
    """Produces events keyed by their order, in CloudEvents binary mode; the value is the stored payload to the byte.

    The publisher connects at its first use. Events of one order that are published together travel as one batch of
    Kafka's, which the broker takes whole or not at all. What does not fit into it (16 KiB) is sent once it is
    acknowledged: were two batches under way at once, the first could fail and the second arrive. Under load each event
    of an order is awaited before the next is sent, and events of several orders travel in the same requests.

    An idempotent producer repeats a request for ever, and after a fatal error refuses everything (seen in aiokafka
    0.14). So a producer that fails, or does not answer in time, is replaced. Another producer's repeat may double an
    event, which consumers ignore by its id.
    """

    def __init__(
        self, *, bootstrap_servers: str, topic: str, source: str, security: Mapping[str, Any] | None = None
    ) -> None:
        """Connects to nothing yet.

        Args:
            bootstrap_servers: brokers to begin with, ``host:port`` separated by commas.
            topic: where events go; it must exist.
            source: the URI reference that names this installation, for ``ce_source``.
            security: aiokafka's options by which a client is let in; None for none.
        """
        self._topic = topic
        self._source = source
        self._options = {"bootstrap_servers": bootstrap_servers, **(security or {})}
        self._producer: AIOKafkaProducer | None = None
        self._starting = asyncio.Lock()
        self._closing: set[asyncio.Task[None]] = set()
        self._closed = False
        self._is_away = False
        """Whether Kafka has not acknowledged, and nothing since."""

    async def publish(self, events: tuple[StoredEvent, ...]) -> None:
        """See the port. A cancelled call may still have its events published, as one that failed may."""
        left = events
        while len(left) > 1 and (taken := await self._publish_together(left)):
            left = left[taken:]
        for event in left:
            await self._publish_one(event)

    async def close(self) -> None:
        """Ends all connections, within three times `CLOSE_TIMEOUT`; nothing can be published afterwards."""
        self._closed = True
        async with self._starting:
            if self._producer is not None:
                self._let_go(self._producer)
        if self._closing:
            await asyncio.wait(self._closing)

    async def _publish_together(self, events: tuple[StoredEvent, ...]) -> int:
        """Publishes as many of an order's events as one batch holds; returns how many, or 0 where each has to go alone.

        They do where others wait for the partition's next request: single events go along with it, and a batch would
        wait for it. Of many orders at a slow broker, each would wait for all others.
        """
        try:
            with ExitStack() as traces:
                async with self._acknowledged() as producer:
                    key, taken = events[0].order_id.encode(), 0
                    await producer.partitions_for(self._topic)
                    # As the producer chooses it for single events: an order's events are in one partition.
                    partition = producer._partition(self._topic, None, None, None, key, None)  # noqa: SLF001
                    queued = producer._message_accumulator._batches  # noqa: SLF001 -- nothing else tells
                    if queued.get(TopicPartition(self._topic, partition)):
                        return 0
                    batch = producer.create_batch()
                    for event in events:
                        value, headers = event.payload_json.encode(), self._headers(event)
                        if batch.append(timestamp=None, key=key, value=value, headers=headers) is None:
                            break
                        traces.enter_context(sending(self._topic, event.traceparent))
                        taken += 1
                    await (await producer.send_batch(batch, self._topic, partition=partition))
        except KafkaUnavailableError as error:
            if isinstance(error.__cause__, MessageSizeTooLargeError):
                return 0  # The topic takes less at once than a batch holds (`max.message.bytes`).
            raise
        return taken

    async def _publish_one(self, event: StoredEvent) -> None:
        key, value = event.order_id.encode(), event.payload_json.encode()
        with sending(self._topic, event.traceparent):
            async with self._acknowledged() as producer:
                await producer.send_and_wait(self._topic, key=key, value=value, headers=self._headers(event))

    def _headers(self, event: StoredEvent) -> list[tuple[str, bytes]]:
        body = OUTBOUND_EVENT.validate_json(event.payload_json)
        headers = cloudevents_headers(body, event_type=event.type, source=self._source)
        if event.traceparent is not None:
            headers["traceparent"] = event.traceparent
        return [(name, value.encode()) for name, value in headers.items()]

    @asynccontextmanager
    async def _acknowledged(self) -> AsyncIterator[AIOKafkaProducer]:
        """The present producer, for one request that is awaited in the block; one that fails is replaced."""
        producer = await self._started()
        try:
            async with asyncio.timeout(ACKNOWLEDGEMENT_TIMEOUT.total_seconds()):
                yield producer
        except (KafkaError, TimeoutError, OSError) as error:
            self._let_go(producer)
            raise self._unavailable(error) from error
        if self._is_away:
            self._is_away = False
            _log.info("worker.kafka.recovered")

    async def _started(self) -> AIOKafkaProducer:
        """The present producer; one caller makes it, the others wait."""
        try:
            # The wait for another's start counts: else callers would queue up behind a broker that does not answer.
            async with asyncio.timeout(ACKNOWLEDGEMENT_TIMEOUT.total_seconds()), self._starting:
                if self._closed:
                    raise KafkaUnavailableError("the worker is stopping")
                if self._producer is None:
                    self._producer = await self._start()
                return self._producer
        except (KafkaError, TimeoutError, OSError) as error:
            raise self._unavailable(error) from error

    async def _start(self) -> AIOKafkaProducer:
        producer = AIOKafkaProducer(
            **self._options,
            acks="all",
            enable_idempotence=True,
            linger_ms=0,  # Each event is awaited: lingering only costs time (measured 9,600/s at 5 ms, 73,000/s at 0).
            request_timeout_ms=int(REQUEST_TIMEOUT.total_seconds() * 1000),
        )
        try:
            await producer.start()
        except BaseException:
            self._let_go(producer)
            raise
        return producer

    def _let_go(self, producer: AIOKafkaProducer) -> None:
        """Closes a producer in the background. Whoever still awaits an acknowledgement of it may get it."""
        if producer is self._producer:
            self._producer = None
            _log.debug("publisher.producer.let_go")
        task = asyncio.create_task(_close(producer), name="close a Kafka producer")
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    def _unavailable(self, error: Exception) -> KafkaUnavailableError:
        """The error for the port, which is logged once for each outage."""
        unavailable = self._told(error)
        if not self._is_away:
            self._is_away = True
            action = "the orders wait, and their events are published once it takes them"
            _log.warning("worker.kafka.lost", detail=str(unavailable), action=action)
        return unavailable

    def _told(self, error: Exception) -> KafkaUnavailableError:
        if isinstance(error, UnknownTopicOrPartitionError):
            return KafkaUnavailableError(f"Kafka has no topic {self._topic}; run `orders migrate`")
        if isinstance(error, TimeoutError):
            return KafkaUnavailableError("Kafka did not acknowledge in time")
        # The class only: some of aiokafka's messages quote the request.
        return KafkaUnavailableError(f"Kafka did not acknowledge ({type(error).__name__})")


async def _close(producer: AIOKafkaProducer) -> None:
    """Closes a producer whatever state it is in.

    `AIOKafkaProducer.stop` waits for every event, which an idempotent producer repeats for ever, and cancelling it
    leaves its sender running (seen in aiokafka 0.14). It cannot give up, so its parts are ended one by one.
    """
    sender = producer._sender  # noqa: SLF001 # See above.
    # While this waits, whoever still awaits an event gets it, or gives up: `CLOSE_TIMEOUT` is the longer one.
    for end in (producer.flush, sender.close, producer.client.close):
        with suppress(Exception):
            async with asyncio.timeout(CLOSE_TIMEOUT.total_seconds()):
                await end()
    producer._closed = True  # noqa: SLF001 # Else it complains of not having been stopped.
