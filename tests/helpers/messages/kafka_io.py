"""What tests say to Kafka and read back from it: raw bytes both ways, with coordinates."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.records_to_delete import RecordsToDelete
from aiokafka.errors import GroupCoordinatorNotAvailableError, KafkaError
from aiokafka.protocol.group import LeaveGroupRequest
from aiokafka.structs import OffsetAndMetadata

from bridge.kafka.lenient_records import read_leniently
from tests.helpers.system.waiting import POLL_INTERVAL_SECONDS, patient_timeout

READ_DEADLINE_SECONDS = 30.0
"""Reading a test's topic to its end takes milliseconds; far longer means a broken server, and fails the test."""


Header = tuple[str, bytes | None]
"""A header's name and value; Kafka allows a value of null."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A record that a test is about to produce."""

    topic: str
    value: bytes | None
    key: bytes | None = None
    headers: tuple[Header, ...] = ()
    """A name may have been made by `tests.helpers.messages.raw_batches.raw_name`."""
    partition: int | None = None


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """A record as Kafka holds it."""

    topic: str
    partition: int
    offset: int
    value: bytes | None
    key: bytes | None = None
    headers: tuple[Header, ...] = ()
    timestamp_ms: int = 0

    @property
    def coordinates(self) -> tuple[str, int, int]:
        """Topic, partition and offset: the record's name in the world."""
        return self.topic, self.partition, self.offset

    def header(self, name: str) -> str | None:
        """The last header of this name as text; None where there is none."""
        values = [value for key, value in self.headers if key == name]
        return (values[-1] or b"").decode("utf-8", "replace") if values else None


@dataclass(frozen=True, slots=True)
class PartitionOffsets:
    """Where a partition begins and ends, and how far the group says it is."""

    topic: str
    partition: int
    begin: int
    end: int
    committed: int | None
    """None where the group never committed."""

    @property
    def drained(self) -> bool:
        """Whether everything in the partition is committed; an empty one needs no commit."""
        return self.end in (self.begin, self.committed)


async def produce(bootstrap_servers: str, records: Iterable[Outgoing]) -> list[tuple[str, int, int]]:
    """Produces the records in this order and returns their coordinates once all are acknowledged."""
    async with AIOKafkaProducer(bootstrap_servers=bootstrap_servers, acks="all", linger_ms=0) as producer:
        futures = [await _send(producer, record) for record in records]
        acknowledged = await asyncio.gather(*futures)
    return [(record.topic, record.partition, record.offset) for record in acknowledged]


async def _send(producer: AIOKafkaProducer, record: Outgoing) -> Any:
    from tests.helpers.messages.raw_batches import is_raw, send_batch  # noqa: PLC0415 -- it has need of this module

    if is_raw(record):
        return await send_batch(producer, [record])
    return await producer.send(
        record.topic, value=record.value, key=record.key, headers=list(record.headers), partition=record.partition
    )


async def read_topics(bootstrap_servers: str, topics: Sequence[str]) -> dict[str, list[StoredRecord]]:
    """Everything that the topics hold at this moment, each topic by partition and offset."""
    found = await _read(bootstrap_servers, await partitions_of(bootstrap_servers, topics))
    return {topic: [record for record in found if record.topic == topic] for topic in topics}


async def read_partition(bootstrap_servers: str, topic: str, partition: int) -> list[StoredRecord]:
    """Everything that one partition holds at this moment, by offset."""
    return await _read(bootstrap_servers, [TopicPartition(topic, partition)])


async def _read(bootstrap_servers: str, partitions: list[TopicPartition]) -> list[StoredRecord]:
    async with patient_timeout(READ_DEADLINE_SECONDS), _reader(bootstrap_servers) as consumer:
        ends = await consumer.end_offsets(partitions)
        begins = await consumer.beginning_offsets(partitions)
        consumer.assign(partitions)
        for partition in partitions:
            consumer.seek(partition, begins[partition])
        found: list[StoredRecord] = []
        while any([await consumer.position(partition) < ends[partition] for partition in partitions]):
            for batch in (await consumer.getmany(timeout_ms=200)).values():
                found.extend(_stored(record) for record in batch)
    return sorted(found, key=lambda record: record.coordinates)


async def read_topic(bootstrap_servers: str, topic: str) -> list[StoredRecord]:
    """Everything that the topic holds at this moment."""
    return (await read_topics(bootstrap_servers, [topic]))[topic]


async def group_offsets(bootstrap_servers: str, group_id: str, topics: Sequence[str]) -> list[PartitionOffsets]:
    """Begin, end and committed offset of every partition of the topics; waits for a broker that only comes back."""
    async with patient_timeout(READ_DEADLINE_SECONDS):
        while True:
            try:
                return await _group_offsets(bootstrap_servers, group_id, topics)
            except KafkaError as error:
                # A broker that was frozen, or is starting, answers before the cluster counts it as there.
                if not error.retriable:
                    raise
            await asyncio.sleep(POLL_INTERVAL_SECONDS)


