"""Members come and go, and the bridge is stopped: everything is applied, in order, and what is committed is settled."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio
from structlog.testing import capture_logs
from temporalio.service import RPCError, RPCStatusCode

from activities.failpoints import FailpointError, Failpoints
from bridge.calls import Settlement
from bridge.config import EngineLimits
from bridge.dead_letters.limit import DeadLetterLimitError, DeadLetterLimits
from bridge.router import WorkflowCall
from bridge.service import Bridge
from schemas.event_types import EventType
from stack.endpoints import Endpoints
from tests.helpers.messages.kafka_io import Outgoing, group_is_stable, group_offsets
from tests.helpers.system.bridge_room import Room, open_room
from tests.helpers.system.waiting import assert_eventually


@pytest_asyncio.fixture
async def room(endpoints: Endpoints) -> AsyncIterator[Room]:
    async with open_room(endpoints) as opened:
        yield opened


@dataclass
class RecordingDispatcher:
    """Notes calls in the order of their acknowledgement; how long each takes is the test's choice."""

    seconds: float = 0.001
    calls: list[tuple[str, str]] = field(default_factory=list)
    in_flight: dict[str, int] = field(default_factory=dict)
    in_flight_max: int = 0
    stuck: set[str] = field(default_factory=set)
    """Order ids whose calls do not return until they are taken off."""
    overlaps: list[str] = field(default_factory=list)

    async def dispatch(self, call: WorkflowCall) -> Settlement:
        if call.order_id in self.in_flight:
            self.overlaps.append(call.order_id)
        self.in_flight[call.order_id] = 1
        self.in_flight_max = max(self.in_flight_max, len(self.in_flight))
        try:
            await asyncio.sleep(self.seconds)
            while call.order_id in self.stuck:  # noqa: ASYNC110 -- a valve for each order would hide the test
                await asyncio.sleep(0.01)
        finally:
            self.in_flight.pop(call.order_id, None)
        self.calls.append((call.order_id, call.event.event_id))
        return Settlement.DELIVERED

    def first_occurrences(self, order_id: str) -> list[str]:
        return list(dict.fromkeys(event_id for order, event_id in self.calls if order == order_id))


def numbered(room: Room, order: int, number: int) -> Outgoing:
    order_id = room.order_id(order)
    body = {"order_id": order_id, "event_id": f"{number:05}", "address": {"city": "Bern"}}
    return Outgoing(room.topic(EventType.ORDER_ADDRESS_UPDATED), json.dumps(body).encode(), key=order_id.encode())


async def produce_numbered(room: Room, *, orders: int, each: int) -> None:
    await room.produce(*(numbered(room, order, number) for number in range(each) for order in range(orders)))


def assert_all_in_order(room: Room, dispatcher: RecordingDispatcher, *, orders: int, each: int) -> None:
    for order in range(orders):
        assert dispatcher.first_occurrences(room.order_id(order)) == [f"{number:05}" for number in range(each)]


async def test_members_that_join_and_leave_under_load_lose_nothing_and_keep_the_order(room: Room) -> None:
    """I1, I2, I3."""
    dispatcher = RecordingDispatcher(seconds=0.01)
    orders, each = 40, 50
    bridges: list[tuple[Bridge, asyncio.Task[None]]] = []

    def join() -> None:
        bridge = Bridge(room.config, room.client, dispatcher)
        bridges.append((bridge, asyncio.create_task(bridge.run())))

    async def leave() -> None:
        bridge, running = bridges.pop(0)
        bridge.stop()
        await running

    join()
    await produce_numbered(room, orders=orders, each=each)
    for _ in range(4):
        join()
        await assert_eventually(lambda: bridges[-1][0].status().ready, 20, "the new member has joined")
        await leave()
    await room.await_drained()
    await leave()
    assert_all_in_order(room, dispatcher, orders=orders, each=each)
    assert dispatcher.overlaps == [], "no two calls of one order at once, not even from two members"


