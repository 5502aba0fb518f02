"""Where reading begins: in partitions without a committed offset, and where Kafka no longer has what is next."""

from collections import defaultdict
from collections.abc import Collection
from datetime import datetime
from typing import Any

import structlog
from aiokafka import TopicPartition
from aiokafka.errors import NoOffsetForPartitionError, OffsetOutOfRangeError

from bridge.config import BridgeConfig
from bridge.engine.offsets import OffsetTracker, Partition, UnexpectedDeliveryError
from bridge.kafka.clients import fetch_committed
from bridge.kafka.ranges import ranges_of
from bridge.record import moment_of

log = structlog.get_logger("bridge")


def is_of_a_position(error: BaseException) -> bool:
    """Whether a poll failed as a partition has no position, or one that Kafka has no records for.

    The client raises these by themselves: no record that was taken is thrown away with them (aiokafka 0.14,
    `Fetcher.fetched_records`).
    """
    return isinstance(error, (OffsetOutOfRangeError, NoOffsetForPartitionError))


class Beginnings:
    """Decides where the consumer begins in a partition that has no committed offset, or whose committed offset is gone.

    The client is told never to decide it: it would go to the beginning, and nobody would know that records are lost.

    Args:
        consumer: An `AIOKafkaConsumer`.
        tracker: Is told where reading begins, so that it is committed and never asked again.
        config: Says where a new group begins.
    """

    def __init__(self, consumer: Any, tracker: OffsetTracker, config: BridgeConfig) -> None:
        self._consumer = consumer
        self._tracker = tracker
        self._begin = config.begin
        self._setting = config.begin_setting
        self.records_lost = 0
        """Records that Kafka had deleted before they were read, at the most: markers of transactions count."""

    async def begin(self, partitions: Collection[TopicPartition]) -> None:
        """Begins in partitions of which the group has committed nothing, and says what is about to be read.

        Raises:
            Exception: Kafka does not answer; to be repeated, and bounded in time by whoever calls.
        """
        if not partitions:
            return
        epoch = self._tracker.epoch
        first = await self._consumer.beginning_offsets(list(partitions))
        ends = await self._consumer.end_offsets(list(partitions))
        begins = first | await self._chosen(partitions, ends)
        oldest = await self._consumer.offsets_for_times(dict.fromkeys(partitions, 0))
        if epoch != self._tracker.epoch:
            return  # What came since begins by itself where it has to.
        # The assignment and a poll may both have asked: whoever comes second would pass by what came in between.
        begins = {key: at for key, at in begins.items() if self._tracker.next_offset(Partition(*key)) is None}
        for partition, offset in begins.items():
            self._move(partition, offset)
        self._say_what_is_read(begins, first, ends, oldest)

    async def _chosen(
        self, partitions: Collection[TopicPartition], ends: dict[TopicPartition, int]
    ) -> dict[TopicPartition, int]:
        """Where to begin in those partitions that do not begin with their first record."""
        if isinstance(self._begin, datetime):
            found = await self._consumer.offsets_for_times(
                dict.fromkeys(partitions, round(self._begin.timestamp() * 1_000))
            )
            return {key: ends[key] if found.get(key) is None else found[key].offset for key in partitions}
        if self._begin == "earliest":
            return {}
        # Where others of the topic are committed, the group is not new: the partition is, and all of it is to be read.
        every = [
            TopicPartition(topic, number)
            for topic in {key.topic for key in partitions}
            for number in self._consumer.partitions_for_topic(topic) or ()
        ]
        known = {key.topic for key in await fetch_committed(self._consumer, every)}
        return {key: ends[key] for key in partitions if key.topic not in known}

    def _say_what_is_read(
        self,
        begins: dict[TopicPartition, int],
        first: dict[TopicPartition, int],
        ends: dict[TopicPartition, int],
        oldest: dict[TopicPartition, Any],
    ) -> None:
        """One line a topic: the first start on a topic with a history works through all of it."""
        by_topic = defaultdict(list)
        for partition in sorted(begins):
            by_topic[partition.topic].append(partition)
        for topic, partitions in by_topic.items():
            held = [key for key in partitions if ends[key] > first[key]]
            times = [oldest[key].timestamp for key in partitions if oldest.get(key) is not None]
            log.info(
                "bridge.topic.begins",
                topic=topic,
                partitions=", ".join(ranges_of(key.partition for key in partitions)),
                begin=str(self._begin),
                records=sum(ends[key] - begins[key] for key in partitions),
                records_passed_by=sum(begins[key] - first[key] for key in partitions),
                offsets={key.partition: f"{begins[key]}..{ends[key]}" for key in held} or None,
                oldest_record=_text(min(times)) if times else None,
                detail="the group has committed nothing here yet, so this is where it begins" if held else None,
                action=f"none; to begin elsewhere, set {self._setting} before a group's first start" if held else None,
            )

    async def place(self, error: Exception) -> None:
        """Goes on after a poll that failed by an error `is_of_a_position`.

        Raises:
            UnexpectedDeliveryError: The partition ends before what was delivered of it.
            Exception: Kafka does not answer; to be repeated.
        """
        if isinstance(error, NoOffsetForPartitionError):
            # One that has begun meanwhile goes on: the client had asked for it before.
            ours = self._ours(error.args[0])
            await self.begin([key for key in ours if self._tracker.next_offset(Partition(*key)) is None])
            return
        for partition, offset in error.args[0].items():
            for key in self._ours(partition):
                await self._go_on(key, offset)

    def _ours(self, partition: TopicPartition) -> list[TopicPartition]:
        is_ours = Partition(*partition) in self._tracker.partitions and partition in self._consumer.assignment()
        return [partition] if is_ours else []

    async def _go_on(self, partition: TopicPartition, offset: int) -> None:
        """Goes on from the beginning of what Kafka still has, and says loudly what is missing."""
        epoch = self._tracker.epoch
        beginning = (await self._consumer.beginning_offsets([partition]))[partition]
        end = (await self._consumer.end_offsets([partition]))[partition]
        if epoch != self._tracker.epoch or beginning <= offset <= end:
            return  # It is others' by now, or it can be read after all.
        named = {"topic": partition.topic, "partition": partition.partition, "offset": offset}
        if offset > end:
            if self._tracker.next_offset(Partition(*partition)) is not None:
                raise UnexpectedDeliveryError(
                    f"{partition.topic}:{partition.partition} ends at offset {end}, and what is before {offset} was "
                    "delivered: was the topic deleted and made anew, or did it lose records?"
                )
            log.error(
                "bridge.offsets.beyond_end",
                **named,
                beginning=beginning,
                end=end,
                detail="the topic was made anew, or lost its last records; all that it has now is read",
                action="see whether records are missing that their sender has to send again",
            )
        else:
            self.records_lost += beginning - offset
            log.error(
                "bridge.records.lost",
                **named,
                beginning=beginning,
                records=beginning - offset,
                detail="Kafka had deleted them before they were read: the bridge was further behind than they are kept",
                action="have their sender send them again; raise the topic's retention.ms or retention.bytes",
            )
        self._move(partition, beginning)

    def _move(self, partition: TopicPartition, offset: int) -> None:
        self._consumer.seek(partition, offset)
        self._tracker.pass_to(Partition(*partition), offset)


def _text(timestamp_ms: int) -> str:
    moment = moment_of(timestamp_ms)
    return f"{timestamp_ms} ms since 1970" if moment is None else moment.isoformat()
