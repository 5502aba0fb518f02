"""Bridges with a name of their own: one that comes back works on at once, and no two work under one name."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions

from bridge import Bridge
from bridge.kafka.membership import FencedError
from stack.endpoints import Endpoints
from tests.helpers.messages.kafka_io import group_members
from tests.helpers.system.bridge_room import Noting
from tests.helpers.system.device_room import DeviceRoom, open_device_room
from tests.helpers.system.waiting import assert_eventually, patient_timeout

BACK_WITHIN_SECONDS = 5.0
"""Of a session of 10 s, which a bridge without a name waits for."""
ADDED_SEEN_WITHIN_SECONDS = 30.0


@pytest_asyncio.fixture
async def room(endpoints: Endpoints) -> AsyncIterator[DeviceRoom]:
    async with open_device_room(endpoints) as opened:
        yield opened


class Named:
    """Bridges of one name, one after the other; each ends without a word to its group, as after a kill."""

    def __init__(self, room: DeviceRoom, name: str) -> None:
        self._room = room
        self._name = name
        self.noting = Noting()

    def start(self) -> tuple[Bridge, "asyncio.Task[None]"]:
        bridge = self._room.make_bridge(self.noting, instance_id=self._name)
        return bridge, asyncio.create_task(bridge.run())

    async def gives(self, device_id: str, within_seconds: float = BACK_WITHIN_SECONDS) -> None:
        await assert_eventually(lambda: self.noting.given[device_id], within_seconds, f"{device_id} is handed over")


async def end(running: "asyncio.Task[None]") -> None:
    running.cancel()
    await asyncio.wait([running])


async def test_a_bridge_that_comes_back_works_on_at_once_with_what_it_had(room: DeviceRoom) -> None:
    named = Named(room, "one")
    _, running = named.start()
    await room.produce(room.installed("d-0"))
    await named.gives("d-0", 20)
    for number in range(1, 6):
        await end(running)
        await room.produce(room.installed(f"d-{number}"))
        bridge, running = named.start()
        await named.gives(f"d-{number}")
        assert bridge.status().partitions == 9
    assert len(await group_members(room.servers, room.config.group_id)) == 1, "it is one member, all the time"
    await end(running)


async def test_partitions_that_were_added_while_it_was_away_are_worked_on(room: DeviceRoom) -> None:
    """I12. Kafka takes it back as a follower, and only a leader of the client's own making looks for them."""
    named = Named(room, "one")
    bridge, running = named.start()
    await assert_eventually(lambda: bridge.status().ready, 20)
    await end(running)
    admin = AIOKafkaAdminClient(bootstrap_servers=room.servers)
    await admin.start()
    await admin.create_partitions({room.topic(): NewPartitions(4)})
    await admin.close()

    bridge, running = named.start()

    await assert_eventually(lambda: bridge.status().partitions == 10, ADDED_SEEN_WITHIN_SECONDS)
    await room.produce(room.installed("d-added", partition=3))
    await named.gives("d-added")
    await end(running)


async def test_of_two_bridges_with_one_name_one_ends_and_says_what_to_do(room: DeviceRoom) -> None:
    """Mostly the first; the second where a refused commit has the first join once more before it is told."""
    named = Named(room, "one")
    bridges = dict([named.start()])
    await assert_eventually(lambda: all(bridge.status().ready for bridge in bridges), 20)
    bridges.update([named.start()])

    await assert_eventually(lambda: any(running.done() for running in bridges.values()), 30)

    (ended,) = (running for running in bridges.values() if running.done())
    with pytest.raises(FencedError, match="runs under the same instance id, one") as fenced:
        await ended
    assert "give each bridge an instance id of its own" in str(fenced.value)
    ((other, running),) = ((bridge, running) for bridge, running in bridges.items() if running is not ended)
    await assert_eventually(lambda: other.status().ready, 20)
    await room.produce(room.installed("d-1"))
    await named.gives("d-1")
    other.stop()
    async with patient_timeout(20):
        await running


async def test_bridges_of_different_names_share_the_partitions(room: DeviceRoom) -> None:
    first, running_first = Named(room, "one").start()
    await assert_eventually(lambda: first.status().ready, 20)
    second, running_second = Named(room, "two").start()
    await assert_eventually(lambda: sorted((first.status().partitions, second.status().partitions)) == [3, 6], 20)
    for bridge, running in ((first, running_first), (second, running_second)):
        bridge.stop()
        async with patient_timeout(20):
            await running
