"""Whatever is delivered, settled, deferred, read again and revoked, in whatever order: I1, I2 and I3 hold."""

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.calls import Call
from bridge.config import BackOff, EngineLimits
from bridge.engine.attempts import Attempt, Outcome, Retry, Settled, ToSetAside
from bridge.engine.engine import Engine
from bridge.engine.offsets import Committable, OffsetTracker, Partition
from bridge.engine.rereader import Rereader
from bridge.engine.settled_beyond import SettledBeyond, decode
from bridge.engine.work import Work
from bridge.health import Health
from bridge.record import Record
from bridge.refusal import Refusal, RefusalCode, Stage
from tests.helpers.lanes_rig import ByValue
from tests.helpers.past_log import InMemoryPastRecords
from tests.helpers.system.waiting import patient_timeout

PARTITIONS = [Partition("t", 0), Partition("t", 1), Partition("u", 0)]
DEADLINE_SECONDS = 20
LARGE = "a " + "x" * 10_000
"""Its call is let go of while it waits, and made again."""


@dataclass
class World:
    """Kafka's logs and commits, and Temporal and the dead letters as a list of what they acknowledged."""

    chances: random.Random
    logs: dict[Partition, list[Record]]
    commits: dict[Partition, Committable] = field(default_factory=dict)
    acknowledged: list[tuple[int, Partition, int, str]] = field(default_factory=list)
    """With the assignment epoch and the lane; set aside is nobody's lane."""
    assignments: int = 0

    async def attempt(self, work: Work) -> Attempt:
        await asyncio.sleep(0)
        work.attempts += 1
        choice = self.chances.random()
        if choice < 0.2:
            return Retry(timedelta(0) if choice < 0.15 else timedelta(milliseconds=1))
        if work.refusal is not None:
            self.acknowledge(work, "")
            return Settled(Outcome.DEAD_LETTERED)
        if isinstance(work.translated, Refusal):
            work.refusal = work.translated
            return ToSetAside()
        if choice > 0.95:
            work.refusal = Refusal(Stage.DISPATCH, RefusalCode.REFUSED_BY_TEMPORAL, "no")
            return ToSetAside()
        assert isinstance(work.translated, Call), "an attempt is made with its call at hand"
        self.acknowledge(work, work.translated.lane_key)
        return Settled(Outcome.DELIVERED)

    def acknowledge(self, work: Work, lane: str) -> None:
        self.acknowledged.append((work.ticket.epoch, work.ticket.partition, work.ticket.offset, lane))

    def unsettled(self, partition: Partition) -> set[int]:
        done = {offset for _, at, offset, _ in self.acknowledged if at == partition}
        return {record.offset for record in self.logs[partition]} - done


@dataclass
class Member:
    """One bridge, without Kafka's client: delivers from the logs."""

    world: World
    tracker: OffsetTracker
    engine: Engine
    positions: dict[Partition, int] = field(default_factory=dict)

    def assign(self) -> None:
        inherited: dict[Partition, SettledBeyond] = {}
        for partition, commit in self.world.commits.items():
            beyond = decode(commit.metadata, offset=commit.offset)
            if beyond is not None:
                inherited[partition] = beyond
        self.engine.drop()
        self.tracker.assign(set(PARTITIONS), inherited)
        self.positions = {
            partition: self.world.commits.get(partition, Committable(0)).offset for partition in PARTITIONS
        }

    def deliver(self, count: int) -> None:
        partition = self.world.chances.choice(PARTITIONS)
        records = [one for one in self.world.logs[partition] if one.offset >= self.positions[partition]][:count]
        if records and not self.engine.update_paused():
            self.positions[partition] = records[-1].offset + 1
            self.engine.take(partition, records)

    def commit(self) -> None:
        committable = self.tracker.committable()
        self.tracker.committed(committable, self.tracker.epoch)
        for partition, commit in committable.items():
            unsettled = self.world.unsettled(partition)
            assert commit.offset <= min(unsettled, default=commit.offset), "I2"
            assert commit.offset >= self.world.commits.get(partition, Committable(0)).offset, "I2"
            beyond = decode(commit.metadata, offset=commit.offset)
            assert not {offset for offset in unsettled if beyond is not None and beyond.holds(offset)}
            self.world.commits[partition] = commit

    @property
    def is_done(self) -> bool:
        ends = {partition: log[-1].offset + 1 if log else 0 for partition, log in self.world.logs.items()}
        return self.tracker.unsettled_count == 0 and all(self.positions[one] >= end for one, end in ends.items())


