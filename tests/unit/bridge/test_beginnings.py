"""Where reading begins in a new group, and what is said and done where Kafka has deleted what was next."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import NoOffsetForPartitionError, OffsetOutOfRangeError
from structlog.testing import capture_logs

from bridge.config import Begin, BridgeConfig
from bridge.engine.offsets import OffsetTracker, Partition, UnexpectedDeliveryError
from bridge.engine.settled_beyond import settled_beyond
from bridge.kafka.beginnings import Beginnings, is_of_a_position
from bridge.record import Record
from tests.unit.bridge.test_positions import A, B, Log, RaisingConsumer


def make(consumer: RaisingConsumer, begin: Begin = "earliest") -> tuple[Beginnings, OffsetTracker]:
    tracker = OffsetTracker()
    tracker.assign({Partition(*key) for key in consumer.logs})
    return Beginnings(consumer, tracker, BridgeConfig("g", "dead", begin=begin, begin_setting="BEGIN")), tracker


def committable(tracker: OffsetTracker) -> dict[TopicPartition, int]:
    return {TopicPartition(*key): commit.offset for key, commit in tracker.committable().items()}


@pytest.mark.parametrize(
    ("begin", "positions", "records"),
    [
        ("earliest", {A: 40, B: 0}, 60 + 5),
        ("latest", {A: 100, B: 5}, 0),
        (datetime(1970, 1, 1, 0, 1, tzinfo=UTC), {A: 60, B: 5}, 40),
    ],
)
async def test_a_new_group_begins_where_it_is_told_and_says_what_it_reads(
    begin: Begin, positions: dict[TopicPartition, int], records: int
) -> None:
    consumer = RaisingConsumer({A: Log(100, begin=40), B: Log(5)})
    beginnings, tracker = make(consumer, begin)
    with capture_logs() as logs:
        await beginnings.begin([A, B])
    assert consumer.positions == positions
    assert committable(tracker) == positions, "so that another start goes on from there"
    (said,) = logs
    assert said["event"] == "bridge.topic.begins"
    assert (said["topic"], said["partitions"], said["records"]) == ("t", "0-1", records)
    assert said["records_passed_by"] == 65 - records
    assert said["offsets"] == {0: f"{positions[A]}..100", 1: f"{positions[B]}..5"}
    assert said["oldest_record"] == "1970-01-01T00:00:00+00:00"
    assert "BEGIN" in said["action"]


async def test_a_topic_that_has_nothing_yet_is_told_in_a_few_words() -> None:
    with capture_logs() as logs:
        await make(RaisingConsumer({A: Log(0), B: Log(0)}), "earliest")[0].begin([A, B])
    (said,) = logs
    assert (said["partitions"], said["records"], said["records_passed_by"]) == ("0-1", 0, 0)
    assert {said[name] for name in ("offsets", "oldest_record", "detail", "action")} == {None}


async def test_a_partition_begins_once_whoever_asks_for_it() -> None:
    """A poll that found no position asks as the assignment does; by then records may have come."""
    consumer = RaisingConsumer({A: Log(100)})
    beginnings, tracker = make(consumer, "latest")
    await beginnings.begin([A])
    consumer.logs[A] = Log(101)
    with capture_logs() as logs:
        await beginnings.begin([A])
    assert (consumer.positions, committable(tracker), logs) == ({A: 100}, {A: 100}, [])


async def test_a_partition_that_a_topic_got_later_is_read_whole_also_by_a_group_that_began_with_the_latest() -> None:
    consumer = RaisingConsumer({A: Log(100), B: Log(5)}, committed={A: 70})
    beginnings, _ = make(consumer, "latest")
    await beginnings.begin([B])
    assert consumer.positions == {A: 70, B: 0}


async def test_records_that_kafka_deleted_before_they_were_read_are_counted_aloud_and_reading_goes_on() -> None:
    consumer = RaisingConsumer({A: Log(100, begin=40)}, committed={A: 25})
    beginnings, tracker = make(consumer)
    with capture_logs() as logs:
        await beginnings.place(OffsetOutOfRangeError({A: 25}))
    (said,) = logs
    assert (said["event"], said["log_level"]) == ("bridge.records.lost", "error")
    assert (said["topic"], said["partition"], said["offset"], said["beginning"], said["records"]) == (
        "t",
        0,
        25,
        40,
        15,
    )
    assert beginnings.records_lost == 15
    assert consumer.positions == {A: 40}
    assert committable(tracker) == {A: 40}, "said once"


async def test_what_is_settled_beyond_deleted_records_tells_nothing_any_more() -> None:
    consumer = RaisingConsumer({A: Log(100, begin=40)}, committed={A: 25})
    beginnings, tracker = make(consumer)
    beyond = settled_beyond([(25, 26)], 60, b"12345678")
    assert beyond is not None
    tracker.assign({Partition(*A)}, {Partition(*A): beyond})
    await beginnings.place(OffsetOutOfRangeError({A: 25}))
    assert tracker.deliver(Partition(*A), Record("t", 0, 40, 0, None, b"v")) is not None


@pytest.mark.parametrize("was_read", [False, True])
async def test_a_position_beyond_the_end_is_another_topic_or_a_log_that_was_cut(was_read: bool) -> None:
    consumer = RaisingConsumer({A: Log(10, begin=2)}, committed={A: 70})
    beginnings, tracker = make(consumer)
    if was_read:
        tracker.deliver(Partition(*A), Record("t", 0, 69, 0, None, b"v"))
        with pytest.raises(UnexpectedDeliveryError, match="ends at offset 10"):
            await beginnings.place(OffsetOutOfRangeError({A: 70}))
        return
    with capture_logs() as logs:
        await beginnings.place(OffsetOutOfRangeError({A: 70}))
    assert [(said["event"], said["end"]) for said in logs] == [("bridge.offsets.beyond_end", 10)]
    assert (consumer.positions, beginnings.records_lost) == ({A: 2}, 0)


async def test_an_error_that_comes_late_moves_nothing() -> None:
    """The client had asked before reading began; or the partition has records there after all; or is another's."""
    consumer = RaisingConsumer({A: Log(100)}, committed={A: 30})
    beginnings, tracker = make(consumer, "latest")
    tracker.pass_to(Partition(*A), 30)
    await beginnings.place(NoOffsetForPartitionError(A))
    await beginnings.place(OffsetOutOfRangeError({A: 30}))
    tracker.revoke()
    await beginnings.place(NoOffsetForPartitionError(A))
    await beginnings.place(OffsetOutOfRangeError({A: 300}))
    assert consumer.positions == {A: 30}


async def test_a_rebalance_meanwhile_moves_nothing() -> None:
    consumer = RaisingConsumer({A: Log(100, begin=40)}, committed={A: 25})
    beginnings, tracker = make(consumer)
    ask = consumer.end_offsets

    async def ask_slowly(partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        tracker.assign({Partition(*A)})
        return await ask(partitions)

    consumer.end_offsets = ask_slowly  # type: ignore[method-assign]
    calls: list[Callable[[], Any]] = [
        lambda: beginnings.place(OffsetOutOfRangeError({A: 25})),
        lambda: beginnings.begin([A]),
    ]
    for call in calls:
        await call()
    assert (consumer.positions, beginnings.records_lost) == ({A: 25}, 0)


def test_which_errors_are_of_a_position() -> None:
    assert is_of_a_position(OffsetOutOfRangeError({A: 1}))
    assert is_of_a_position(NoOffsetForPartitionError(A))
    assert not is_of_a_position(ValueError())


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="begin is a time without a time zone"):
        BridgeConfig("g", "dead", begin=datetime(2026, 1, 1))  # noqa: DTZ001 -- that is the point
