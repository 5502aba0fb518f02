"""The engine without servers: lanes, bounds, drains and drops."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from structlog.testing import capture_logs

from bridge.calls import Call
from bridge.config import EngineLimits
from bridge.decisions import Decision
from bridge.engine.attempts import Outcome, Retry, Settled
from bridge.engine.engine import Engine
from bridge.engine.lanes import Lanes
from bridge.engine.offsets import OffsetTracker, Partition, Ticket
from bridge.engine.settled_beyond import SettledBeyond, decode
from bridge.engine.work import Work, weight_of
from bridge.health import Dependency, Health
from bridge.record import Record
from bridge.refusal import Refusal, RefusalCode, RefusedError, Stage
from tests.helpers.system.waiting import assert_eventually

P0 = Partition("t", 0)
DELIVERED = Settled(Outcome.DELIVERED)
BUDGET = timedelta(seconds=5)


@dataclass
class Attempts:
    """Each attempt waits for its lane's gate, where it has one, and then gives the next planned result."""

    gates: dict[str, asyncio.Event] = field(default_factory=dict)
    planned: dict[str, list[Settled | Retry]] = field(default_factory=dict)
    begun: list[tuple[str, int]] = field(default_factory=list)
    ended: list[tuple[str, int]] = field(default_factory=list)
    running: int = 0
    running_max: int = 0

    async def attempt(self, work: Work) -> Settled | Retry:
        lane = work.key if isinstance(work.key, str) else ""
        name = (lane, work.record.offset)
        self.begun.append(name)
        self.running += 1
        self.running_max = max(self.running_max, self.running)
        try:
            await asyncio.sleep(0)
            if lane in self.gates:
                await self.gates[lane].wait()
        finally:
            self.running -= 1
        self.ended.append(name)
        plan = self.planned.get(lane)
        return plan.pop(0) if plan else DELIVERED

    def offsets(self, lane: str) -> list[int]:
        return [offset for key, offset in self.ended if key == lane]


class ByValue:
    """The value is the workflow's id; an empty one is refused."""

    topics = ("t",)

    def translate(self, record: Record) -> Call:
        if not record.value:
            raise RefusedError(Refusal(Stage.BYTES, RefusalCode.VALUE_EMPTY, "empty"))
        return Call("Any", record.value.decode(), "any")


@dataclass
class Rig:
    engine: Engine
    attempts: Attempts
    tracker: OffsetTracker
    health: Health
    next_offset: int = 0

    def take(self, *lanes: str) -> None:
        records = []
        for lane in lanes:
            records.append(Record("t", 0, self.next_offset, 0, None, lane.encode()))
            self.next_offset += 1
        self.engine.take(P0, records)

    async def settled(self) -> None:
        await assert_eventually(lambda: self.engine.records_held == 0)


def committable(rig: Rig) -> dict[Partition, int]:
    return {partition: commit.offset for partition, commit in rig.tracker.committable().items()}


@asynccontextmanager
async def open_rig(**limits: Any) -> AsyncIterator[Rig]:
    attempts, tracker, health = Attempts(), OffsetTracker(), Health()
    tracker.assign({P0})
    engine = Engine(ByValue(), attempts.attempt, tracker, health, EngineLimits(**limits))
    async with asyncio.TaskGroup() as tasks:
        engine.start(tasks)
        try:
            yield Rig(engine, attempts, tracker, health)
        finally:
            engine.close()


async def test_one_lane_s_records_are_attempted_one_at_a_time_and_in_order() -> None:
    """I3."""
    async with open_rig() as rig:
        rig.take(*["a", "b"] * 20)
        await rig.settled()
    assert rig.attempts.offsets("a") == list(range(0, 40, 2))
    assert rig.attempts.offsets("b") == list(range(1, 40, 2))
    assert rig.attempts.running_max == 2


async def test_lanes_do_not_wait_for_each_other() -> None:
    async with open_rig() as rig:
        rig.attempts.gates["stuck"] = asyncio.Event()
        rig.take("stuck", "stuck", *(f"w-{number}" for number in range(50)))
        await assert_eventually(lambda: len(rig.attempts.ended) == 50)
        assert rig.engine.records_held == 2
        assert committable(rig) == {P0: 0}
        rig.attempts.gates["stuck"].set()
        await rig.settled()
    assert committable(rig) == {P0: 52}


async def test_no_more_calls_run_at_once_than_allowed() -> None:
    async with open_rig(calls_in_flight_max=3) as rig:
        rig.take(*(f"w-{number}" for number in range(50)))
        await rig.settled()
    assert rig.attempts.running_max == 3


async def test_a_record_to_be_tried_again_holds_up_its_own_lane_only_and_occupies_no_worker() -> None:
    async with open_rig(calls_in_flight_max=1) as rig:
        rig.attempts.planned["a"] = [Retry(timedelta(seconds=0.2)), Retry(timedelta(seconds=0.01))]
        rig.take("a", "b", "a", "c")
        await rig.settled()
    assert [name for name, _ in rig.attempts.ended] == ["a", "b", "c", "a", "a", "a"]
    assert rig.attempts.offsets("a") == [0, 0, 0, 2]


