"""What is held is bounded by what it weighs in memory, and large calls are held only while they are needed (I11)."""

import asyncio
import gc
import json
import threading
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from bridge.calls import Call
from bridge.config import EngineLimits
from bridge.engine.attempts import Attempt, Outcome, Retry, Settled
from bridge.engine.engine import Engine
from bridge.engine.offsets import OffsetTracker, Partition
from bridge.engine.work import Work, weight_of
from bridge.health import Health
from bridge.record import Record
from tests.helpers.lanes_rig import Attempts
from tests.helpers.system.waiting import assert_eventually

P0 = Partition("t", 0)
BOUND = 4 * 1024 * 1024
ITEMS = 400
"""Of a large record: 20 KiB."""


@dataclass
class Parsing:
    """Keeps what it reads in the call, as a mapping does; notes which offsets it was asked for in another thread."""

    loop_thread: int = field(default_factory=threading.get_ident)
    translated: list[int] = field(default_factory=list)
    in_threads: list[int] = field(default_factory=list)
    topics = ("t",)

    def translate(self, record: Record) -> Call:
        self.translated.append(record.offset)
        if threading.get_ident() != self.loop_thread:
            self.in_threads.append(record.offset)
        body = json.loads(record.value or b"")
        return Call("Any", body["id"], "any", argument=body)


def large(lane: str) -> bytes:
    items = [{"sku": f"sku-{number:06}", "quantity": 1 + number % 7} for number in range(ITEMS)]
    return json.dumps({"id": lane, "items": items}).encode()


def small(lane: str) -> bytes:
    return json.dumps({"id": lane}).encode()


@dataclass
class Held:
    engine: Engine
    mapping: Parsing
    attempts: Attempts
    tracker: OffsetTracker

    def take(self, *values: bytes) -> None:
        first = self.tracker.next_offset(P0) or 0
        self.engine.take(P0, [Record(*P0, first + at, 0, None, value) for at, value in enumerate(values)])


def hold() -> Held:
    mapping, attempts, tracker = Parsing(), Attempts(), OffsetTracker()
    attempts.gate.set()
    tracker.assign({P0})
    limits = EngineLimits(records_held_max=100_000, bytes_held_max=BOUND, lane_records_max=4, calls_in_flight_max=4)
    return Held(Engine(mapping, attempts.attempt, tracker, Health(), limits), mapping, attempts, tracker)


@contextmanager
def measured() -> Iterator[list[int]]:
    """The memory that is taken within, in bytes."""
    found: list[int] = []
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    try:
        yield found
        gc.collect()
        found.append(tracemalloc.get_traced_memory()[0] - before)
    finally:
        tracemalloc.stop()


def fill(held: Held, values: Iterator[bytes]) -> int:
    count = 0
    while not held.engine.update_paused() and count < 20_000:
        held.take(bytes(bytearray(next(values))))
        count += 1
    return count


def test_a_full_engine_takes_no_more_memory_than_its_bound_whatever_the_records() -> None:
    """It held 15 times as much, when the records' own bytes were what was counted."""
    for make, lanes in ((small, 10_000), (large, 10_000), (large, 20)):
        held = hold()
        values = (make(f"w-{number % lanes}") for number in range(100_000))
        with measured() as found:
            fill(held, values)
        assert BOUND * 0.4 < found[0] < BOUND * 1.15, (make, lanes, found[0] / BOUND)


async def test_behind_the_first_record_of_a_lane_large_calls_are_let_go_of_and_made_again_in_a_thread() -> None:
    held = hold()
    held.attempts.gate.clear()
    async with asyncio.TaskGroup() as tasks:
        held.engine.start(tasks)
        held.take(large("a"), large("a"), small("a"), large("a"), large("b"))
        assert held.mapping.translated == [0, 1, 2, 3, 4]
        held.attempts.gate.set()
        await assert_eventually(lambda: held.tracker.unsettled_count == 0)
        held.engine.close()
    assert held.mapping.in_threads == [1, 3]
    assert held.mapping.translated == [0, 1, 2, 3, 4, 1, 3]
    assert held.attempts.offsets("a") == [0, 1, 2, 3]


@dataclass
class Failing:
    """Temporal takes nothing; what is held is noted at each attempt."""

    attempts: int = 0

    async def attempt(self, work: Work) -> Attempt:
        assert isinstance(work.translated, Call)
        self.attempts += 1
        if self.attempts > 20:
            return Settled(Outcome.DELIVERED)
        return Retry(EngineLimits().stuck_after * 0)


async def test_calls_that_were_tried_in_vain_are_let_go_of_while_more_is_held_than_may_be() -> None:
    mapping, failing, tracker = Parsing(), Failing(), OffsetTracker()
    tracker.assign({P0})
    bound = weight_of(len(large("a")), with_call=True)
    engine = Engine(mapping, failing.attempt, tracker, Health(), EngineLimits(bytes_held_max=bound))
    engine.take(P0, [Record(*P0, 0, 0, None, large("a"))])
    async with asyncio.TaskGroup() as tasks:
        engine.start(tasks)
        await assert_eventually(lambda: tracker.unsettled_count == 0)
        engine.close()
    assert len(mapping.in_threads) >= 5
    assert (engine.records_held, engine._lanes.bytes_held) == (0, 0)
