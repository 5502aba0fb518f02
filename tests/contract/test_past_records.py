"""Reading records once more: the same of a log in memory and of Kafka."""

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Protocol

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.records_to_delete import RecordsToDelete

from bridge.config import BridgeConfig, Kafka
from bridge.decisions import Decision, classify_kafka_error
from bridge.engine.offsets import Partition, UnexpectedDeliveryError
from bridge.engine.rereader import Found, OffsetsGoneError, PastRecords
from bridge.kafka import past_records
from bridge.kafka.past_records import KafkaPastRecords
from bridge.record import Record
from stack.endpoints import Endpoints
from tests.helpers.messages.kafka_io import Outgoing, delete_topics, produce, read_partition
from tests.helpers.past_log import InMemoryPastRecords
from tests.helpers.system.bridge_room import create_topics
from tests.helpers.system.waiting import assert_eventually

PARTITIONS = 3


class Log(Protocol):
    """A topic of three partitions, and what reads it once more."""

    topic: str
    source: PastRecords

    async def append(self, partition: int, values: Sequence[str]) -> None:
        """Adds records."""
        ...

    async def leave_a_hole(self, partition: int, value: str) -> None:
        """Adds a record, and uses up the offset behind it."""
        ...

    async def delete_below(self, partition: int, offset: int) -> None:
        """Takes the first records out, as retention does."""
        ...


class LogInMemory:
    def __init__(self) -> None:
        self.topic = "t"
        self.records = InMemoryPastRecords()
        self.source: PastRecords = self.records
        self._ends = dict.fromkeys(range(PARTITIONS), 0)

    async def append(self, partition: int, values: Sequence[str]) -> None:
        for value in values:
            self.records.append([Record("t", partition, self._ends[partition], 0, None, value.encode())])
            self._ends[partition] += 1

    async def leave_a_hole(self, partition: int, value: str) -> None:
        await self.append(partition, [value])
        self._ends[partition] += 1
        self.records.holes_until[Partition("t", partition)] = self._ends[partition]

    async def delete_below(self, partition: int, offset: int) -> None:
        self.records.delete_below(Partition("t", partition), offset)


class LogInKafka:
    def __init__(self, servers: str, topic: str) -> None:
        self.topic, self.servers = topic, servers
        self.source: PastRecords = KafkaPastRecords(BridgeConfig("g", "dead"), Kafka(servers))

    async def append(self, partition: int, values: Sequence[str]) -> None:
        await produce(self.servers, [Outgoing(self.topic, value.encode(), partition=partition) for value in values])

    async def leave_a_hole(self, partition: int, value: str) -> None:
        """The marker behind a transaction takes an offset, and is delivered to nobody."""
        producer = AIOKafkaProducer(bootstrap_servers=self.servers, transactional_id=uuid.uuid4().hex)
        await producer.start()
        try:
            async with producer.transaction():
                await producer.send_and_wait(self.topic, value.encode(), partition=partition)
        finally:
            await producer.stop()
        # The marker is written a moment after the transaction counts as committed.
        await assert_eventually(self._ends_with_a_marker(partition), 30)

    def _ends_with_a_marker(self, partition: int) -> Callable[[], Awaitable[bool]]:
        async def ends() -> bool:
            records = await read_partition(self.servers, self.topic, partition)
            async with AIOKafkaConsumer(bootstrap_servers=self.servers) as consumer:
                key = TopicPartition(self.topic, partition)
                end: int = (await consumer.end_offsets([key]))[key]
                return end == records[-1].offset + 2

        return ends

    async def delete_below(self, partition: int, offset: int) -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=self.servers)
        await admin.start()
        try:
            await admin.delete_records({TopicPartition(self.topic, partition): RecordsToDelete(before_offset=offset)})
        finally:
            await admin.close()


@pytest.fixture(params=["memory", "kafka"])
async def log(request: pytest.FixtureRequest) -> AsyncIterator[Log]:
    if request.param == "memory":
        yield LogInMemory()
        return
    endpoints: Endpoints = request.getfixturevalue("endpoints")
    servers, topic = endpoints.kafka_bootstrap_servers, f"past-{uuid.uuid4().hex[:8]}"
    await create_topics(servers, [topic], PARTITIONS)
    made = LogInKafka(servers, topic)
    try:
        yield made
    finally:
        await made.source.close()
        await delete_topics(servers, [topic])


