"""Records that are set aside, through engine and attempter: whom they keep waiting, and in which order they count."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from aiokafka.errors import NotEnoughReplicasError
from structlog.testing import capture_logs
from temporalio.service import RPCError, RPCStatusCode

from bridge.calls import Call, CallOutcome
from bridge.config import BackOff, BridgeConfig, EngineLimits
from bridge.dead_letters.limit import DeadLetterLimitError, DeadLetterLimits
from bridge.decisions import Decision
from bridge.engine.attempts import Attempter
from bridge.engine.engine import Engine
from bridge.engine.lanes import SET_ASIDE_LANES_MAX
from bridge.engine.offsets import OffsetTracker, Partition
from bridge.health import Dependency, Health
from bridge.record import Record
from bridge.refusal import Refusal, RefusalCode, Stage
from tests.helpers.devices import DeviceMapping, device_value
from tests.helpers.system.waiting import assert_eventually

P0 = Partition("refilled", 0)
BAD = b"{"
CALLS_MAX = 10
NO_LIMITS = DeadLetterLimits(in_a_row_max=None, share_max=None)


@dataclass
class Temporal:
    """Takes every call but those that a failure is planned for."""

    failures: dict[str, list[Exception]] = field(default_factory=dict)
    taken: list[str] = field(default_factory=list)
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    running: int = 0
    running_max: int = 0

    async def make(self, call: Call) -> CallOutcome:
        self.running += 1
        self.running_max = max(self.running_max, self.running)
        try:
            await self.gate.wait()
        finally:
            self.running -= 1
        planned = self.failures.get(call.workflow_id)
        if planned:
            raise planned.pop(0)
        self.taken.append(call.workflow_id)
        return CallOutcome.DELIVERED


@dataclass
class DeadLetterTopic:
    """Keeps whoever writes to it waiting while it is closed, as the Kafka client does while replicas are missing."""

    opened: asyncio.Event = field(default_factory=asyncio.Event)
    refusals: int = 0
    """How many more it refuses, once it is open."""
    waiting: int = 0
    waiting_max: int = 0
    begun: list[int] = field(default_factory=list)
    letters: list[tuple[int, Refusal, int]] = field(default_factory=list)

    async def set_aside(self, record: Record, refusal: Refusal, *, attempts: int) -> None:
        self.begun.append(record.offset)
        self.waiting += 1
        self.waiting_max = max(self.waiting_max, self.waiting)
        try:
            await asyncio.sleep(0)
            await self.opened.wait()
        finally:
            self.waiting -= 1
        if self.refusals:
            self.refusals -= 1
            raise NotEnoughReplicasError
        self.letters.append((record.offset, refusal, attempts))

    @property
    def offsets(self) -> list[int]:
        return [offset for offset, _, _ in self.letters]


@dataclass
class Rig:
    engine: Engine
    temporal: Temporal
    topic: DeadLetterTopic
    tracker: OffsetTracker
    health: Health
    next_offset: int = 0

    def take(self, *values: bytes | None) -> None:
        first, self.next_offset = self.next_offset, self.next_offset + len(values)
        self.engine.take(P0, [Record("refilled", 0, first + n, 0, None, value) for n, value in enumerate(values)])

    @property
    def committable(self) -> int | None:
        commit = self.tracker.committable().get(P0)
        return None if commit is None else commit.offset

    async def settled(self) -> None:
        await assert_eventually(lambda: self.engine.records_held == 0)


@asynccontextmanager
async def open_rig(limits: DeadLetterLimits = NO_LIMITS, **options: Any) -> AsyncIterator[Rig]:
    config = BridgeConfig(
        "g",
        "dead",
        engine=EngineLimits(calls_in_flight_max=CALLS_MAX),
        dead_letter_limits=limits,
        back_off=BackOff(timedelta(milliseconds=1), timedelta(milliseconds=5)),
        **options,
    )
    temporal, topic, tracker, health = Temporal(), DeadLetterTopic(), OffsetTracker(), Health()
    temporal.gate.set()
    tracker.assign({P0})

    attempter = Attempter(temporal, topic, health, config)
    engine = Engine(DeviceMapping(), attempter.attempt, tracker, health, config.engine)
    async with asyncio.TaskGroup() as tasks:
        engine.start(tasks)
        try:
            yield Rig(engine, temporal, topic, tracker, health)
        finally:
            engine.close()


def refused() -> RPCError:
    return RPCError("invalid", RPCStatusCode.INVALID_ARGUMENT, b"")


async def test_no_device_waits_for_a_dead_letter_topic_that_keeps_its_writers_waiting() -> None:
    """I10. And I2: nothing is committed over a bad record before its dead letter is acknowledged."""
    async with open_rig() as rig:
        rig.take(device_value("d-0"), *[BAD] * 300)
        await assert_eventually(lambda: rig.topic.waiting == SET_ASIDE_LANES_MAX)
        rig.take(*(device_value(f"d-{number}") for number in range(1, 301)))
        await assert_eventually(lambda: len(rig.temporal.taken) == 301)
        assert rig.topic.letters == []
        assert rig.committable == 1
        rig.topic.opened.set()
        await rig.settled()
        assert rig.committable == 601
    assert sorted(rig.topic.begun) == sorted(rig.topic.offsets) == list(range(1, 301))
    assert rig.topic.waiting_max == SET_ASIDE_LANES_MAX


async def test_no_device_waits_for_records_that_temporal_refused_and_kafka_does_not_take() -> None:
    async with open_rig() as rig:
        bad = [f"bad-{number}" for number in range(300)]
        rig.temporal.failures = {device_id: [refused()] for device_id in bad}
        rig.take(*(device_value(device_id) for device_id in [*bad, bad[0], "d-1"]))
        await assert_eventually(lambda: sorted(rig.temporal.taken) == [bad[0], "d-1"])
        assert rig.topic.letters == [], "not even the same device's next record waits"
        rig.topic.opened.set()
        await rig.settled()
    assert {attempts for _, _, attempts in rig.topic.letters} == {1}


async def test_devices_go_on_without_their_dead_letters_within_the_bound_of_calls() -> None:
    """What sets records aside calls nobody: it would be one call more than allowed."""
    async with open_rig() as rig:
        ids = [f"d-{number}" for number in range(3 * CALLS_MAX)]
        rig.temporal.failures = {device_id: [refused()] for device_id in ids}
        rig.take(*(device_value(device_id) for device_id in ids * 2))
        await assert_eventually(lambda: rig.topic.waiting == SET_ASIDE_LANES_MAX)
        await assert_eventually(lambda: sorted(rig.temporal.taken) == sorted(ids))
        rig.temporal.gate.clear()
        others = [f"other-{number}" for number in range(CALLS_MAX)]
        rig.take(*map(device_value, others))
        await assert_eventually(lambda: rig.temporal.running == CALLS_MAX)
        rig.topic.opened.set()
        await assert_eventually(lambda: len(rig.topic.letters) == len(ids))
        rig.temporal.gate.set()
        await rig.settled()
    assert rig.temporal.running_max == CALLS_MAX
    assert sorted(rig.temporal.taken) == sorted([*ids, *others])


async def test_a_dead_letter_that_is_refused_for_now_is_repeated_and_says_how_often() -> None:
    async with open_rig() as rig:
        rig.topic.opened.set()
        rig.topic.refusals = 3
        rig.take(BAD)
        await rig.settled()
        assert rig.health.troubled == frozenset()
    ((offset, refusal, attempts),) = rig.topic.letters
    assert (offset, attempts, refusal.code) == (0, 4, "json_truncated")


async def test_a_drain_waits_for_dead_letters_under_way_and_begins_no_more() -> None:
    async with open_rig() as rig:
        rig.take(*[BAD] * 300)
        await assert_eventually(lambda: rig.topic.waiting == SET_ASIDE_LANES_MAX)
        assert not await rig.engine.drain(timedelta(seconds=0.02))
        rig.topic.opened.set()
        assert await rig.engine.drain(timedelta(seconds=5))
        assert sorted(rig.topic.offsets) == list(range(SET_ASIDE_LANES_MAX))
        assert rig.committable == SET_ASIDE_LANES_MAX


async def test_a_drop_ends_dead_letters_under_way_and_the_next_assignment_sets_aside_anew() -> None:
    async with open_rig() as rig:
        rig.take(*[BAD] * 300)
        await assert_eventually(lambda: rig.topic.waiting == SET_ASIDE_LANES_MAX)
        rig.tracker.revoke()
        assert rig.engine.drop() == 300
        await assert_eventually(lambda: rig.topic.waiting == 0)
        rig.topic.opened.set()
        rig.tracker.assign({P0})
        rig.next_offset = 0
        rig.take(*[BAD] * 20)
        await rig.settled()
    assert sorted(rig.topic.offsets) == list(range(20))


async def test_the_limit_counts_records_as_they_come_however_long_their_dead_letters_take() -> None:
    """Otherwise those that have waited would count in a row, though a good record stood after each."""
    async with open_rig(DeadLetterLimits(in_a_row_max=CALLS_MAX, share_max=0.6, share_window=50)) as rig:
        rig.take(*(value for number in range(100) for value in (BAD, device_value(f"d-{number}"))))
        await assert_eventually(lambda: len(rig.temporal.taken) == 100)
        rig.topic.opened.set()
        await rig.settled()
    assert len(rig.topic.letters) == 100


async def test_a_record_that_comes_again_counts_once_for_the_limit() -> None:
    """An outage of the dead-letter topic with six rebalances meanwhile: nobody has sent more bad records by that."""
    async with open_rig(DeadLetterLimits(in_a_row_max=120, share_max=None)) as rig:
        for _ in range(6):
            rig.take(*[BAD] * 120)
            await assert_eventually(lambda: rig.topic.waiting > 0)
            rig.tracker.revoke()
            rig.engine.drop()
            rig.tracker.assign({P0})
            rig.next_offset = 0
        rig.topic.opened.set()
        rig.take(*[BAD] * 120)
        await rig.settled()
    assert sorted(set(rig.topic.offsets)) == list(range(120))


@pytest.mark.parametrize("tombstones", ["set_aside", "pass_over"])
async def test_tombstones_are_set_aside_or_passed_over_and_never_count_for_the_limit(tombstones: str) -> None:
    """A purge upstream, and change-data-capture, send one for each thing that is deleted."""
    limits = DeadLetterLimits(in_a_row_max=2, share_max=0.1, share_window=10)
    async with open_rig(limits, tombstones=tombstones) as rig:
        rig.topic.opened.set()
        rig.take(BAD, *[None] * 400, BAD, device_value("d-1"))
        await rig.settled()
        assert rig.committable == 403
    bad = [0, 401]
    assert sorted(rig.topic.offsets) == (bad if tombstones == "pass_over" else list(range(402)))
    assert rig.temporal.taken == ["d-1"]


async def test_a_batch_that_cannot_be_read_has_no_value_either_and_is_no_tombstone() -> None:
    async with open_rig(tombstones="pass_over") as rig:
        rig.topic.opened.set()
        unread = Refusal(Stage.BYTES, RefusalCode.BATCH_UNREADABLE, "one batch")
        rig.engine.take(P0, [Record("refilled", 0, 0, 0, None, None, defect=unread)])
        await rig.settled()
    assert rig.topic.offsets == [0]


async def test_what_is_within_the_limit_is_set_aside_before_the_one_beyond_it_ends_the_bridge() -> None:
    """So that there is something to look at."""
    topics: list[DeadLetterTopic] = []
    with pytest.raises(ExceptionGroup) as caught:
        await take_beyond(30, topics)
    assert isinstance(caught.value.exceptions[0], DeadLetterLimitError)
    assert 30 - CALLS_MAX < len(topics[0].letters) <= 30
    assert topics[0].begun == list(range(30))


async def take_beyond(limit: int, topics: list[DeadLetterTopic]) -> None:
    async with open_rig(DeadLetterLimits(in_a_row_max=limit, share_max=None)) as rig:
        topics.append(rig.topic)
        rig.topic.opened.set()
        rig.take(*[BAD] * 300)
        await asyncio.sleep(60)


async def test_a_run_that_cannot_take_a_signal_shows_that_temporal_answers() -> None:
    """It may be all the work there is, and nobody else would say that an outage is over."""
    async with open_rig() as rig:
        rig.health.failed(Dependency.TEMPORAL, Decision.CONFIGURATION, OSError("no right"))
        full = RPCError("exceeded workflow execution limit for signal events", RPCStatusCode.INVALID_ARGUMENT, b"")
        planned = rig.temporal.failures["d-1"] = [full] * 100_000
        rig.take(device_value("d-1"))
        await assert_eventually(lambda: len(planned) < 100_000)
        assert rig.health.troubled == frozenset()
        assert rig.temporal.taken == []
        planned.clear()
        await rig.settled()
    assert rig.temporal.taken == ["d-1"]


@pytest.mark.parametrize(
    "closed",
    [
        RPCError("operation was canceled", RPCStatusCode.CANCELLED, b""),
        RPCError("h2 protocol error: http2 error", RPCStatusCode.INTERNAL, b""),
    ],
    ids=str,
)
async def test_a_call_that_ended_with_its_connection_is_made_again_and_only_if_that_goes_on_temporal_is_away(
    closed: RPCError,
) -> None:
    async with open_rig() as rig:
        rig.temporal.failures["d-1"] = [closed]
        with capture_logs() as logs:
            rig.take(device_value("d-1"))
            await rig.settled()
        assert (rig.temporal.taken, logs) == (["d-1"], [])
        planned = rig.temporal.failures["d-2"] = [closed] * 100_000
        rig.take(device_value("d-2"))
        await assert_eventually(lambda: rig.health.troubled == {Dependency.TEMPORAL})
        planned.clear()
        await rig.settled()
    assert rig.temporal.taken == ["d-1", "d-2"]
