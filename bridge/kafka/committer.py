"""Commits the offsets of what is settled."""

import asyncio
import time
from enum import StrEnum
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import InvalidCommitOffsetSizeError, OffsetMetadataTooLargeError

from bridge.config import BridgeConfig
from bridge.decisions import Decision, classify_kafka_error
from bridge.engine.offsets import Committable, OffsetTracker, Partition
from bridge.engine.settled_beyond import METADATA_CHARS_MAX
from bridge.failpoints import Failpoint
from bridge.health import Dependency, Health
from bridge.kafka.poller import log


class CommitResult(StrEnum):
    """The outcome of one commit attempt."""

    COMMITTED = "committed"
    """Kafka has all that is committable; also where there was nothing to commit."""
    FAILED = "failed"
    """Whether Kafka has it is unknown; the next commit repeats it."""
    LOST_OWNERSHIP = "lost_ownership"
    """Other bridges have the partitions by now."""


class Committer:
    """Commits what is committable: throttled, one at a time, and each bounded in time."""

    def __init__(self, consumer: Any, tracker: OffsetTracker, health: Health, config: BridgeConfig) -> None:
        self._consumer = consumer
        self._tracker = tracker
        self._health = health
        self._interval_seconds = config.commit_interval.total_seconds()
        self._timeout_seconds = config.commit_timeout.total_seconds()
        self._failpoints = config.failpoints
        self._lock = asyncio.Lock()
        self._all_committed_at: float | None = None

    async def run(self) -> None:
        """Commits now and then, until cancelled."""
        while True:
            await asyncio.sleep(self._interval_seconds)
            await self.commit()

    @property
    def commit_age_seconds(self) -> float | None:
        """Time since Kafka had all that is committable; None before the first time."""
        return None if self._all_committed_at is None else time.monotonic() - self._all_committed_at

    async def commit(self) -> CommitResult:
        """Commits now what is committable; what is not committed will be delivered again."""
        async with self._lock:
            result = await self._commit()
        if result is CommitResult.COMMITTED:
            self._all_committed_at = time.monotonic()
        return result

    async def _commit(self) -> CommitResult:
        commits = self._tracker.committable()
        if not commits:
            return CommitResult.COMMITTED
        epoch = self._tracker.epoch
        if self._failpoints:
            await self._failpoints.reach(Failpoint.BEFORE_COMMIT)
        try:
            # The client retries some errors for ever.
            async with asyncio.timeout(self._timeout_seconds):
                await self._send(commits)
        except Exception as error:  # noqa: BLE001 -- classified; an uncommitted offset costs a repeat, never a record
            decision = classify_kafka_error(error)
            if decision is Decision.LOST_OWNERSHIP:
                return CommitResult.LOST_OWNERSHIP
            # It may still get there, so what Kafka has is not known.
            self._tracker.forget_committed(commits, epoch)
            self._health.failed(Dependency.OFFSETS, decision, error)
            return CommitResult.FAILED
        self._health.answered(Dependency.OFFSETS)
        self._tracker.committed(commits, epoch)
        if self._failpoints:
            await self._failpoints.reach(Failpoint.AFTER_COMMIT)
        return CommitResult.COMMITTED

    async def _send(self, commits: dict[Partition, Committable]) -> None:
        """Commits, and without metadata where the broker takes none of that length: only the offsets must get there."""
        try:
            await self._consumer.commit(_structure(commits))
        except (OffsetMetadataTooLargeError, InvalidCommitOffsetSizeError) as error:
            self._tracker.metadata_chars_max = 0
            log.warning(
                "bridge.offsets.metadata_refused",
                error=type(error).__name__,
                detail=f"the broker's offset.metadata.max.bytes is below {METADATA_CHARS_MAX}",
                action="none: offsets are committed without it, and a crash delivers more records again",
            )
            offsets_only = {partition: Committable(commit.offset) for partition, commit in commits.items()}
            await self._consumer.commit(_structure(offsets_only))


def _structure(commits: dict[Partition, Committable]) -> dict[TopicPartition, tuple[int, str]]:
    return {TopicPartition(*partition): (commit.offset, commit.metadata) for partition, commit in commits.items()}