async def test_a_record_that_cannot_be_read_waits_for_nobody() -> None:
    async with open_rig() as rig:
        rig.attempts.gates["a"] = asyncio.Event()
        rig.take("a", "", "", "a")
        await assert_eventually(lambda: len(rig.attempts.ended) == 2)
        rig.attempts.gates["a"].set()
        await rig.settled()


async def test_a_full_engine_is_paused_until_half_of_it_is_settled() -> None:
    """I11."""
    async with open_rig(records_held_max=10) as rig:
        for number in range(10):
            rig.attempts.gates[f"w-{number}"] = asyncio.Event()
        rig.take(*(f"w-{number}" for number in range(9)))
        assert not rig.engine.update_paused()
        assert rig.engine.free_records == 1
        rig.take("w-9")
        assert rig.engine.update_paused()
        for held in range(9, 4, -1):
            rig.attempts.gates[f"w-{held}"].set()
            await assert_eventually(partial(holds, rig, held))
            assert rig.engine.update_paused() is (held > 5)
        for gate in rig.attempts.gates.values():
            gate.set()
        await rig.settled()


def holds(rig: Rig, count: int) -> bool:
    return rig.engine.records_held == count


async def test_bytes_are_bounded_as_well() -> None:
    async with open_rig(bytes_held_max=2 * weight_of(60, with_call=True)) as rig:
        gate = rig.attempts.gates["x" * 60] = rig.attempts.gates["y" * 60] = asyncio.Event()
        rig.take("x" * 60)
        assert not rig.engine.update_paused()
        rig.take("y" * 60)
        assert rig.engine.update_paused()
        gate.set()
        await rig.settled()
        assert not rig.engine.update_paused()


async def test_a_wrong_configuration_pauses_as_long_as_there_is_something_to_ask_with() -> None:
    async with open_rig() as rig:
        rig.attempts.gates["a"] = asyncio.Event()
        rig.take("a")
        rig.health.failed(Dependency.TEMPORAL, Decision.CONFIGURATION, PermissionError())
        assert rig.engine.update_paused()
        rig.attempts.gates["a"].set()
        await rig.settled()
        assert not rig.engine.update_paused()


async def test_a_drain_waits_for_what_is_in_flight_and_starts_nothing_more() -> None:
    async with open_rig() as rig:
        gate = rig.attempts.gates["a"] = asyncio.Event()
        rig.take("a", "a")
        await assert_eventually(lambda: rig.attempts.running == 1)
        asyncio.get_running_loop().call_later(0.05, gate.set)
        assert await rig.engine.drain(BUDGET)
        rig.take("b")
        await asyncio.sleep(0.02)
    assert rig.attempts.begun == [("a", 0)]
    assert committable(rig) == {P0: 1}


async def test_a_drain_that_takes_too_long_says_so() -> None:
    async with open_rig() as rig:
        rig.attempts.gates["a"] = asyncio.Event()
        rig.take("a")
        await assert_eventually(lambda: rig.attempts.running == 1)
        assert not await rig.engine.drain(timedelta(seconds=0.02))


async def test_a_drop_ends_what_is_in_flight_and_the_next_assignment_works() -> None:
    """I2, I3: nothing of the old assignment runs on beside the new one."""
    async with open_rig(calls_in_flight_max=2) as rig:
        gate = rig.attempts.gates["a"] = asyncio.Event()
        rig.attempts.planned["r"] = [Retry(timedelta(seconds=0.5))]
        rig.take("a", "a", "r", "b")
        await assert_eventually(lambda: len(rig.attempts.ended) == 2)
        assert await rig.engine.drain(timedelta(0)) is False
        rig.tracker.revoke()
        assert rig.engine.drop() == 3
        await assert_eventually(lambda: rig.attempts.running == 0)
        gate.set()
        rig.tracker.assign({P0})
        rig.next_offset = 0
        rig.take("a", "r", "a", "c")
        await rig.settled()
        await asyncio.sleep(0.7)  # The old timer of "r" fires, and finds nothing.
    assert rig.attempts.offsets("a") == [0, 2]
    assert rig.attempts.offsets("r") == [2, 1]
    assert committable(rig) == {P0: 4}


async def test_what_an_earlier_owner_had_settled_is_passed_over_without_an_attempt() -> None:
    async with open_rig() as rig:
        rig.attempts.gates["stuck"] = asyncio.Event()
        rig.take("stuck", "b", "c", "b")
        await assert_eventually(lambda: len(rig.attempts.ended) == 3)
        commit = rig.tracker.committable()[P0]
        beyond = decode(commit.metadata, offset=commit.offset)
        assert beyond is not None
    async with open_rig() as rig:
        rig.tracker.assign({P0}, {P0: beyond})
        with capture_logs() as logs:
            rig.take("stuck", "b", "c", "b", "b")
            await rig.settled()
    assert sorted(rig.attempts.ended) == [("b", 4), ("stuck", 0)]
    assert rig.engine.records_taken == 5, "the watchdog sees that records arrive"
    assert [(entry["event"], entry["records"]) for entry in logs] == [("bridge.offsets.passed_over", 3)]
    assert committable(rig) == {P0: 5}


