"""Reading a topic from its beginning to its end, or on and on: published events as they stand in Kafka."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from orders.clients.kafka import existing_partitions, kafka_consumer, kafka_unreachable
from orders.clients.opened import Clients
from orders.errors import UnreachableError

_POLL_MS = 250
SILENCE_SECONDS: Final = 5.0
"""Nothing has come for so long: Kafka is asked whether it is there. Its client waits for ever, without a word."""


@dataclass(frozen=True, slots=True)
class ReadRecord:
    """A record as it was read, with its bytes as they came."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]

    def header(self, name: str) -> str | None:
        """The last header of that name as text; None where there is none."""
        values = [value for key, value in self.headers if key == name and value is not None]
        return values[-1].decode(errors="replace") if values else None


@asynccontextmanager
async def topic_batches(
    clients: Clients, topic: str, *, follow: bool, from_end: bool = False
) -> AsyncIterator[AsyncIterator[list[ReadRecord]]]:
    """A topic's records in batches; within a partition in order.

    The consumer is closed with the block and not with the loop, whose end would cancel the consumer's own tasks first.

    Where Kafka goes away on the way, whoever follows waits for it: a note says so, another one that it is back, and
    nothing is missed. Who does not follow is told by the error.

    Args:
        clients: lead to Kafka, and take the notes.
        topic: what is read.
        follow: whether to go on with what comes later; then the batches never end by themselves, and an empty one says
            that nothing has come for a while.
        from_end: whether to begin with what comes from now on, which is when the block is entered.

    Raises:
        UnreachableError: Kafka does not answer.
        NotFoundError: there is no such topic.
    """
    async with kafka_consumer(clients.settings) as consumer:
        try:
            partitions = await existing_partitions(await clients.kafka_admin(), clients.settings, [topic])
            consumer.assign(partitions)
            ends = await consumer.end_offsets(partitions)
            starts = ends if from_end else await consumer.beginning_offsets(partitions)
            for partition, offset in starts.items():
                consumer.seek(partition, offset)
            yield _batches(consumer, ends, _Answering(consumer, clients, waits=follow), follow=follow)
        except (KafkaError, TimeoutError) as error:
            raise UnreachableError(f"{kafka_unreachable(clients.settings)} ({type(error).__name__})") from error


class _Answering:
    """Whether Kafka answers, asked while nothing comes.

    Args:
        consumer: whose connections are asked by.
        clients: whose notes say that Kafka is away, and back.
        waits: whether to wait for it.
    """

    def __init__(self, consumer: AIOKafkaConsumer, clients: Clients, *, waits: bool) -> None:
        self._consumer = consumer
        self._settings = clients.settings
        self._note = clients.note
        self._waits = waits
        self._heard_at = time.monotonic()
        self._is_away = False

    async def look(self, *, came: bool) -> None:
        """Looks once, after each poll.

        Raises:
            UnreachableError: Kafka does not answer, and is not waited for.
        """
        if not came:
            if time.monotonic() - self._heard_at < SILENCE_SECONDS:
                return
            came = await self._answers()
        self._heard_at = time.monotonic()
        if came and self._is_away:
            self._note(f"Kafka answers again at {self._settings.kafka_bootstrap_servers}")
        elif not came and not self._waits:
            raise UnreachableError(kafka_unreachable(self._settings))
        elif not came and not self._is_away:
            self._note(
                f"Kafka does not answer any more at {self._settings.kafka_bootstrap_servers}: this waits for it, and "
                "goes on where it was"
            )
        self._is_away = not came

    async def _answers(self) -> bool:
        try:
            async with asyncio.timeout(self._settings.kafka_request_timeout_seconds):
                await self._consumer.topics()
        except (KafkaError, TimeoutError, OSError):
            return False
        return True


async def _batches(
    consumer: AIOKafkaConsumer, ends: dict[TopicPartition, int], answering: _Answering, *, follow: bool
) -> AsyncIterator[list[ReadRecord]]:
    while follow or not await _is_read(consumer, ends):
        polled = await consumer.getmany(timeout_ms=_POLL_MS)
        await answering.look(came=bool(polled))
        yield [
            _record(record)
            for partition, records in polled.items()
            for record in records
            if follow or record.offset < ends[partition]
        ]


async def _is_read(consumer: AIOKafkaConsumer, ends: dict[TopicPartition, int]) -> bool:
    return all([await consumer.position(partition) >= end for partition, end in ends.items()])


def _record(record: "ConsumerRecord[Any, Any]") -> ReadRecord:
    return ReadRecord(
        record.topic,
        record.partition,
        record.offset,
        record.timestamp,
        record.key,
        record.value,
        tuple(record.headers),
    )
