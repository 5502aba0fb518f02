"""The consumer's positions: rewound after a failed poll, and held where a partition's next records cannot be read."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import structlog
from aiokafka import TopicPartition
from aiokafka.errors import CorruptRecordException, IllegalStateError, KafkaError, UnsupportedCodecError

from bridge.engine.offsets import OffsetTracker, Partition
from bridge.kafka.beginnings import Beginnings
from bridge.kafka.clients import fetch_committed

_GO_BACK_TIMEOUT_SECONDS = 5.0
HOLD_SECONDS = 30.0
"""Until a held partition is tried again: bytes that were damaged on their way, or on one replica, may come whole."""


def is_of_one_partition(error: BaseException) -> bool:
    """Whether a poll failed by the bytes of one partition, and not by the group or the servers."""
    return not isinstance(error, KafkaError) or isinstance(error, (CorruptRecordException, UnsupportedCodecError))


@dataclass(slots=True)
class _Hold:
    offset: int
    epoch: int
    """The assignment epoch; a new assignment begins without holds."""
    retry_at: float | None
    """None while the partition is tried again."""


class Positions:
    """Rewinds the consumer after a failed poll, and holds partitions whose next records raise.

    aiokafka may have moved past records that it never returned; those are fetched again.

    Args:
        consumer: An `AIOKafkaConsumer`.
        tracker: Knows what was delivered.
        beginnings: Knows where to begin in a partition that was neither delivered from nor committed.
        clock: Seconds; tests give another.
    """

    def __init__(
        self,
        consumer: Any,
        tracker: OffsetTracker,
        beginnings: Beginnings,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._consumer = consumer
        self._tracker = tracker
        self._beginnings = beginnings
        self._clock = clock
        self._holds: dict[TopicPartition, _Hold] = {}

    async def go_back(self) -> None:
        """Goes back, in each partition, to the record after the last one delivered; called before the next poll.

        A poll that raises throws away what it had taken of other partitions, after it had moved on in them (aiokafka
        0.14, `Fetcher.fetched_records`). What it holds in its buffers goes as well, and is fetched again.

        Raises:
            Exception: Kafka does not answer; to be repeated.
        """
        epoch = self._tracker.epoch
        undelivered = []
        for partition in self._ours():
            offset = self._tracker.next_offset(Partition(*partition))
            if offset is None:
                undelivered.append(partition)
            else:
                self._consumer.seek(partition, offset)
        if not undelivered:
            return
        # Nothing of them is committed by us either, so the assignment began at what is committed now.
        async with asyncio.timeout(_GO_BACK_TIMEOUT_SECONDS):
            committed = await fetch_committed(self._consumer, undelivered)
            if epoch != self._tracker.epoch:
                return  # What came since begins by itself where it has to.
            never_committed = []
            for partition in self._ours() & set(undelivered):
                if partition in committed:
                    self._consumer.seek(partition, committed[partition].offset)
                else:
                    never_committed.append(partition)
            await self._beginnings.begin(never_committed)

    async def pass_markers(self) -> None:
        """Has the next commits stand behind what Kafka delivers to nobody: markers, and what was taken back.

        Not to be called after a failed poll, before going back: the client may stand beyond records.
        """
        for partition in self._ours():
            if (
                self._tracker.next_offset(Partition(*partition)) is not None
            ):  # So that it has a position, and waits not.
                self._tracker.pass_to(Partition(*partition), await self._consumer.position(partition))

    def _ours(self) -> set[TopicPartition]:
        """The partitions of the present assignment: not those of one that is only coming, or is going."""
        known = self._tracker.partitions
        return {partition for partition in self._consumer.assignment() if Partition(*partition) in known}

    async def hold(self, partition: TopicPartition, error: Exception) -> None:
        """Pauses a partition whose next records raise: nothing is taken past them, and no other partition waits."""
        if partition not in self._ours():
            return
        try:
            offset = await self._consumer.position(partition)
            self._consumer.seek(partition, offset)  # Drops the rest of what was fetched, which the error has cut off.
            self._consumer.pause(partition)
        except IllegalStateError:
            return  # Not ours any more.
        before = self._holds.get(partition)
        self._holds[partition] = _Hold(offset, self._tracker.epoch, self._clock() + HOLD_SECONDS)
        if before is None or (before.offset, before.epoch) != (offset, self._tracker.epoch):
            structlog.get_logger("bridge").error(
                "bridge.partition.held",
                topic=partition.topic,
                partition=partition.partition,
                offset=offset,
                error=type(error).__name__,
                detail="what the broker has there is damaged; other partitions go on, and it is tried again",
                action="restore the partition from a replica, or delete its records up to the end of the damaged batch",
            )

    def retry_due(self) -> bool:
        """Resumes held partitions that have waited for `HOLD_SECONDS`.

        Returns:
            Whether any was resumed: the next polls may raise.
        """
        if not self._holds:
            return False
        self._holds = {key: hold for key, hold in self._holds.items() if hold.epoch == self._tracker.epoch}
        due = [key for key, hold in self._holds.items() if hold.retry_at is not None and hold.retry_at <= self._clock()]
        for partition in due:
            self._holds[partition].retry_at = None
            if partition in self._ours():
                self._consumer.resume(partition)
        return bool(due)

    def end_retries(self) -> None:
        """Forgets the holds of partitions that were tried again and did not raise."""
        for partition in [key for key, hold in self._holds.items() if hold.retry_at is None]:
            del self._holds[partition]
            structlog.get_logger("bridge").info(
                "bridge.partition.released", topic=partition.topic, partition=partition.partition
            )

    @property
    def held(self) -> tuple[str, ...]:
        """The held partitions and their positions, as ``topic:partition:offset``."""
        epoch = self._tracker.epoch
        holds = sorted((key, hold.offset) for key, hold in self._holds.items() if hold.epoch == epoch)
        return tuple(f"{key.topic}:{key.partition}:{offset}" for key, offset in holds)