async def test_what_another_topic_of_the_same_name_had_settled_is_attempted_and_said() -> None:
    async with open_rig() as rig:
        rig.tracker.assign({P0}, {P0: SettledBeyond((0, 1, 3), b"of another")})
        with capture_logs() as logs:
            rig.take("a", "b", "c")
            await rig.settled()
    assert len(rig.attempts.ended) == 3
    assert [entry["log_level"] for entry in logs if entry["event"] == "bridge.offsets.distrusted"] == ["warning"]


async def test_a_failure_that_is_no_result_ends_the_engine() -> None:
    with pytest.raises(ExceptionGroup) as caught:
        await attempt_at_nothing()
    assert isinstance(caught.value.exceptions[0], AttributeError)


async def attempt_at_nothing() -> None:
    async with open_rig() as rig:
        rig.attempts.gates["a"] = None  # type: ignore[assignment]
        rig.take("a")
        await asyncio.sleep(1)


def test_counts_of_what_is_held_come_out_at_nothing() -> None:
    tracker, lanes = OffsetTracker(), Lanes(EngineLimits())
    tracker.assign({P0})
    made = []
    for offset, workflow_id in enumerate(["a", "b", "a"]):
        record = Record("t", 0, offset, 0, None, b"v")
        ticket = tracker.deliver(P0, record)
        assert ticket is not None
        made.append(lanes.add(workflow_id, Work.of(record, Call("Any", workflow_id, "any"), ticket)))
    weight = weight_of(1, with_call=True)
    assert (lanes.records_held, lanes.bytes_held, len(lanes), made[2]) == (3, 3 * weight, 2, None)
    for lane in (made[0], made[0], made[1]):
        assert lane is not None
        lanes.remove_head(lane)
    assert (lanes.records_held, lanes.bytes_held, len(lanes)) == (0, 0, 0)


def work(offset: int, translated: Call | Refusal) -> Work:
    return Work.of(Record("t", 0, offset, 0, None, b"v"), translated, Ticket(P0, offset, 1))


def test_a_lane_is_the_workflow_s_id_unless_the_call_names_another() -> None:
    assert work(0, Call("Any", "w-1", "any")).key == "w-1"
    assert work(0, Call("Any", "w-1", "any", lane="site-7")).key == "site-7"
    assert work(0, Call("Any", "w-1", "any", lane="")).key == "", "an empty name is one as well"


def test_no_workflow_id_shares_the_lane_of_a_record_that_is_refused() -> None:
    refusal = Refusal(Stage.BYTES, RefusalCode.VALUE_EMPTY, "empty")
    lanes = Lanes(EngineLimits())
    for offset in range(3):
        for one in (work(offset, refusal), work(offset + 3, Call("Any", f"t:0:{offset}", "any"))):
            assert lanes.add(one.key, one) is not None
    assert len(lanes) == 6


def lanes_that_want_records() -> Lanes:
    """Two, which want one record each: of offset 5, and of 9."""
    lanes = Lanes(EngineLimits())
    for key, offset, deferred in (("a", 0, 5), ("b", 1, 9)):
        lanes.add(key, work(offset, Call("Any", key, "any")))
        lane = lanes.get(key)
        assert lane is not None
        lanes.defer(lane, P0, deferred)
        lanes.remove_head(lane)
    return lanes


def test_a_lane_that_lost_all_it_had_is_forgotten_and_one_that_has_more_wants_it() -> None:
    lanes = lanes_that_want_records()
    assert lanes.wanted(10) == {P0: [5, 9]}
    lanes.lose_below(P0, 6)
    assert (len(lanes), lanes.records_deferred, lanes.wanted(10)) == (1, 1, {P0: [9]})
    lanes.lose(P0, 9)
    assert (len(lanes), lanes.records_deferred, lanes.wants_records) == (0, 0, False)


def test_the_partitions_of_a_lane_take_turns_where_there_is_room_for_one_record_only() -> None:
    lanes, turns = Lanes(EngineLimits(records_held_max=4)), []
    lanes.add("a", work(0, Call("Any", "a", "any")))
    lane = lanes.get("a")
    assert lane is not None
    for partition in (P0, Partition("u", 0)):
        for offset in (1, 2):
            lanes.defer(lane, partition, offset)
    lanes.remove_head(lane)
    for _ in range(4):
        ((partition, (offset,)),) = lanes.wanted(1).items()
        turns.append((partition.topic, offset))
        record = Record(*partition, offset, 0, None, b"v")
        lanes.take_back(lane, Work.of(record, Call("Any", "a", "any"), Ticket(partition, offset, 1)))
        lanes.remove_head(lane)
    assert turns == [("t", 1), ("u", 1), ("t", 2), ("u", 2)]
    assert len(lanes) == 0


def test_a_lane_that_there_is_no_room_for_now_wants_its_records_still() -> None:
    lanes = lanes_that_want_records()
    assert lanes.wanted(1) == {P0: [5]}
    assert lanes.wanted(2) == {P0: [5, 9]}