async def _group_offsets(bootstrap_servers: str, group_id: str, topics: Sequence[str]) -> list[PartitionOffsets]:
    committed = await commits_of(bootstrap_servers, group_id)
    partitions = await partitions_of(bootstrap_servers, topics)
    async with _reader(bootstrap_servers) as consumer:
        # Ends are read after commits: a commit beyond the end is then a fact and no race.
        ends = await consumer.end_offsets(partitions)
        begins = await consumer.beginning_offsets(partitions)
    return [
        PartitionOffsets(
            topic=partition.topic,
            partition=partition.partition,
            begin=begins[partition],
            end=ends[partition],
            committed=committed[partition].offset if partition in committed else None,
        )
        for partition in partitions
    ]


async def commits_of(bootstrap_servers: str, group_id: str) -> dict[TopicPartition, OffsetAndMetadata]:
    """What the group has committed, with its metadata."""
    async with patient_timeout(READ_DEADLINE_SECONDS), _admin(bootstrap_servers) as admin:
        coordinator = await _coordinator(admin, group_id)
        return dict(await admin.list_consumer_group_offsets(group_id, coordinator))


async def group_is_stable(bootstrap_servers: str, group_id: str, *, members: int = 1) -> bool:
    """Whether the group has exactly so many members and is not rebalancing."""
    async with _group(bootstrap_servers, group_id) as (_, _, group):
        return bool(group["state"] == "Stable" and len(group["members"]) == members)


async def group_members(bootstrap_servers: str, group_id: str) -> frozenset[str]:
    """The ids of the group's members. A member that leaves and comes back has another one."""
    async with _group(bootstrap_servers, group_id) as (_, _, group):
        return frozenset(member["member_id"] for member in group["members"])


async def remove_members(bootstrap_servers: str, group_id: str) -> None:
    """Takes every member out of the group, as Kafka does with one whose session has timed out, without that wait."""
    async with _group(bootstrap_servers, group_id) as (admin, coordinator, group):
        for member in group["members"]:
            await admin._send_request(LeaveGroupRequest(group_id, member["member_id"]), coordinator)


@asynccontextmanager
async def _group(bootstrap_servers: str, group_id: str) -> AsyncIterator[tuple[Any, int, dict[str, Any]]]:
    """A client, the group's coordinator, and what that says of the group."""
    async with patient_timeout(READ_DEADLINE_SECONDS), _admin(bootstrap_servers) as admin:
        coordinator = await _coordinator(admin, group_id)
        (response,) = await admin.describe_consumer_groups([group_id], coordinator)
        (group,) = response.to_object()["groups"]
        yield admin, coordinator, group


async def delete_topics(bootstrap_servers: str, topics: Sequence[str]) -> None:
    """Deletes the topics; those that are not there are ignored."""
    async with patient_timeout(READ_DEADLINE_SECONDS), _admin(bootstrap_servers) as admin:
        await admin.delete_topics(list(topics))


async def delete_records(bootstrap_servers: str, topic: str, partition: int) -> None:
    """Deletes all that a partition holds, as retention does."""
    everything = {TopicPartition(topic, partition): RecordsToDelete(before_offset=-1)}
    async with patient_timeout(READ_DEADLINE_SECONDS), _admin(bootstrap_servers) as admin:
        await admin.delete_records(everything)


@asynccontextmanager
async def _reader(bootstrap_servers: str) -> AsyncIterator[Any]:
    read_leniently()
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap_servers,
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    try:
        await consumer.start()
        yield consumer
    finally:
        await consumer.stop()


@asynccontextmanager
async def _admin(bootstrap_servers: str) -> AsyncIterator[Any]:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    try:
        await admin.start()
        yield admin
    finally:
        await admin.close()


async def partitions_of(bootstrap_servers: str, topics: Sequence[str]) -> list[TopicPartition]:
    """Every partition of the topics."""
    async with _admin(bootstrap_servers) as admin:
        described = await admin.describe_topics(list(topics))
    unknown = [topic["topic"] for topic in described if topic["error_code"]]
    if unknown:
        raise LookupError(f"Kafka does not know the topics {', '.join(unknown)}")
    return sorted(
        TopicPartition(topic["topic"], partition["partition"])
        for topic in described
        for partition in topic["partitions"]
    )


async def _coordinator(admin: Any, group_id: str) -> int:
    """The group's coordinator; asked again while Kafka makes its offsets topic, which the first group of all causes."""
    while True:
        try:
            return int(await admin.find_coordinator(group_id))
        except GroupCoordinatorNotAvailableError:
            await asyncio.sleep(0.1)


def _stored(record: Any) -> StoredRecord:
    return StoredRecord(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        value=record.value,
        key=record.key,
        headers=tuple(record.headers),
        timestamp_ms=record.timestamp,
    )
