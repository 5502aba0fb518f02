"""The backlog of one lane, in Kafka: others go on, and it is worked off whole, record after record (I1, I3, I18)."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import pairwise

import pytest_asyncio
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.records_to_delete import RecordsToDelete
from structlog.testing import capture_logs
from temporalio.service import RPCError, RPCStatusCode

from bridge import Call, CallOutcome
from bridge.config import EngineLimits
from bridge.engine.settled_beyond import decode
from stack.endpoints import Endpoints
from tests.helpers.devices import INSTALLED, REFILLED
from tests.helpers.messages.kafka_io import Outgoing, commits_of
from tests.helpers.system.device_room import DeviceRoom, open_device_room
from tests.helpers.system.waiting import assert_eventually

STUCK, BACKLOG, OTHERS = "stuck", 3_000, 50
LIMITS = EngineLimits(records_held_max=200, lane_records_max=16)
LANE_MAX = 50


@pytest_asyncio.fixture
async def room(endpoints: Endpoints) -> AsyncIterator[DeviceRoom]:
    async with open_device_room(endpoints, partitions=1) as opened:
        yield opened


@dataclass
class Temporal:
    """Takes every call, but for those of one device as long as it is stuck; notes the event ids that it took."""

    is_stuck: bool = True
    taken: dict[str, list[str]] = field(default_factory=dict)
    refusals: int = 0

    async def make(self, call: Call) -> CallOutcome:
        await asyncio.sleep(0.001)
        if self.is_stuck and call.workflow_id == STUCK:
            self.refusals += 1
            raise RPCError("not now", RPCStatusCode.UNAVAILABLE, b"")
        self.taken.setdefault(call.workflow_id, []).append(call.signal_argument.event_id)
        return CallOutcome.DELIVERED

    @property
    def others(self) -> int:
        return sum(len(ids) for device, ids in self.taken.items() if device != STUCK)


async def produce(room: DeviceRoom, device_id: str, count: int, kind: str = REFILLED) -> None:
    await room.produce(*(room.event(kind, device_id, event_id=f"{device_id}-{n}") for n in range(count)))


async def produce_others(room: DeviceRoom, kind: str = REFILLED) -> None:
    await room.produce(*(room.event(kind, f"d-{n}", event_id=f"d-{n}") for n in range(OTHERS)))


async def test_devices_behind_and_beside_a_stuck_one_s_backlog_go_on(room: DeviceRoom) -> None:
    """With more records of one device than the bridge may hold, nothing else was called any more."""
    await produce(room, STUCK, BACKLOG)
    await produce_others(room)
    temporal = Temporal()
    async with room.bridge(temporal, engine=LIMITS) as bridge:
        await assert_eventually(lambda: temporal.others == OTHERS, 30, "the devices behind it")
        await produce_others(room, INSTALLED)
        await assert_eventually(lambda: temporal.others == 2 * OTHERS, 30, "the devices in another topic")
        status = bridge.status()
        assert status.records_held <= LANE_MAX
        assert status.records_held + status.records_deferred == BACKLOG
        assert STUCK not in temporal.taken
        temporal.is_stuck = False
        await room.await_drained(60)
    assert temporal.taken[STUCK] == [f"{STUCK}-{n}" for n in range(BACKLOG)]


async def test_the_next_bridge_is_given_the_backlog_and_nothing_that_was_settled_beyond_it(room: DeviceRoom) -> None:
    await produce(room, STUCK, BACKLOG)
    await produce_others(room)
    first = Temporal()
    running = asyncio.create_task(room.make_bridge(first, engine=LIMITS).run())
    partition = TopicPartition(room.topic(REFILLED), 0)

    async def all_is_told() -> bool:
        found = (await commits_of(room.servers, room.config.group_id)).get(partition)
        beyond = decode(found.metadata or "", offset=found.offset) if found else None
        return beyond is not None and beyond.bounds == (0, BACKLOG, BACKLOG + OTHERS)

    await assert_eventually(all_is_told, 30, "a commit that tells of all others")
    running.cancel()
    await asyncio.wait([running])
    second = Temporal(is_stuck=False)
    async with room.bridge(second, engine=LIMITS):
        await room.await_drained(60)
    assert second.taken == {STUCK: [f"{STUCK}-{n}" for n in range(BACKLOG)]}


async def test_a_rebalance_in_the_middle_of_a_backlog_loses_nothing_and_keeps_the_records_in_turn(
    room: DeviceRoom,
) -> None:
    await produce(room, STUCK, BACKLOG)
    temporal = Temporal(is_stuck=False)
    changed = {"engine": LIMITS, "drain_timeout": timedelta(seconds=1)}
    async with room.bridge(temporal, **changed):
        await assert_eventually(lambda: len(temporal.taken.get(STUCK, ())) > BACKLOG // 4, 30, "a part of it")
        async with room.bridge(temporal, **changed):
            await room.await_drained(60)
    numbers = [int(event_id.removeprefix(f"{STUCK}-")) for event_id in temporal.taken[STUCK]]
    assert set(numbers) == set(range(BACKLOG))
    repeats = [at for at, (one, after) in enumerate(pairwise(numbers)) if after != one + 1]
    assert len(repeats) <= 2, "in order, but where an assignment began"


async def test_what_kafka_deleted_before_its_turn_is_an_alarm_with_the_count(room: DeviceRoom) -> None:
    await produce(room, STUCK, BACKLOG)
    temporal, partition = Temporal(), TopicPartition(room.topic(REFILLED), 0)
    with capture_logs() as logs:
        async with room.bridge(temporal, engine=LIMITS) as bridge:
            await assert_eventually(
                lambda: bridge.status().records_deferred >= BACKLOG - LANE_MAX, 30, "all of it read"
            )
            admin = AIOKafkaAdminClient(bootstrap_servers=room.servers)
            await admin.start()
            try:
                await admin.delete_records({partition: RecordsToDelete(before_offset=BACKLOG - 100)})
            finally:
                await admin.close()
            temporal.is_stuck = False
            await room.await_drained(60)
    (lost,) = [entry for entry in logs if entry["event"] == "bridge.records.lost"]
    assert (lost["log_level"], lost["records"]) == ("error", BACKLOG - 100 - LANE_MAX)
    kept = [*range(LANE_MAX), *range(BACKLOG - 100, BACKLOG)]
    assert temporal.taken[STUCK] == [f"{STUCK}-{n}" for n in kept]


async def test_bad_records_in_a_row_are_all_set_aside_and_good_ones_do_not_wait(room: DeviceRoom) -> None:
    """I10: with sixteen lanes for them, most are deferred and read again."""
    count = 400
    await room.produce(*(Outgoing(room.topic(REFILLED), b"{", f"bad-{n}".encode()) for n in range(count)))
    await produce_others(room)
    temporal = Temporal()
    async with room.bridge(temporal, engine=EngineLimits(records_held_max=100)):
        await assert_eventually(lambda: temporal.others == OTHERS, 30, "the good ones")
        await room.await_drained(60)
    letters = await room.dead_letters()
    assert sorted(letter.key or b"" for letter in letters) == sorted(f"bad-{n}".encode() for n in range(count))
