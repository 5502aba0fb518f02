"""An engine whose lanes defer, a log that it is read again from, and attempts that do as a test says."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from bridge.calls import Call
from bridge.config import BackOff, EngineLimits
from bridge.engine.attempts import Attempt, Outcome, Retry, Settled, ToSetAside
from bridge.engine.engine import Engine
from bridge.engine.offsets import OffsetTracker, Partition
from bridge.engine.rereader import Rereader
from bridge.engine.work import Work
from bridge.health import Health
from bridge.record import Record
from bridge.refusal import Refusal, RefusalCode, RefusedError, Stage
from tests.helpers.past_log import InMemoryPastRecords
from tests.helpers.system.waiting import assert_eventually

P0, P1 = Partition("t", 0), Partition("t", 1)
NOT_TAKEN = Refusal(Stage.DISPATCH, RefusalCode.REFUSED_BY_TEMPORAL, "not taken")
LIMITS = {"records_held_max": 256, "lane_records_max": 16}
LANE_MAX = 64
"""A fourth of all: what one lane holds as long as there is room."""


class ByValue:
    """The value is the workflow's id, up to a blank; an empty one is refused."""

    topics = ("t",)

    def translate(self, record: Record) -> Call:
        if not record.value:
            raise RefusedError(Refusal(Stage.BYTES, RefusalCode.VALUE_EMPTY, "empty"))
        return Call("Any", record.value.decode().split()[0], "any")


@dataclass
class Attempts:
    """Settles whatever is not stuck, or to be refused; notes what was settled, in which order."""

    stuck: set[str] = field(default_factory=set)
    """Lanes whose calls are tried again and again."""
    hanging: set[str] = field(default_factory=set)
    """Lanes whose calls never end."""
    refused: set[str] = field(default_factory=set)
    """Lanes whose calls Temporal refuses for good."""
    takes_dead_letters: bool = True
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    """Attempts wait until it is set."""
    retry: Retry = field(default_factory=lambda: Retry(timedelta(seconds=0.05)))
    called: list[tuple[str, int, int]] = field(default_factory=list)
    settled: list[tuple[str, int, int]] = field(default_factory=list)
    dead_letters: list[int] = field(default_factory=list)

    async def attempt(self, work: Work) -> Attempt:
        await asyncio.sleep(0)
        await self.gate.wait()
        work.attempts += 1
        if work.refusal is not None:
            if not self.takes_dead_letters:
                return self.retry
            self.dead_letters.append(work.record.offset)
            return Settled(Outcome.DEAD_LETTERED)
        if isinstance(work.translated, Refusal):
            work.refusal = work.translated
            return ToSetAside()
        assert isinstance(work.translated, Call), "an attempt is made with its call at hand"
        lane = work.translated.lane_key
        name = (lane, work.record.partition, work.record.offset)
        self.called.append(name)
        if lane in self.stuck:
            return self.retry
        if lane in self.hanging:
            await asyncio.Event().wait()
        if lane in self.refused:
            work.refusal = NOT_TAKEN
            return ToSetAside()
        self.settled.append(name)
        return Settled(Outcome.DELIVERED)

    def offsets(self, lane: str, partition: int = 0) -> list[int]:
        return [offset for key, at, offset in self.settled if (key, at) == (lane, partition)]


@dataclass
class Rig:
    engine: Engine
    attempts: Attempts
    tracker: OffsetTracker
    health: Health
    source: InMemoryPastRecords
    now: list[float]
    """The health's clock."""

    def take(self, *values: str, partition: Partition = P0) -> None:
        first = self.tracker.next_offset(partition) or 0
        records = [Record(*partition, first + at, 0, None, value.encode()) for at, value in enumerate(values)]
        self.source.append(records)
        self.engine.take(partition, records)

    async def eventually(self, *values: str) -> None:
        """Waits until a record of each of these lanes is settled."""
        await assert_eventually(lambda: {lane for lane, _, _ in self.attempts.settled} >= set(values))

    async def settled(self) -> None:
        await assert_eventually(lambda: self.tracker.unsettled_count == 0)
        assert (self.engine.records_held, self.engine.records_deferred) == (0, 0)

    def committable(self, partition: Partition = P0) -> int:
        return self.tracker.committable()[partition].offset


@asynccontextmanager
async def open_rig(**limits: Any) -> AsyncIterator[Rig]:
    now = [0.0]
    attempts, tracker, health = Attempts(), OffsetTracker(), Health(lambda: now[0])
    source = InMemoryPastRecords()
    attempts.gate.set()
    tracker.assign({P0, P1})
    engine = Engine(ByValue(), attempts.attempt, tracker, health, EngineLimits(**{**LIMITS, **limits}))
    back_off = BackOff(timedelta(milliseconds=1), timedelta(milliseconds=5))
    async with asyncio.TaskGroup() as tasks:
        engine.start(tasks)
        reading = tasks.create_task(Rereader(engine.deferred, tracker, source, health, back_off).run())
        try:
            yield Rig(engine, attempts, tracker, health, source, now)
        finally:
            engine.close()
            reading.cancel()
