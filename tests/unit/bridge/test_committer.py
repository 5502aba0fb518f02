"""Commits: what is sent, and what is done where the broker takes no metadata of that length."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import InvalidCommitOffsetSizeError, KafkaError, OffsetMetadataTooLargeError
from structlog.testing import capture_logs

from bridge.config import BridgeConfig
from bridge.engine.offsets import OffsetTracker, Partition
from bridge.health import Health
from bridge.kafka.committer import CommitResult, Committer
from bridge.record import Record

P0 = Partition("t", 0)


@dataclass
class Broker:
    """Takes commits, those with metadata only if it is told to."""

    refusal: type[KafkaError] | None = None
    taken: list[tuple[int, str]] = field(default_factory=list)
    failure: Exception | None = None
    """Raised once, for a commit that was taken."""

    async def commit(self, offsets: dict[TopicPartition, tuple[int, str]]) -> None:
        ((offset, metadata),) = offsets.values()
        if metadata and self.refusal is not None:
            raise self.refusal
        self.taken.append((offset, metadata))
        if self.failure is not None:
            failure, self.failure = self.failure, None
            raise failure


def deliver(tracker: OffsetTracker, offset: int, *, settled: bool) -> None:
    ticket = tracker.deliver(P0, Record("t", 0, offset, 0, None, b"v"))
    assert ticket is not None
    if settled:
        tracker.settle(ticket)


def make(broker: Broker) -> tuple[Committer, OffsetTracker, Health]:
    tracker, health = OffsetTracker(), Health()
    tracker.assign({P0})
    deliver(tracker, 5, settled=False)
    deliver(tracker, 6, settled=True)
    consumer: Any = broker
    return Committer(consumer, tracker, health, BridgeConfig("g", "dead")), tracker, health


async def test_a_commit_is_sent_again_only_when_something_more_is_settled() -> None:
    broker = Broker()
    committer, tracker, _ = make(broker)
    for _ in range(3):
        assert await committer.commit() is CommitResult.COMMITTED
    assert len(broker.taken) == 1
    deliver(tracker, 7, settled=True)
    assert await committer.commit() is CommitResult.COMMITTED
    (first, told), (second, told_more) = broker.taken
    assert (first, second) == (5, 5)
    assert "" != told != told_more


@pytest.mark.parametrize("refusal", [OffsetMetadataTooLargeError, InvalidCommitOffsetSizeError])
async def test_where_the_broker_takes_no_such_metadata_offsets_are_committed_without(refusal: type[KafkaError]) -> None:
    broker = Broker(refusal)
    committer, tracker, health = make(broker)
    with capture_logs() as logs:
        assert await committer.commit() is CommitResult.COMMITTED
        deliver(tracker, 7, settled=True)
        assert await committer.commit() is CommitResult.COMMITTED
    assert set(broker.taken) == {(5, "")}
    assert health.troubled == frozenset()
    assert [entry["event"] for entry in logs] == ["bridge.offsets.metadata_refused"], "said once"


async def test_after_a_commit_of_unknown_outcome_the_next_one_is_sent_whatever_was_acknowledged() -> None:
    """The one that failed may still get there, after the one that was acknowledged before."""
    broker = Broker()
    committer, tracker, _ = make(broker)
    told, tracker.metadata_chars_max = tracker.metadata_chars_max, 0
    assert await committer.commit() is CommitResult.COMMITTED
    tracker.metadata_chars_max, broker.failure = told, TimeoutError()
    assert await committer.commit() is CommitResult.FAILED
    tracker.metadata_chars_max = 0
    for _ in range(2):
        assert await committer.commit() is CommitResult.COMMITTED
    first, failed, *again = broker.taken
    assert failed != first
    assert again == [first]


def test_what_became_of_an_ended_assignment_s_commit_is_nothing_to_the_next() -> None:
    _, tracker, _ = make(Broker())
    commits = tracker.committable()
    tracker.committed(commits, tracker.epoch)
    tracker.forget_committed(commits, tracker.epoch - 1)
    assert tracker.committable() == {}
    tracker.forget_committed(commits, tracker.epoch)
    assert tracker.committable() == commits
