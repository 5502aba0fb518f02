"""Reading a topic from its beginning to its end, or on and on: published events as they stand in Kafka."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from orders.clients.kafka import existing_partitions, kafka_consumer, kafka_unreachable
from orders.clients.opened import Clients
from orders.errors import UnreachableError

_POLL_MS = 250


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

    Args:
        clients: lead to Kafka.
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
            yield _batches(consumer, ends, follow=follow)
        except (KafkaError, TimeoutError) as error:
            raise UnreachableError(f"{kafka_unreachable(clients.settings)} ({type(error).__name__})") from error


async def _batches(
    consumer: AIOKafkaConsumer, ends: dict[TopicPartition, int], *, follow: bool
) -> AsyncIterator[list[ReadRecord]]:
    while follow or not await _is_read(consumer, ends):
        polled = await consumer.getmany(timeout_ms=_POLL_MS)
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