@st.composite
def logs(draw: st.DrawFn) -> dict[Partition, list[Record]]:
    made: dict[Partition, list[Record]] = {}
    for partition in PARTITIONS:
        offset, made[partition] = 0, []
        values = draw(st.lists(st.sampled_from(["a", "a", "a", "a", "b", "c", "", LARGE]), max_size=60))
        for gap, value in zip(
            draw(st.lists(st.sampled_from([0, 0, 0, 2]), min_size=60, max_size=60)), values, strict=False
        ):
            offset += gap
            made[partition].append(Record(*partition, offset, 0, None, value.encode()))
            offset += 1
    return made


@given(
    logs=logs(),
    limits=st.builds(
        EngineLimits,
        records_held_max=st.sampled_from([8, 16, 100]),
        lane_records_max=st.sampled_from([1, 2, 5]),
        bytes_held_max=st.sampled_from([10_000, 200_000, 10**9]),
        calls_in_flight_max=st.sampled_from([1, 4]),
    ),
    reads_max=st.sampled_from([1, 3, 500]),
    revokes=st.integers(0, 2),
    seed=st.integers(0, 2**32),
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_every_record_is_settled_in_its_lane_s_order_and_once_in_each_assignment(
    logs: dict[Partition, list[Record]], limits: EngineLimits, reads_max: int, revokes: int, seed: int
) -> None:
    world = World(random.Random(seed), logs)  # noqa: S311 -- no secret
    asyncio.run(live(world, limits, reads_max, revokes))
    for partition in PARTITIONS:
        assert world.unsettled(partition) == set(), "I1"
    twice = Counter((epoch, partition, offset) for epoch, partition, offset, _ in world.acknowledged)
    assert set(twice.values()) <= {1}
    by_lane: dict[tuple[int, Partition, str], list[int]] = {}
    for epoch, partition, offset, lane in world.acknowledged:
        by_lane.setdefault((epoch, partition, lane), []).append(offset)
    for (_, _, lane), offsets in by_lane.items():
        assert lane == "" or offsets == sorted(offsets), "I3"


async def live(world: World, limits: EngineLimits, reads_max: int, revokes: int) -> None:
    tracker, health, source = OffsetTracker(), Health(), InMemoryPastRecords(reads_max)
    for log in world.logs.values():
        source.append(log)
    engine = Engine(ByValue(), world.attempt, tracker, health, limits)
    member = Member(world, tracker, engine)
    async with patient_timeout(DEADLINE_SECONDS), asyncio.TaskGroup() as tasks:
        engine.start(tasks)
        back_off = BackOff(timedelta(milliseconds=1), timedelta(milliseconds=1))
        reading = tasks.create_task(Rereader(engine.deferred, tracker, source, health, back_off).run())
        for last in [*[False] * revokes, True]:
            member.assign()
            await run_one_assignment(member, until_done=last)
        engine.close()
        reading.cancel()
    assert engine.records_held_peak <= limits.records_held_max + 60


async def run_one_assignment(member: Member, *, until_done: bool) -> None:
    chances = member.world.chances
    turns = 0
    while not member.is_done if until_done else turns < chances.randrange(30):
        turns += 1
        member.deliver(chances.randrange(1, 20))
        for _ in range(chances.randrange(4)):
            await asyncio.sleep(0)
        if chances.random() < 0.3:
            member.commit()
        if turns > 100:
            await asyncio.sleep(0.001)
    await member.engine.drain(timedelta(0))
    member.commit()
    member.tracker.revoke()
