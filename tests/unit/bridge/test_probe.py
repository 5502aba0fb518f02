"""What the bridge asks its servers when it has nothing to do, and what it takes their answers for."""

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.consumer.fetcher import Fetcher
from structlog.testing import capture_logs
from temporalio.service import RPCError, RPCStatusCode

from bridge.config import BridgeConfig, Kafka
from bridge.decisions import Decision
from bridge.engine.offsets import OffsetTracker, Partition
from bridge.health import Dependency, Health
from bridge.supervision.probe import Prober

CONFIG, KAFKA = BridgeConfig("g", "dead"), Kafka("nowhere:9")
REFUSED = RPCError("not allowed", RPCStatusCode.PERMISSION_DENIED, b"")
READABLE, HELD = TopicPartition("t", 0), TopicPartition("t", 1)


@dataclass
class Namespace:
    """Answers, or raises the error."""

    error: Exception | None = None

    async def describe_namespace(self, _request: Any) -> None:
        if self.error is not None:
            raise self.error


@dataclass
class Consumer:
    positions: dict[TopicPartition, int] = field(default_factory=dict)
    leaderless: set[TopicPartition] = field(default_factory=set)
    unauthorized_topics: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._client = self.cluster = self

    def leader_for_partition(self, partition: TopicPartition) -> int:
        return -1 if partition in self.leaderless else 0

    async def _maybe_wait_metadata(self) -> None: ...

    def force_metadata_update(self) -> None: ...

    async def topics(self) -> set[str]:
        return {"t"}

    def assignment(self) -> set[TopicPartition]:
        return set(self.positions)

    def paused(self) -> set[TopicPartition]:
        return {HELD}

    async def end_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        """By the client's own way of asking: it waits until each of them has a leader."""
        fetcher: Any = SimpleNamespace(_client=self, _retry_backoff=0.01, _proc_offset_request=self._ask)
        fetcher._proc_offset_requests = lambda ask: Fetcher._proc_offset_requests(fetcher, ask)
        found = await Fetcher._retrieve_offsets(fetcher, dict.fromkeys(partitions, -1), 20_000)
        return {partition: offset for partition, (offset, _) in found.items()}

    async def _ask(self, _node: int, topics: dict[str, list[tuple[int, int]]]) -> dict[TopicPartition, tuple[int, int]]:
        return {TopicPartition(topic, number): (9, 0) for topic, asked in topics.items() for number, _ in asked}

    async def position(self, partition: TopicPartition) -> int:
        return self.positions[partition]


def make(namespace: Namespace, consumer: Consumer, health: Health, records_held: int = 1) -> Prober:
    client: Any = SimpleNamespace(workflow_service=namespace, namespace="x")
    engine: Any = SimpleNamespace(records_held=records_held)
    tracker = OffsetTracker()
    tracker.assign({Partition(key.topic, key.partition) for key in consumer.positions})
    return Prober(consumer, client, engine=engine, tracker=tracker, health=health, config=CONFIG, kafka=KAFKA)


async def test_what_the_look_at_temporal_said_it_takes_back_though_what_is_held_makes_no_call() -> None:
    """The one record that is held may wait for its dead letter; all others would wait with it."""
    namespace, health = Namespace(REFUSED), Health()
    prober = make(namespace, Consumer(), health)
    await prober._look_at_temporal()
    assert health.needs_a_person
    namespace.error = None
    await prober._look_at_temporal()
    assert not health.needs_a_person


async def test_what_calls_said_is_not_taken_back_by_a_namespace_that_answers() -> None:
    """A namespace may answer that takes no calls."""
    health = Health()
    prober = make(Namespace(), Consumer(), health)
    health.failed(Dependency.TEMPORAL, Decision.CONFIGURATION, REFUSED)
    for _ in range(2):
        await prober._look_at_temporal()
        assert health.needs_a_person
    await make(Namespace(), Consumer(), health, records_held=0)._look_at_temporal()
    assert not health.needs_a_person, "there are no calls that could say it"


@pytest.mark.parametrize(("positions", "is_lagging"), [((9, 3), False), ((8, 3), True)])
async def test_what_a_held_partition_has_is_nothing_to_read(positions: tuple[int, int], is_lagging: bool) -> None:
    """The watchdog would end the process again and again."""
    prober = make(Namespace(), Consumer(dict(zip((READABLE, HELD), positions, strict=True))), Health())
    await prober._look_at_kafka()
    assert prober.is_lagging is is_lagging


async def test_a_partition_without_a_leader_is_named_and_says_nothing_of_kafka() -> None:
    """One of a thousand; the watchdog is to see whether the others are read."""
    away = TopicPartition("t", 700)
    positions = {TopicPartition("t", number): 8 for number in range(1_000)}
    consumer, health = Consumer(positions, leaderless={away}), Health()
    prober = make(Namespace(), consumer, health)
    with capture_logs() as logs:
        for _ in range(2):
            await prober._look_at_kafka()
            assert (health.troubled, prober.is_lagging) == (frozenset(), True)
            assert prober.leaderless == ("t:700",)
            assert len(prober.ends) == 999
        consumer.leaderless.clear()
        await prober._look_at_kafka()
    assert (prober.leaderless, len(prober.ends)) == ((), 1_000)
    assert [entry["event"] for entry in logs] == ["bridge.partitions.leaderless", "bridge.partitions.led"], "said once"


async def test_where_no_partition_has_a_leader_kafka_is_asked_for_its_topics() -> None:
    consumer, health = Consumer({READABLE: 8}, leaderless={READABLE}), Health()
    prober = make(Namespace(), consumer, health)
    await prober._look_at_kafka()
    assert (health.troubled, prober.leaderless) == (frozenset(), ("t:0",))


async def test_a_topic_that_may_not_be_seen_has_to_be_corrected_and_is_not_told_as_one_without_a_leader() -> None:
    """The client knows no leader of it then, and reads nothing; the right may be gone before anything has failed."""
    consumer = Consumer({READABLE: 8}, leaderless={READABLE}, unauthorized_topics={"t"})
    health = Health()
    prober = make(Namespace(), consumer, health)
    with capture_logs() as logs:
        for _ in range(2):
            await prober._look_at_kafka()
            assert (health.needs_a_person, prober.leaderless) == (True, ())
        consumer.unauthorized_topics.clear()
        consumer.leaderless.clear()
        await prober._look_at_kafka()
    assert not health.needs_a_person
    told = [(entry["event"], entry.get("error")) for entry in logs]
    misconfigured = ("bridge.dependency.misconfigured", "TopicAuthorizationFailedError")
    assert told == [misconfigured, ("bridge.dependency.recovered", None)], "said once"
