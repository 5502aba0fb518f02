"""Letting go of partitions: in which order, and for how long at most."""

import asyncio
import time
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import CommitFailedError

from bridge.config import BridgeConfig
from bridge.engine.offsets import OffsetTracker, Partition
from bridge.health import Health
from bridge.kafka.beginnings import Beginnings
from bridge.kafka.committer import Committer
from bridge.kafka.membership import Membership
from bridge.kafka.rebalancer import Rebalancer
from bridge.record import Record
from tests.helpers.system.waiting import in_time

TP, P0 = TopicPartition("t", 0), Partition("t", 0)
CONFIG = BridgeConfig("g", "dead", drain_timeout=timedelta(seconds=0.4), commit_timeout=timedelta(seconds=0.2))


@dataclass
class Group:
    """A consumer and an engine: notes what is asked of them in which order."""

    tracker: OffsetTracker
    commit_error: Exception | None = None
    hangs: bool = False
    """Whether no commit and no drain ends by itself."""
    steps: list[str] = field(default_factory=list)

    async def commit(self, offsets: dict[TopicPartition, tuple[int, str]]) -> None:
        self.steps.append(f"commit {offsets[TP][0]}")
        if self.commit_error is not None:
            raise self.commit_error
        if self.hangs:
            await asyncio.sleep(60)

    async def drain(self, budget: timedelta) -> bool:
        self.steps.append("drain")
        if self.hangs:
            await asyncio.sleep(budget.total_seconds())
            return False
        deliver(self.tracker, 6)
        return True

    def drop(self) -> int:
        self.steps.append(f"drop, assigned: {self.tracker.is_assigned}")
        return 0


def deliver(tracker: OffsetTracker, offset: int) -> None:
    ticket = tracker.deliver(P0, Record("t", 0, offset, 0, None, b"v"))
    assert ticket is not None
    tracker.settle(ticket)


def make(**how: Any) -> tuple[Group, Committer, Rebalancer]:
    tracker, health = OffsetTracker(), Health()
    tracker.assign({P0})
    deliver(tracker, 5)
    group: Any = Group(tracker, **how)
    committer = Committer(group, tracker, health, CONFIG)
    rebalancer = Rebalancer(
        group,
        group,
        tracker=tracker,
        committer=committer,
        beginnings=Beginnings(group, tracker, CONFIG),
        membership=Membership(group, "g", None, timedelta(seconds=1)),
        health=health,
        config=CONFIG,
    )
    return group, committer, rebalancer


async def test_what_is_in_flight_drains_and_is_committed_before_the_partitions_go() -> None:
    group, _, rebalancer = make()
    await rebalancer.on_partitions_revoked({TP})
    assert group.steps == ["commit 6", "drain", "commit 7", "drop, assigned: False"]
    await rebalancer.on_partitions_revoked({TP})
    assert len(group.steps) == 4, "there is nothing to let go of"


async def test_partitions_that_are_others_by_now_are_dropped_at_once() -> None:
    group, _, rebalancer = make(commit_error=CommitFailedError("another generation"))
    await rebalancer.on_partitions_revoked({TP})
    assert group.steps == ["commit 6", "drop, assigned: False"]


async def test_letting_go_takes_no_longer_than_the_configuration_allows_for() -> None:
    """The worst: a commit is under way, and neither it nor any other, nor the drain, comes to an end."""
    group, committer, rebalancer = make(hangs=True)
    under_way = asyncio.create_task(committer.commit())
    await asyncio.sleep(0)
    began_at, allowed = time.monotonic(), CONFIG.letting_go.total_seconds()
    with in_time(allowed + 0.5):
        await rebalancer.on_partitions_revoked({TP})
    took = time.monotonic() - began_at
    await under_way
    assert group.steps == ["commit 6", "commit 6", "drain", "commit 6", "drop, assigned: False"]
    assert took > allowed - CONFIG.commit_timeout.total_seconds()


def test_a_configuration_that_leaves_no_time_to_let_go_is_refused() -> None:
    with pytest.raises(ValueError, match="drain_timeout and three times commit_timeout together"):
        BridgeConfig("g", "dead", drain_timeout=timedelta(seconds=36), commit_timeout=timedelta(seconds=3))
    BridgeConfig("g", "dead", drain_timeout=timedelta(seconds=35), commit_timeout=timedelta(seconds=3))
