"""Members come and go, and the bridge is stopped: everything is applied, in order, and what is committed is settled."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
import pytest_asyncio
from structlog.testing import capture_logs
from temporalio.service import RPCError, RPCStatusCode

from bridge import Bridge, Call, CallOutcome, DeadLetterLimitError, DeadLetterLimits, EngineLimits
from bridge.failpoints import Failpoint
from stack.endpoints import Endpoints
from tests.helpers.devices import REFILLED
from tests.helpers.messages.kafka_io import Outgoing, group_is_stable, group_offsets
from tests.helpers.system.device_room import DeviceRoom, open_device_room
from tests.helpers.system.waiting import assert_eventually, patient_timeout


@pytest_asyncio.fixture
async def room(endpoints: Endpoints) -> AsyncIterator[DeviceRoom]:
    async with open_device_room(endpoints) as opened:
        yield opened


@dataclass
class RecordingCaller:
    """Notes calls in the order of their acknowledgement; how long each takes is the test's choice."""

    seconds: float = 0.001
    calls: list[tuple[str, str]] = field(default_factory=list)
    in_flight: dict[str, int] = field(default_factory=dict)
    in_flight_max: int = 0
    stuck: set[str] = field(default_factory=set)
    """Devices whose calls do not return until they are taken off."""
    overlaps: list[str] = field(default_factory=list)

    async def make(self, call: Call) -> CallOutcome:
        if call.workflow_id in self.in_flight:
            self.overlaps.append(call.workflow_id)
        self.in_flight[call.workflow_id] = 1
        self.in_flight_max = max(self.in_flight_max, len(self.in_flight))
        try:
            await asyncio.sleep(self.seconds)
            while call.workflow_id in self.stuck:  # noqa: ASYNC110 -- a valve for each device would hide the test
                await asyncio.sleep(0.01)
        finally:
            self.in_flight.pop(call.workflow_id, None)
        self.calls.append((call.workflow_id, call.signal_argument.event_id))
        return CallOutcome.DELIVERED

    def first_occurrences(self, device_id: str) -> list[str]:
        return list(dict.fromkeys(event_id for device, event_id in self.calls if device == device_id))


def numbered(room: DeviceRoom, device: int, number: int) -> Outgoing:
    return room.event(REFILLED, room.id_of(device), event_id=f"{number:05}")


async def produce_numbered(room: DeviceRoom, *, devices: int, each: int) -> None:
    await room.produce(*(numbered(room, device, number) for number in range(each) for device in range(devices)))


def assert_all_in_order(room: DeviceRoom, caller: RecordingCaller, *, devices: int, each: int) -> None:
    for device in range(devices):
        assert caller.first_occurrences(room.id_of(device)) == [f"{number:05}" for number in range(each)]


async def test_members_that_join_and_leave_under_load_lose_nothing_and_keep_the_order(room: DeviceRoom) -> None:
    """I1, I2, I3."""
    caller = RecordingCaller(seconds=0.01)
    devices, each = 40, 50
    bridges: list[tuple[Bridge, asyncio.Task[None]]] = []

    def join() -> None:
        bridge = room.make_bridge(caller)
        bridges.append((bridge, asyncio.create_task(bridge.run())))

    async def leave() -> None:
        bridge, running = bridges.pop(0)
        bridge.stop()
        await running

    join()
    await produce_numbered(room, devices=devices, each=each)
    for _ in range(4):
        join()
        await assert_eventually(lambda: bridges[-1][0].status().ready, 20, "the new member has joined")
        await leave()
    await room.await_drained()
    await leave()
    assert_all_in_order(room, caller, devices=devices, each=each)
    assert caller.overlaps == [], "no two calls of one device at once, not even from two members"


async def test_a_second_member_takes_over_and_both_work(room: DeviceRoom) -> None:
    caller = RecordingCaller()
    first, second = (room.make_bridge(caller) for _ in range(2))
    running = [asyncio.create_task(first.run())]
    await assert_eventually(lambda: first.status().partitions == 9, 20, "the first has its partitions")
    running.append(asyncio.create_task(second.run()))
    await assert_eventually(
        lambda: (
            (first.status().partitions, second.status().partitions) == (6, 3)
            or (first.status().partitions, second.status().partitions) == (3, 6)
        ),
        20,
        "partitions are shared, the three topics' alike",
    )
    await produce_numbered(room, devices=20, each=5)
    await room.await_drained()
    first.stop()
    second.stop()
    await asyncio.gather(*running)
    assert_all_in_order(room, caller, devices=20, each=5)


async def test_a_stop_under_load_commits_what_is_settled_and_nothing_more(room: DeviceRoom) -> None:
    """I2, I13."""
    caller = RecordingCaller(seconds=0.02)
    await produce_numbered(room, devices=50, each=40)
    bridge = room.make_bridge(caller)
    running = asyncio.create_task(bridge.run())
    await assert_eventually(lambda: len(caller.calls) > 200, 20, "some work is done")
    bridge.stop()
    async with patient_timeout(10):
        await running
    assert caller.in_flight == {}
    assert len(caller.calls) < 2_000, "the test stopped it in the middle"
    committed = await group_offsets(room.servers, room.config.group_id, list(room.mapping.topics))
    assert 0 < sum(partition.committed or 0 for partition in committed) <= len(caller.calls)
    second = RecordingCaller(calls=caller.calls)
    async with room.bridge(second):
        await room.await_drained()
    assert_all_in_order(room, second, devices=50, each=40)


