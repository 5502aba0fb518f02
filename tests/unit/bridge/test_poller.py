"""The poll loop: how much it takes, how long it waits, and that it lets others run."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiokafka.errors import GroupAuthorizationFailedError, KafkaError, TopicAuthorizationFailedError

from bridge.config import BridgeConfig
from bridge.engine.offsets import OffsetTracker
from bridge.health import Dependency, Health
from bridge.kafka import poll_bounds
from bridge.kafka.beginnings import Beginnings
from bridge.kafka.membership import FencedError
from bridge.kafka.poller import Poller
from bridge.kafka.positions import Positions
from tests.helpers.system.waiting import assert_eventually

RECORDS_MAX = 500
RECORD = {"topic": "t", "partition": 0, "offset": 0, "timestamp": 0, "key": None, "headers": (), "checksum": None}


@dataclass
class PlannedEngine:
    """Says what the test has planned; one entry for each turn of the loop."""

    held: list[int]
    """Records held while it is full; it is not full where this is negative."""
    has_more_ready: bool = False
    free_records: int = 2_000
    records_held: int = 0
    records_taken: int = 0
    polls: list[dict[Any, Any]] = field(default_factory=list)
    """What was handed over."""

    def update_paused(self) -> bool:
        self.records_held = self.held.pop(0) if len(self.held) > 1 else self.held[0]
        return self.records_held >= 0

    async def take_in_turns(self, batches: dict[Any, Any]) -> None:
        self.polls.append({partition: list(records) for partition, records in batches.items()})


@dataclass
class IdleConsumer:
    """Gives what is planned and then nothing, at once, and notes how it was asked."""

    turns: int
    given: list[dict[Any, Any]] = field(default_factory=list)
    asked: list[dict[str, Any]] = field(default_factory=list)
    rooms: list[int] = field(default_factory=list)
    """How many bytes each poll had room for, before it gathered any."""
    done: asyncio.Event = field(default_factory=asyncio.Event)

    def assignment(self) -> frozenset[Any]:
        return frozenset()

    async def getmany(self, *_partitions: Any, **options: Any) -> dict[Any, Any]:
        self.asked.append(options)
        room = poll_bounds._room.get()
        if room is not None:
            self.rooms.append(room.bytes_left)
            room.bytes_left = 0
        if len(self.asked) == self.turns:
            self.done.set()
        if len(self.asked) > 10 * self.turns:
            await asyncio.sleep(1)  # Nobody else was let to run, not even to stop it.
        return self.given.pop(0) if self.given else {}


def make_poller(consumer: Any, engine: Any, health: Health) -> Poller:
    tracker, config = OffsetTracker(), BridgeConfig("g", "dead", poll_records_max=RECORDS_MAX)
    beginnings = Beginnings(consumer, tracker, config)
    positions = Positions(consumer, tracker, beginnings)
    return Poller(consumer, engine, positions=positions, beginnings=beginnings, health=health, config=config)


async def polls(engine: PlannedEngine, consumer: IdleConsumer | None = None) -> list[dict[str, Any]]:
    consumer = consumer or IdleConsumer(len(engine.held))
    poller = make_poller(consumer, engine, Health())
    running = asyncio.create_task(poller.run(lambda: None))
    await consumer.done.wait()
    poller.stop()
    await running
    return consumer.asked


async def test_a_full_bridge_waits_longer_only_while_nothing_is_settled() -> None:
    asked = await polls(PlannedEngine([2_000, 2_000, 2_000, 2_000, 1_900, 1_800, 1_800, *[1_800] * 8, 1_700]))
    waits = [options["timeout_ms"] for options in asked[:16]]
    assert waits == [2, 4, 8, 16, 2, 2, 4, 8, 16, 32, 64, 100, 100, 100, 100, 2]


async def test_a_bridge_with_room_takes_much_while_workers_are_free_and_little_while_none_is() -> None:
    idle, busy = await polls(PlannedEngine([-1])), await polls(PlannedEngine([-1], has_more_ready=True))
    assert idle[0]["max_records"] == RECORDS_MAX
    assert 1 <= busy[0]["max_records"] <= 20


async def test_no_poll_takes_more_than_there_is_room_for() -> None:
    asked = await polls(PlannedEngine([-1], free_records=7))
    assert asked[0]["max_records"] == 7


async def test_every_poll_is_bounded_in_bytes_the_first_one_as_well() -> None:
    """I11: what is held is looked at between polls, so one of them must not bring many times as much."""
    consumer = IdleConsumer(3)
    await polls(PlannedEngine([-1]), consumer)
    assert consumer.rooms[:3] == [4 * 1024 * 1024] * 3
    assert consumer.asked[0]["max_records"] == RECORDS_MAX


async def test_polls_that_find_records_at_once_let_what_has_ended_go_on() -> None:
    """A call that ended is followed by the next one in its lane between two polls, and not after all of them."""
    assert 50 <= len(await polls(PlannedEngine([-1] * 50))) < 60


@dataclass
class RefusingConsumer:
    """Raises at the first poll, and gives nothing at the others."""

    error: KafkaError
    polls: int = 0

    def assignment(self) -> frozenset[Any]:
        return frozenset()

    async def getmany(self, *_partitions: Any, **_options: Any) -> dict[Any, Any]:
        self.polls += 1
        await asyncio.sleep(0)
        if self.polls == 1:
            raise self.error
        return {}


@pytest.mark.parametrize(
    ("error", "subscriptions"), [(GroupAuthorizationFailedError("group"), 2), (TopicAuthorizationFailedError("t"), 1)]
)
async def test_a_member_that_its_group_refused_subscribes_again(
    error: KafkaError, subscriptions: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client would raise the same error for ever; what is refused of a topic needs nothing but another poll."""
    monkeypatch.setattr("bridge.kafka.poller._FAILED_POLL_PAUSE_SECONDS", 0.0)
    consumer, health, subscribed = RefusingConsumer(error), Health(), []
    poller = make_poller(consumer, PlannedEngine([-1]), health)
    running = asyncio.create_task(poller.run(lambda: subscribed.append(True)))
    await assert_eventually(lambda: consumer.polls > 2)
    poller.stop()
    await running
    assert len(subscribed) == subscriptions
    assert health.troubled == {Dependency.GROUP}, "one success between two refusals says nothing yet"
    assert health.needs_a_person


async def test_a_member_whose_name_another_one_has_taken_does_not_try_again() -> None:
    """As the client raises it: it hides Kafka's error in a text."""
    consumer = RefusingConsumer(KafkaError("FencedInstanceIdError()"))
    poller = make_poller(consumer, PlannedEngine([-1]), Health())
    with pytest.raises(FencedError, match="give each bridge an instance id of its own"):
        await poller.run(lambda: None)
    assert consumer.polls == 1
