"""Polls that raise: nothing that a poll took and threw away is passed over, and no partition holds up another (I1)."""

import asyncio
from collections.abc import Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import CorruptRecordException, IllegalStateError, KafkaConnectionError, UnsupportedCodecError
from aiokafka.structs import OffsetAndMetadata, OffsetAndTimestamp
from structlog.testing import capture_logs

from bridge.config import BridgeConfig
from bridge.engine.offsets import OffsetTracker, Partition, UnexpectedDeliveryError
from bridge.health import Health
from bridge.kafka.beginnings import Beginnings
from bridge.kafka.poller import Poller
from bridge.kafka.positions import HOLD_SECONDS, Positions, is_of_one_partition
from tests.helpers.system.waiting import assert_eventually

A, B, C = (TopicPartition("t", number) for number in range(3))


@dataclass
class Consumed:
    """A record of which only its place counts."""

    topic: str
    partition: int
    offset: int
    timestamp: int = 0
    key: bytes | None = None
    value: bytes | None = b"v"
    headers: tuple[Any, ...] = ()
    checksum: None = None


@dataclass
class Log:
    end: int
    begin: int = 0
    damaged: int | None = None
    """The offset at which a poll raises."""


@dataclass
class RaisingConsumer:
    """As aiokafka 0.14: a poll goes from partition to partition, moves on in each that it empties, and may raise."""

    logs: dict[TopicPartition, Log]
    committed: dict[TopicPartition, int] = field(default_factory=dict)
    error: Exception = field(default_factory=lambda: CorruptRecordException("Invalid CRC"))
    positions: dict[TopicPartition, int] = field(default_factory=dict)
    pauses: set[TopicPartition] = field(default_factory=set)
    raised: int = 0
    asks_failing: int = 0
    """How many questions for what is committed get no answer."""
    whole_error: Exception | None = None
    """Raised by the next poll of whatever."""

    def __post_init__(self) -> None:
        self._coordinator = self
        self.assign(self.logs)

    def assign(self, partitions: Iterable[TopicPartition]) -> None:
        self.positions = {key: self.committed.get(key, self.logs[key].begin) for key in partitions}
        self.pauses = set()

    def assignment(self) -> frozenset[TopicPartition]:
        return frozenset(self.positions)

    async def fetch_committed_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, Any]:
        await asyncio.sleep(0)
        if self.asks_failing:
            self.asks_failing -= 1
            raise KafkaConnectionError("away")
        return {key: OffsetAndMetadata(self.committed[key], "") for key in partitions if key in self.committed}

    async def beginning_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        return {key: self.logs[key].begin for key in partitions}

    async def end_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        return {key: self.logs[key].end for key in partitions}

    async def offsets_for_times(self, times: dict[TopicPartition, int]) -> dict[TopicPartition, Any]:
        """As if the records were produced a second apart from 1970 on."""
        found = {key: max(self.logs[key].begin, time_ms // 1_000) for key, time_ms in times.items()}
        return {
            key: OffsetAndTimestamp(offset, offset * 1_000) if offset < self.logs[key].end else None
            for key, offset in found.items()
        }

    def partitions_for_topic(self, _topic: str) -> set[int]:
        return {key.partition for key in self.logs}

    def seek(self, partition: TopicPartition, offset: int) -> None:
        if partition not in self.positions:
            raise IllegalStateError(partition)
        self.positions[partition] = offset

    async def position(self, partition: TopicPartition) -> int:
        if partition not in self.positions:
            raise IllegalStateError(partition)
        return self.positions[partition]

    def pause(self, *partitions: TopicPartition) -> None:
        self.pauses |= set(partitions)

    def resume(self, *partitions: TopicPartition) -> None:
        self.pauses -= set(partitions)

    async def getmany(self, *partitions: Any, timeout_ms: int = 0, max_records: int = 500) -> dict[Any, Any]:
        await asyncio.sleep(0)
        if self.whole_error is not None:
            error, self.whole_error = self.whole_error, None
            raise error
        drained: dict[Any, Any] = {}
        for key in [one for one in self.positions if one not in self.pauses and (not partitions or one in partitions)]:
            log, position = self.logs[key], self.positions[key]
            offsets = range(position, min(log.end, position + max_records))
            if log.damaged in offsets:
                self.raised += 1
                raise self.error  # And `drained` is thrown away, though the positions have moved on.
            if offsets:
                drained[key] = [Consumed(key.topic, key.partition, offset) for offset in offsets]
                self.positions[key] = offsets.stop
                max_records -= len(offsets)
        if not drained:
            await asyncio.sleep(timeout_ms / 1000)
        return drained


class TakingEngine:
    """Takes everything, and has it settled at once."""

    free_records, has_more_ready, records_taken = 2_000, False, 0

    def __init__(self, tracker: OffsetTracker) -> None:
        self.tracker = tracker
        self.taken: dict[TopicPartition, list[int]] = {}

    def update_paused(self) -> bool:
        return False

    async def take_in_turns(self, batches: dict[Partition, Iterable[Any]]) -> None:
        for partition, records in batches.items():
            self.take(partition, records)

    def take(self, partition: Partition, records: Iterable[Any]) -> None:
        for record in records:
            self.records_taken += 1
            ticket = self.tracker.deliver(partition, record)
            assert ticket is not None
            self.taken.setdefault(TopicPartition(*partition), []).append(record.offset)
            self.tracker.settle(ticket)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


class Bench:
    """A poller over a consumer that raises."""

    def __init__(self, consumer: RaisingConsumer) -> None:
        self.consumer, self.tracker, self.health, self.clock = consumer, OffsetTracker(), Health(), Clock()
        self.engine = TakingEngine(self.tracker)
        config = BridgeConfig("g", "dead")
        beginnings = Beginnings(consumer, self.tracker, config)
        self.positions = Positions(consumer, self.tracker, beginnings, self.clock)
        engine: Any = self.engine
        self.poller = Poller(
            consumer, engine, positions=self.positions, beginnings=beginnings, health=self.health, config=config
        )
        self.assign(consumer.logs)

    def assign(self, partitions: Iterable[TopicPartition]) -> None:
        self.consumer.assign(partitions)
        self.tracker.assign({Partition(*key) for key in partitions})

    @asynccontextmanager
    async def polling(self) -> Any:
        """Polls meanwhile; raises what the poll loop raises."""
        running = asyncio.create_task(self.poller.run(lambda: None))
        try:
            yield running
        finally:
            self.poller.stop()
            await running

    def has_all(self, *partitions: TopicPartition) -> bool:
        """Whether each offset was taken, once and in order, from where the partition began."""
        logs = self.consumer.logs
        firsts = {key: self.consumer.committed.get(key, logs[key].begin) for key in partitions}
        return all(self.engine.taken.get(key) == list(range(firsts[key], logs[key].end)) for key in partitions)


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge.kafka.poller._FAILED_POLL_PAUSE_SECONDS", 0.01)


@pytest.mark.parametrize(
    "error", [CorruptRecordException("Invalid CRC"), UnsupportedCodecError("7"), MemoryError(), ValueError("whatever")]
)
@pytest.mark.parametrize("damaged", [0, 3, 150])
async def test_what_a_poll_threw_away_is_taken_and_only_the_damaged_partition_waits(
    error: Exception, damaged: int
) -> None:
    """I1, I2, I10: in each place of the poll's round, with a committed offset, with a beginning, and with neither."""
    consumer = RaisingConsumer(
        {A: Log(900), B: Log(200, damaged=damaged), C: Log(700, begin=40)}, committed={A: 600}, error=error
    )
    bench = Bench(consumer)
    with capture_logs() as logs:
        async with bench.polling():
            await assert_eventually(lambda: bench.has_all(A, C) and bench.positions.held)
            consumer.logs[A].end = consumer.logs[C].end = 1_000
            await assert_eventually(lambda: bench.has_all(A, C))
    assert bench.engine.taken.get(B, []) == list(range(damaged)), "what is before the damage is taken, and no more"
    assert bench.positions.held == (f"t:1:{damaged}",)
    assert consumer.pauses == {B}
    commits = {key: commit.offset for key, commit in bench.tracker.committable().items()}
    assert commits.get(Partition(*B), 0) == damaged
    said = [entry["event"] for entry in logs if entry["event"] != "bridge.topic.begins"]
    assert said == ["bridge.partition.held"], "said once"
    assert bench.health.troubled == frozenset(), "Kafka is not away"


async def test_a_held_partition_is_tried_again_and_goes_on_where_it_was_held() -> None:
    consumer = RaisingConsumer({A: Log(10), B: Log(20, damaged=5)})
    bench = Bench(consumer)
    with capture_logs() as logs:
        async with bench.polling():
            await assert_eventually(lambda: bench.positions.held and bench.has_all(A))
            before = consumer.raised
            bench.clock.now += HOLD_SECONDS
            await assert_eventually(lambda: consumer.raised > before and consumer.pauses == {B})
            assert bench.positions.held == ("t:1:5",)
            consumer.logs[B].damaged = None
            bench.clock.now += HOLD_SECONDS
            await assert_eventually(lambda: bench.has_all(A, B))
            bench.poller._careful_until = 0.0
            await assert_eventually(lambda: not bench.positions.held)
    said = [entry["event"] for entry in logs if entry["event"] != "bridge.topic.begins"]
    assert said == ["bridge.partition.held", "bridge.partition.released"]


async def test_nothing_is_polled_until_it_is_known_where_to_go_back_to() -> None:
    consumer = RaisingConsumer({A: Log(10), B: Log(20, damaged=5)}, committed={A: 4}, asks_failing=3)
    bench = Bench(consumer)
    async with bench.polling():
        await assert_eventually(lambda: bench.has_all(A) and bench.positions.held)
    assert consumer.asks_failing == 0
    assert consumer.positions[A] == 10


async def test_what_is_no_partition_s_holds_none() -> None:
    bench = Bench(RaisingConsumer({A: Log(10), B: Log(10)}))
    async with bench.polling():
        await assert_eventually(lambda: bench.has_all(A, B))
        for _ in range(2):  # The second while each partition is polled for itself.
            bench.consumer.whole_error = KafkaConnectionError("away")
            await assert_eventually(lambda: bench.consumer.whole_error is None and bench.health.troubled)
    assert bench.positions.held == ()


async def poll_until_it_ends(bench: Bench, *, is_careful: bool) -> None:
    """Polls, after a failed poll or without one, until the loop has ended by what happens to B from now on."""
    async with bench.polling() as polling:
        await assert_eventually(lambda: bench.has_all(A, B))
        if is_careful:
            bench.consumer.whole_error = KafkaConnectionError("away")
            await assert_eventually(lambda: bench.consumer.whole_error is None and not bench.poller._must_go_back)
        bench.consumer.positions[B] = 0
        await assert_eventually(polling.done)


@pytest.mark.parametrize("is_careful", [False, True])
async def test_a_delivery_that_cannot_be_ends_the_poll_loop_also_while_polls_are_careful(is_careful: bool) -> None:
    """I2: a topic that was made anew begins at offset 0 again, where the client goes by itself."""
    bench = Bench(RaisingConsumer({A: Log(10), B: Log(10)}))
    with pytest.raises(UnexpectedDeliveryError, match="t:1"):
        await poll_until_it_ends(bench, is_careful=is_careful)
    assert bench.positions.held == (), "nothing is wrong with the partition's bytes"


@pytest.mark.parametrize("is_careful", [False, True])
async def test_a_mistake_of_the_engine_is_not_taken_for_damaged_bytes(
    is_careful: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(RaisingConsumer({A: Log(10), B: Log(10)}))
    deliver = bench.tracker.deliver

    def deliver_once(partition: Partition, record: Any) -> Any:
        if record.offset in bench.engine.taken.get(TopicPartition(*partition), []):
            raise ZeroDivisionError
        return deliver(partition, record)

    monkeypatch.setattr(bench.tracker, "deliver", deliver_once)
    with pytest.raises(ZeroDivisionError):
        await poll_until_it_ends(bench, is_careful=is_careful)


async def test_a_new_assignment_begins_without_holds_and_where_it_has_to() -> None:
    """The client begins each assignment by itself, so nothing of the last one may move it."""
    consumer = RaisingConsumer({A: Log(10), B: Log(20, damaged=5)})
    bench = Bench(consumer)
    async with bench.polling():
        await assert_eventually(lambda: bench.positions.held and bench.has_all(A))
    consumer.committed, consumer.logs[B].damaged = {A: 8, B: 5}, None
    bench.tracker.revoke()
    consumer.assign([A, B])
    await bench.positions.go_back()
    await bench.positions.hold(B, ValueError())
    assert (consumer.positions, consumer.pauses) == ({A: 8, B: 5}, set()), "not ours yet"
    bench.assign([A, B])
    assert bench.positions.held == ()
    assert not bench.positions.retry_due()


async def test_a_rebalance_while_it_is_asked_where_to_go_back_to_moves_nothing() -> None:
    consumer = RaisingConsumer({A: Log(10)}, committed={A: 4})
    bench = Bench(consumer)
    going_back = asyncio.create_task(bench.positions.go_back())
    await asyncio.sleep(0)
    bench.assign([A])
    consumer.positions[A] = 7
    await going_back
    assert consumer.positions == {A: 7}


def test_what_concerns_all_partitions_is_told_from_what_concerns_one() -> None:
    assert is_of_one_partition(UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"))
    assert is_of_one_partition(CorruptRecordException("Invalid CRC"))
    assert not is_of_one_partition(KafkaConnectionError("away"))
