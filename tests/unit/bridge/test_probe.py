"""What the bridge asks its servers when it has nothing to do, and what it takes their answers for."""

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
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

    def assignment(self) -> set[TopicPartition]:
        return set(self.positions)

    def paused(self) -> set[TopicPartition]:
        return {HELD}

    async def end_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(partitions, 9)

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
