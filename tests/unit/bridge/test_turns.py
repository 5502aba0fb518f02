"""Turns of the loop are short while records are taken, however many they are and however long one takes."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from bridge.calls import Call
from bridge.config import EngineLimits
from bridge.engine.attempts import Outcome, Settled
from bridge.engine.engine import Engine
from bridge.engine.offsets import OffsetTracker, Partition
from bridge.engine.work import Work
from bridge.health import Health
from bridge.record import Record
from tests.helpers.system.waiting import assert_eventually

P0, P1 = Partition("t", 0), Partition("t", 1)
LARGE = b"x" * (64 * 1024 + 1)


@dataclass
class Slow:
    """Takes a while for each record, in Python, and notes in which thread."""

    seconds: float = 0.0
    threads: dict[int, int] = field(default_factory=dict)
    lanes: bool = False
    """Whether each record has a lane of its own."""
    topics = ("t",)

    def translate(self, record: Record) -> Call:
        ends = time.monotonic() + self.seconds
        while time.monotonic() < ends:
            pass
        self.threads[record.offset] = threading.get_ident()
        return Call("Any", f"w-{record.offset}" if self.lanes else "w", "any")


def make(mapping: Slow) -> tuple[Engine, OffsetTracker]:
    tracker = OffsetTracker()
    tracker.assign({P0, P1})
    no_attempt: Any = None
    return Engine(mapping, no_attempt, tracker, Health(), EngineLimits()), tracker


def records(partition: Partition, *values: bytes) -> list[Record]:
    return [Record(*partition, offset, 0, None, value) for offset, value in enumerate(values)]


@contextmanager
def counting_turns() -> Iterator[Callable[[], int]]:
    turns = 0

    async def turn() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    task = asyncio.create_task(turn())
    try:
        yield lambda: turns
    finally:
        task.cancel()


async def test_others_have_their_turn_while_many_records_are_translated() -> None:
    engine, tracker = make(Slow(0.004))
    with counting_turns() as turns:
        await engine.take_in_turns({P0: records(P0, *[b"v"] * 25), P1: records(P1, *[b"v"] * 25)})
        assert turns() >= 10, "200 ms of work"
    assert tracker.unsettled_count == 50


async def test_a_record_that_would_not_end_within_the_turn_begins_another() -> None:
    """A turn's time is not over after one of these, and would be after the next."""
    engine, _ = make(Slow(0.003))
    with counting_turns() as turns:
        await engine.take_in_turns({P0: records(P0, *[b"x" * 60_000] * 10)})
        assert turns() >= 8


async def test_a_large_record_is_translated_in_a_thread_and_the_order_is_kept() -> None:
    mapping = Slow(0.05)
    engine, tracker = make(mapping)
    with counting_turns() as turns:
        await engine.take_in_turns({P0: records(P0, b"v", LARGE, b"v")})
        assert turns() >= 3, "the loop turns while the thread works"
    ours = threading.get_ident()
    assert [mapping.threads[offset] == ours for offset in range(3)] == [True, False, True]
    assert tracker.next_offset(P0) == 3, "the tracker takes offsets in order only"


@pytest.mark.parametrize("is_assigned_anew", [False, True])
async def test_what_is_left_of_an_assignment_that_ends_meanwhile_is_dropped(is_assigned_anew: bool) -> None:
    engine, tracker = make(Slow(0.005))
    taking = asyncio.create_task(engine.take_in_turns({P0: records(P0, *[b"v"] * 400)}))
    await assert_eventually(lambda: tracker.unsettled_count > 0)
    tracker.revoke()
    if is_assigned_anew:
        tracker.assign({P0})
    await taking
    assert tracker.unsettled_count == 0
    assert tracker.next_offset(P0) is None


async def test_calls_with_large_arguments_begin_in_turns_of_their_own() -> None:
    """Writing one keeps the loop for a while; many that may begin at once would keep it for long."""
    engine, tracker = make(Slow(lanes=True))
    began_at: list[int] = []
    with counting_turns() as turns:

        async def attempt(_: Work) -> Settled:
            began_at.append(turns())
            await asyncio.sleep(0)
            return Settled(Outcome.DELIVERED)

        engine._attempt = attempt
        async with asyncio.TaskGroup() as tasks:
            engine.start(tasks)
            await engine.take_in_turns({P0: records(P0, *[b"x" * (8 * 1024 + 1)] * 40)})
            await assert_eventually(lambda: engine.records_held == 0)
            assert len(set(began_at)) == 40, "each in another turn"
            await engine.take_in_turns({P1: records(P1, *[b"small"] * 40)})
            await assert_eventually(lambda: engine.records_held == 0)
            assert len(set(began_at[40:])) < 40, "what is quickly done waits for nobody"
            engine.close()
    assert tracker.unsettled_count == 0