async def test_a_second_member_takes_over_and_both_work(room: Room) -> None:
    dispatcher = RecordingDispatcher()
    first, second = (Bridge(room.config, room.client, dispatcher) for _ in range(2))
    running = [asyncio.create_task(first.run())]
    await assert_eventually(lambda: first.status().ready, 20, "the first has its partitions")
    assert first.status().partitions == 12
    running.append(asyncio.create_task(second.run()))
    await assert_eventually(
        lambda: (
            (first.status().partitions, second.status().partitions) == (8, 4)
            or (first.status().partitions, second.status().partitions) == (4, 8)
        ),
        20,
        "partitions are shared, the four topics' alike",
    )
    await produce_numbered(room, orders=20, each=5)
    await room.await_drained()
    first.stop()
    second.stop()
    await asyncio.gather(*running)
    assert_all_in_order(room, dispatcher, orders=20, each=5)


async def test_a_stop_under_load_commits_what_is_settled_and_nothing_more(room: Room) -> None:
    """I2, I13."""
    dispatcher = RecordingDispatcher(seconds=0.02)
    await produce_numbered(room, orders=50, each=40)
    bridge = Bridge(room.config, room.client, dispatcher)
    running = asyncio.create_task(bridge.run())
    await assert_eventually(lambda: len(dispatcher.calls) > 200, 20, "some work is done")
    stopped_at = time.monotonic()
    bridge.stop()
    await running
    assert time.monotonic() - stopped_at < 10
    assert dispatcher.in_flight == {}
    assert len(dispatcher.calls) < 2_000, "the test stopped it in the middle"
    committed = await group_offsets(
        room.endpoints.kafka_bootstrap_servers, room.config.group_id, list(room.config.topics)
    )
    assert 0 < sum(partition.committed or 0 for partition in committed) <= len(dispatcher.calls)
    second = RecordingDispatcher(calls=dispatcher.calls)
    async with running_bridge(room, second):
        await room.await_drained()
    assert_all_in_order(room, second, orders=50, each=40)


def running_bridge(room: Room, dispatcher: RecordingDispatcher, **changes: Any) -> AbstractAsyncContextManager[Bridge]:
    return room.bridge(dispatcher=dispatcher, **changes)


async def test_a_drain_that_takes_longer_than_its_budget_is_cut_off(room: Room) -> None:
    dispatcher = RecordingDispatcher(stuck={room.order_id(0)})
    bridge = Bridge(replace(room.config, drain_timeout=timedelta(seconds=0.5)), room.client, dispatcher)
    running = asyncio.create_task(bridge.run())
    await produce_numbered(room, orders=3, each=3)
    await assert_eventually(lambda: len(dispatcher.calls) == 6, 20, "the others are through")
    bridge.stop()
    async with asyncio.timeout(10):
        await running
    dispatcher.stuck.clear()
    async with running_bridge(room, dispatcher):
        await room.await_drained()
    assert_all_in_order(room, dispatcher, orders=3, each=3)


async def test_one_stuck_order_delays_no_other(room: Room) -> None:
    """I10; and what lies beyond it is settled, but not committed."""
    dispatcher = RecordingDispatcher(stuck={room.order_id(0)})
    await produce_numbered(room, orders=100, each=5)
    async with running_bridge(room, dispatcher) as bridge:
        await assert_eventually(lambda: len(dispatcher.calls) == 99 * 5, 20, "all others are through")
        await assert_eventually(lambda: bridge.status().records_held == 5, 5, "only the stuck ones are held")
        dispatcher.stuck.clear()
        await room.await_drained()
    assert_all_in_order(room, dispatcher, orders=100, each=5)
    assert dispatcher.overlaps == []


async def test_a_full_engine_stops_taking_stays_in_its_group_and_goes_on(room: Room) -> None:
    """I11."""
    dispatcher = RecordingDispatcher(stuck={room.order_id(order) for order in range(100)})
    limits = EngineLimits(records_held_max=50, calls_in_flight_max=10)
    held = []
    async with running_bridge(room, dispatcher, engine=limits, poll_records_max=20) as bridge:
        await produce_numbered(room, orders=100, each=5)
        await assert_eventually(lambda: bridge.status().records_held >= 50, 20, "the engine is full")
        for _ in range(40):
            held.append(bridge.status().records_held)
            await asyncio.sleep(0.05)
        assert await group_is_stable(room.endpoints.kafka_bootstrap_servers, room.config.group_id)
        dispatcher.stuck.clear()
        await room.await_drained()
    assert max(held) == 50
    assert dispatcher.in_flight_max == 10
    assert_all_in_order(room, dispatcher, orders=100, each=5)