async def test_a_drain_that_takes_longer_than_its_budget_is_cut_off(room: DeviceRoom) -> None:
    caller = RecordingCaller(stuck={room.id_of(0)})
    bridge = room.make_bridge(caller, drain_timeout=timedelta(seconds=0.5))
    running = asyncio.create_task(bridge.run())
    await produce_numbered(room, devices=3, each=3)
    await assert_eventually(lambda: len(caller.calls) == 6, 20, "the others are through")
    bridge.stop()
    async with patient_timeout(10):
        await running
    caller.stuck.clear()
    async with room.bridge(caller):
        await room.await_drained()
    assert_all_in_order(room, caller, devices=3, each=3)


async def test_one_stuck_device_delays_no_other(room: DeviceRoom) -> None:
    """I10; and what lies beyond it is settled, but not committed."""
    caller = RecordingCaller(stuck={room.id_of(0)})
    await produce_numbered(room, devices=100, each=5)
    async with room.bridge(caller) as bridge:
        await assert_eventually(lambda: len(caller.calls) == 99 * 5, 20, "all others are through")
        await assert_eventually(lambda: bridge.status().records_held == 5, 20, "only the stuck ones are held")
        caller.stuck.clear()
        await room.await_drained()
    assert_all_in_order(room, caller, devices=100, each=5)
    assert caller.overlaps == []


async def test_a_full_engine_stops_taking_stays_in_its_group_and_goes_on(room: DeviceRoom) -> None:
    """I11."""
    caller = RecordingCaller(stuck={room.id_of(device) for device in range(100)})
    limits = EngineLimits(records_held_max=50, calls_in_flight_max=10)
    held = []
    async with room.bridge(caller, engine=limits, poll_records_max=20) as bridge:
        await produce_numbered(room, devices=100, each=5)
        await assert_eventually(lambda: bridge.status().records_held >= 50, 20, "the engine is full")
        for _ in range(40):
            held.append(bridge.status().records_held)
            await asyncio.sleep(0.05)
        assert await group_is_stable(room.servers, room.config.group_id)
        caller.stuck.clear()
        await room.await_drained()
    assert max(held) == 50
    assert caller.in_flight_max == 10
    assert_all_in_order(room, caller, devices=100, each=5)


async def test_too_many_dead_letters_end_the_bridge_before_one_more(room: DeviceRoom) -> None:
    """It fails closed: the first good records are committed, the bad ones beyond the limit stay where they are."""
    bad = Outgoing(room.topic(), b"not json", partition=0)
    await room.produce(room.installed(room.id_of(), partition=0), *[bad] * 30)
    bridge = room.make_bridge(dead_letter_limits=DeadLetterLimits(in_a_row_max=10))
    with pytest.raises(DeadLetterLimitError, match="10 records in a row"):
        async with patient_timeout(20):
            await bridge.run()
    assert len(await room.dead_letters()) <= 10
    lifted = DeadLetterLimits(in_a_row_max=None, share_max=None)
    async with room.bridge(dead_letter_limits=lifted):
        await room.await_drained()
    offsets = {letter.header("dlq_source_offset") for letter in await room.dead_letters()}
    assert offsets == {str(offset) for offset in range(1, 31)}


class CrashError(Exception):
    """Stands for a crash."""


@dataclass
class CrashAt:
    """Crashes when the point is reached for the second time."""

    point: Failpoint
    hits: int = 0

    def hit(self, point: Failpoint) -> None:
        self.hits += point is self.point
        if point is self.point and self.hits == 2:
            raise CrashError(point)

    async def reach(self, point: Failpoint) -> None:
        self.hit(point)


@pytest.mark.parametrize("point", Failpoint)
async def test_a_crash_at_any_point_loses_nothing(room: DeviceRoom, point: Failpoint) -> None:
    """I1: the crash is an exception here; tests/faults kills the process."""
    caller = RecordingCaller()
    await produce_numbered(room, devices=5, each=4)
    await room.produce(*(Outgoing(room.topic(), b"bad", headers=(("n", str(n).encode()),)) for n in range(3)))
    crashing = room.make_bridge(caller, failpoints=CrashAt(point))
    with pytest.raises(CrashError, match=point):
        await run_with_more_of_both_kinds(room, crashing)
    async with room.bridge(caller):
        await room.await_drained()
    assert_all_in_order(room, caller, devices=5, each=4)
    assert {letter.header("n") for letter in await room.dead_letters()} >= {"0", "1", "2"}


async def run_with_more_of_both_kinds(room: DeviceRoom, bridge: Bridge) -> None:
    """For those points that are not reached a second time otherwise."""
    running = asyncio.create_task(bridge.run())
    async with patient_timeout(30):
        while not running.done():
            await room.produce(numbered(room, 9, 0), Outgoing(room.topic(), b"bad"))
            await asyncio.wait([running], timeout=0.3)
    await running


async def test_wrong_credentials_pause_and_say_so_once_and_correcting_them_goes_on(room: DeviceRoom) -> None:
    caller = RefusingCaller()
    await produce_numbered(room, devices=30, each=2)
    with capture_logs() as logs:
        async with room.bridge(caller) as bridge:
            await assert_eventually(lambda: caller.refused >= 60, 20, "each was refused more than once")
            await assert_eventually(lambda: "temporal does not answer" in bridge.status().reasons, 20)
            await assert_eventually(lambda: not bridge.status().ready, 20)
            assert bridge.status().live
            caller.refuses = False
            await room.await_drained()
    alarms = [entry for entry in logs if entry["event"] == "bridge.dependency.misconfigured"]
    assert len(alarms) == 1
    assert await room.dead_letters() == []
    assert_all_in_order(room, caller, devices=30, each=2)


@dataclass
class RefusingCaller(RecordingCaller):
    refuses: bool = True
    refused: int = 0

    async def make(self, call: Call) -> CallOutcome:
        if self.refuses:
            self.refused += 1
            raise RPCError("no", RPCStatusCode.PERMISSION_DENIED, b"")
        return await super().make(call)
