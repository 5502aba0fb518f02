"""An assignment begins with what is known to be settled, and no record comes before that is known."""

from dataclasses import dataclass, field
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import GroupAuthorizationFailedError
from aiokafka.structs import OffsetAndMetadata
from structlog.testing import capture_logs

from bridge.config import BridgeConfig
from bridge.decisions import Decision
from bridge.engine.offsets import OffsetTracker, Partition
from bridge.engine.settled_beyond import METADATA_CHARS_MAX, SettledBeyond, encode
from bridge.health import Dependency, Health
from bridge.kafka.beginnings import Beginnings
from bridge.kafka.membership import Membership
from bridge.kafka.rebalancer import Rebalancer
from bridge.record import Record

TP, P0 = TopicPartition("t", 0), Partition("t", 0)
FIRST = Record("t", 0, 5, 0, None, b"v")
TOLD = encode(SettledBeyond((5, 6, 8), FIRST.fingerprint), chars_max=METADATA_CHARS_MAX)


@dataclass
class Group:
    """The client's side of an assignment: notes what is done in which order."""

    tracker: OffsetTracker
    committed: OffsetAndMetadata | BaseException
    steps: list[str] = field(default_factory=list)
    _fetcher: SimpleNamespace = field(default_factory=SimpleNamespace)

    @property
    def _coordinator(self) -> "Group":
        return self

    async def fetch_committed_offsets(
        self, partitions: list[TopicPartition]
    ) -> dict[TopicPartition, OffsetAndMetadata]:
        self.steps.append("fetch")
        if isinstance(self.committed, BaseException):
            raise self.committed
        return dict.fromkeys(partitions, self.committed)

    def pause(self, *_partitions: TopicPartition) -> None:
        self.steps.append("pause")

    def resume(self, *_partitions: TopicPartition) -> None:
        self.steps.append(f"resume, assigned: {self.tracker.is_assigned}")

    def drop(self) -> int:
        self.steps.append("drop")
        return 0


def make_rebalancer(group: Any, health: Health) -> Rebalancer:
    config = BridgeConfig("g", "dead")
    return Rebalancer(
        group,
        group,
        tracker=group.tracker,
        committer=group,
        beginnings=Beginnings(group, group.tracker, config),
        membership=Membership(group, "g", None, timedelta(seconds=1)),
        health=health,
        config=config,
    )


async def assign(committed: OffsetAndMetadata | BaseException) -> tuple[OffsetTracker, Group, list[Any]]:
    tracker = OffsetTracker()
    group: Any = Group(tracker, committed)
    rebalancer = make_rebalancer(group, Health())
    with capture_logs() as logs:
        await rebalancer.on_partitions_assigned({TP})
    return tracker, group, logs


async def test_many_partitions_share_what_the_client_may_buffer() -> None:
    """I11: the client keeps a fetch's bytes of each of them."""
    group: Any = Group(OffsetTracker(), OffsetAndMetadata(5, ""))
    rebalancer = make_rebalancer(group, Health())
    for partitions, share in ((1, 1024 * 1024), (64, 1024 * 1024), (1_000, 64 * 1024 * 1024 // 1_000)):
        await rebalancer.on_partitions_assigned({TopicPartition("t", number) for number in range(partitions)})
        assert group._fetcher._max_partition_fetch_bytes == share


async def test_partitions_are_paused_until_what_is_settled_is_known() -> None:
    tracker, group, _ = await assign(OffsetAndMetadata(5, TOLD))
    assert group.steps == ["drop", "pause", "fetch", "resume, assigned: True"]
    assert tracker.deliver(P0, FIRST) is not None
    assert tracker.deliver(P0, Record("t", 0, 6, 0, None, b"v")) is None


@pytest.mark.parametrize(
    ("committed", "said"),
    [
        (OffsetAndMetadata(5, ""), None),
        (OffsetAndMetadata(5, None), None),
        (OffsetAndMetadata(5, "words"), "bridge.offsets.metadata_ignored"),
        (OffsetAndMetadata(4, TOLD), "bridge.offsets.metadata_ignored"),
        (GroupAuthorizationFailedError(), "bridge.offsets.not_inherited"),
        (TimeoutError(), "bridge.offsets.not_inherited"),
    ],
)
async def test_what_is_not_known_costs_repeats_and_nothing_else(
    committed: OffsetAndMetadata | BaseException, said: str | None
) -> None:
    tracker, group, logs = await assign(committed)
    assert group.steps[-1] == "resume, assigned: True"
    assert [entry["event"] for entry in logs if entry["log_level"] == "warning"] == ([said] if said else [])
    for offset in (5, 6, 7):
        assert tracker.deliver(P0, Record("t", 0, offset, 0, None, b"v")) is not None


@pytest.mark.parametrize("decision", [Decision.CONFIGURATION, Decision.TRANSIENT])
async def test_what_a_record_met_that_is_now_another_s_is_forgotten(decision: Decision) -> None:
    """Nobody else would take it back: this bridge may have no dead letter and no commit any more."""
    group, health = Group(OffsetTracker(), OffsetAndMetadata(5, "")), Health()
    for dependency in Dependency:
        health.failed(dependency, decision, OSError("refused"))
    await make_rebalancer(group, health).on_partitions_assigned({TP})
    assert health.troubled == {Dependency.KAFKA, Dependency.TEMPORAL, Dependency.GROUP}, "these are asked anyway"
    health.failed(Dependency.DEAD_LETTERS, decision, OSError("refused"))
    assert Dependency.DEAD_LETTERS in health.troubled, "what lasts is said again"