async def test_too_many_dead_letters_end_the_bridge_before_one_more(room: Room) -> None:
    """It fails closed: the first good records are committed, the bad ones beyond the limit stay where they are."""
    bad = Outgoing(room.topic(), b"not json", partition=0)
    await room.produce(room.created(room.order_id(), partition=0), *[bad] * 30)
    bridge = Bridge(replace(room.config, dead_letter_limits=DeadLetterLimits(in_a_row_max=10)), room.client)
    with pytest.raises(DeadLetterLimitError, match="10 records in a row"):
        async with asyncio.timeout(20):
            await bridge.run()
    assert len(await room.dead_letters()) <= 10
    lifted = DeadLetterLimits(in_a_row_max=None, share_max=None)
    async with room.bridge(dead_letter_limits=lifted):
        await room.await_drained()
    offsets = {letter.header("dlq_source_offset") for letter in await room.dead_letters()}
    assert offsets == {str(offset) for offset in range(1, 31)}


@pytest.mark.parametrize(
    "point",
    [
        "after_poll",
        "before_call",
        "after_call",
        "before_dead_letter",
        "after_dead_letter",
        "before_commit",
        "after_commit",
    ],
)
async def test_a_crash_at_any_point_loses_nothing(room: Room, point: str) -> None:
    """I1: the crash is an exception here; tests/faults kills the process."""
    dispatcher = RecordingDispatcher()
    await produce_numbered(room, orders=5, each=4)
    await room.produce(*(Outgoing(room.topic(), b"bad", headers=(("n", str(n).encode()),)) for n in range(3)))
    failpoints = Failpoints.parse(f"{point}:raise@2", production=False)
    crashing = Bridge(replace(room.config, failpoints=failpoints), room.client, dispatcher)
    with pytest.raises(FailpointError, match=point):
        await run_with_more_of_both_kinds(room, crashing)
    async with running_bridge(room, dispatcher):
        await room.await_drained()
    assert_all_in_order(room, dispatcher, orders=5, each=4)
    assert {letter.header("n") for letter in await room.dead_letters()} >= {"0", "1", "2"}


async def run_with_more_of_both_kinds(room: Room, bridge: Bridge) -> None:
    """For those points that are not reached a second time otherwise."""
    running = asyncio.create_task(bridge.run())
    async with asyncio.timeout(30):
        while not running.done():
            await room.produce(numbered(room, 9, 0), Outgoing(room.topic(), b"bad"))
            await asyncio.wait([running], timeout=0.3)
    await running


async def test_wrong_credentials_pause_and_say_so_once_and_correcting_them_goes_on(room: Room) -> None:
    dispatcher = RefusingDispatcher()
    await produce_numbered(room, orders=30, each=2)
    with capture_logs() as logs:
        async with running_bridge(room, dispatcher) as bridge:
            await assert_eventually(lambda: dispatcher.refused >= 60, 20, "each was refused more than once")
            assert not bridge.status().ready
            assert bridge.status().live
            assert "temporal does not answer" in bridge.status().reasons
            dispatcher.refuses = False
            await room.await_drained()
    alarms = [entry for entry in logs if entry["event"] == "bridge.dependency.misconfigured"]
    assert len(alarms) == 1
    assert await room.dead_letters() == []
    assert_all_in_order(room, dispatcher, orders=30, each=2)


@dataclass
class RefusingDispatcher(RecordingDispatcher):
    refuses: bool = True
    refused: int = 0

    async def dispatch(self, call: WorkflowCall) -> Settlement:
        if self.refuses:
            self.refused += 1
            raise RPCError("no", RPCStatusCode.PERMISSION_DENIED, b"")
        return await super().dispatch(call)