async def read_all(log: Log, partition: int, offsets: Sequence[int]) -> tuple[dict[int, str], list[int]]:
    """Reads until all of the offsets were looked at; what is there, and what is gone."""
    left = list(offsets)
    there: dict[int, str] = {}
    gone: list[int] = []
    for _ in range(200):
        if not left:
            return there, gone
        found: Found = await log.source.read(Partition(log.topic, partition), left)
        there.update({record.offset: (record.value or b"").decode() for record in found.records})
        assert set(there) <= set(offsets)
        gone += [offset for offset in left if offset < found.looked_below and offset not in there]
        left = [offset for offset in left if offset >= found.looked_below]
    raise AssertionError(f"not read: {left}")


async def test_wanted_records_are_read_and_no_others(log: Log) -> None:
    await log.append(0, [f"v-{number}" for number in range(50)])
    wanted = [3, 4, 5, 17, 49]
    assert await read_all(log, 0, wanted) == ({offset: f"v-{offset}" for offset in wanted}, [])


async def test_a_later_read_may_begin_anywhere(log: Log) -> None:
    await log.append(0, [f"v-{number}" for number in range(5_000)])
    for wanted in ([10, 11], [12], [4_999], [0, 1], [2_500, 2_600], [1], [13]):
        assert await read_all(log, 0, wanted) == ({offset: f"v-{offset}" for offset in wanted}, [])


async def test_partitions_are_read_in_turns(log: Log) -> None:
    for partition in range(PARTITIONS):
        await log.append(partition, [f"{partition}-{number}" for number in range(30)])
    for begin in range(0, 30, 10):
        for partition in range(PARTITIONS):
            wanted = list(range(begin, begin + 10))
            assert await read_all(log, partition, wanted) == ({one: f"{partition}-{one}" for one in wanted}, [])


async def test_an_offset_without_a_record_is_looked_at_and_gone(log: Log) -> None:
    await log.append(0, ["a", "b"])
    await log.leave_a_hole(0, "c")
    await log.append(0, ["d"])
    assert await read_all(log, 0, [1, 2, 3, 4]) == ({1: "b", 2: "c", 4: "d"}, [3])


async def test_an_offset_below_the_beginning_is_gone_with_all_before_the_beginning(log: Log) -> None:
    await log.append(0, [f"v-{number}" for number in range(20)])
    assert await read_all(log, 0, [0]) == ({0: "v-0"}, [])
    await log.delete_below(0, 15)
    with pytest.raises(OffsetsGoneError) as caught:
        await read_all(log, 0, [3, 16])
    assert caught.value.beginning == 15
    assert await read_all(log, 0, [15, 19]) == ({15: "v-15", 19: "v-19"}, [])


async def test_an_offset_beyond_the_end_was_never_there(log: Log) -> None:
    """It was delivered before, so this is another topic of the name."""
    await log.append(0, ["a"])
    with pytest.raises(UnexpectedDeliveryError):
        await read_all(log, 0, [1_000])


async def test_it_may_be_closed_and_read_from_again(log: Log) -> None:
    await log.append(0, ["a", "b"])
    for _ in range(2):
        assert await read_all(log, 0, [1]) == ({1: "b"}, [])
        await log.source.close()
        await log.source.close()


async def test_more_partitions_than_are_kept_ready_are_read_all_the_same(
    endpoints: Endpoints, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(past_records, "_PARTITIONS_MAX", 2)
    servers, topic = endpoints.kafka_bootstrap_servers, f"past-{uuid.uuid4().hex[:8]}"
    await create_topics(servers, [topic], PARTITIONS)
    log = LogInKafka(servers, topic)
    try:
        for partition in range(PARTITIONS):
            await log.append(partition, ["a", "b", "c"])
        for offset in range(3):
            for partition in range(PARTITIONS):
                assert await read_all(log, partition, [offset]) == ({offset: "abc"[offset]}, [])
    finally:
        await log.source.close()
        await delete_topics(servers, [topic])


async def test_a_kafka_that_is_away_is_an_outage_within_bounds() -> None:
    source = KafkaPastRecords(BridgeConfig("g", "dead"), Kafka("127.0.0.1:1"))
    with pytest.raises(Exception) as caught:  # noqa: PT011 -- whatever it is, it is classified as an outage
        await source.read(Partition("t", 0), [0])
    assert classify_kafka_error(caught.value) is Decision.TRANSIENT
    await source.close()


async def test_an_offset_without_a_record_behind_it_is_looked_at_and_gone(log: Log) -> None:
    await log.append(0, ["a"])
    await log.leave_a_hole(0, "b")
    assert await read_all(log, 0, [1, 2]) == ({1: "b"}, [2])
