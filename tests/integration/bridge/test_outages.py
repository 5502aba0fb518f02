"""The bridge while a server is away: it waits, sets nothing aside, and goes on by itself."""

import asyncio
from collections.abc import AsyncIterator, MutableMapping
from itertools import pairwise
from typing import Any

import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from bridge import Kafka
from stack.endpoints import Endpoints
from tests.helpers.messages.kafka_io import delete_topics, group_is_stable
from tests.helpers.servers.proxy import Proxy
from tests.helpers.system.bridge_room import connect, create_topics
from tests.helpers.system.device_room import DeviceRoom, open_device_room
from tests.helpers.system.waiting import assert_eventually, patient_timeout

DEVICES = 40
Logs = list[MutableMapping[str, Any]]


@pytest_asyncio.fixture
async def room(endpoints: Endpoints) -> AsyncIterator[DeviceRoom]:
    async with open_device_room(endpoints) as opened:
        yield opened


@pytest_asyncio.fixture
async def temporal(endpoints: Endpoints) -> AsyncIterator[Proxy]:
    async with Proxy(endpoints.temporal_host) as proxy:
        yield proxy


async def install(room: DeviceRoom, first: int, count: int) -> list[str]:
    device_ids = [room.id_of(number) for number in range(first, first + count)]
    await room.produce(*map(room.installed, device_ids))
    return device_ids


async def assert_each_has_one_signal_or_more(room: DeviceRoom, device_ids: list[str]) -> None:
    for device_id in device_ids:
        assert await room.signals(device_id), device_id


@pytest.mark.parametrize("fault", ["refuse", "stall", "drop"])
async def test_an_outage_of_temporal_loses_nothing_and_sets_nothing_aside(
    room: DeviceRoom, temporal: Proxy, fault: str
) -> None:
    """I1, I12."""
    client = await connect(temporal.address)
    with capture_logs() as logs:
        async with room.bridge(client=client):
            before = await install(room, 0, DEVICES)
            await room.await_drained()
            await break_down(temporal, fault)
            during = await install(room, DEVICES, DEVICES)
            await assert_eventually(lambda: fault == "drop" or bool(lost(logs)), 20, "the outage in the log")
            await temporal.serve()
            temporal.flow()
            await room.await_drained()
    assert await room.dead_letters() == []
    await assert_each_has_one_signal_or_more(room, before + during)
    said = [entry["event"] for entry in logs if entry.get("dependency") == "temporal"]
    assert all(one != after for one, after in pairwise(said)), f"not once per change of state: {said}"


async def break_down(temporal: Proxy, fault: str) -> None:
    if fault == "stall":
        temporal.stall()
    else:
        await getattr(temporal, fault)()


def lost(logs: Logs) -> Logs:
    return [entry for entry in logs if entry["event"] == "bridge.dependency.lost"]


async def test_nothing_is_committed_before_temporal_has_acknowledged(room: DeviceRoom, temporal: Proxy) -> None:
    """I1."""
    client = await connect(temporal.address)
    with capture_logs() as logs:
        async with room.bridge(client=client):
            await assert_eventually(lambda: group_is_stable(room.servers, room.config.group_id))
            await temporal.refuse()
            device_ids = await install(room, 0, DEVICES)
            await assert_eventually(lambda: bool(lost(logs)), 20, "the outage in the log")
    with pytest.raises(AssertionError, match="everything committed"):
        await room.await_drained(0)
    async with room.bridge():
        await room.await_drained()
    await assert_each_has_one_signal_or_more(room, device_ids)


async def test_the_bridge_waits_for_temporal_to_start(room: DeviceRoom, temporal: Proxy) -> None:
    await temporal.refuse()
    client = await connect(temporal.address, lazy=True)
    with capture_logs() as logs:
        async with room.bridge(client=client):
            device_ids = await install(room, 0, 3)
            await assert_eventually(lambda: bool(lost(logs)), 20, "the outage in the log")
            await temporal.serve()
            await room.await_drained()
    await assert_each_has_one_signal_or_more(room, device_ids)


async def test_a_missing_namespace_is_an_alarm_and_no_dead_letter(room: DeviceRoom) -> None:
    client = await connect(room.endpoints.temporal_host, namespace=f"{room.name}-missing")
    with capture_logs() as logs:
        async with room.bridge(client=client):
            await install(room, 0, 3)
            await assert_eventually(lambda: bool(misconfigured(logs)), 20, "the alarm")
    assert [entry["dependency"] for entry in misconfigured(logs)] == ["temporal"]
    assert await room.dead_letters() == []


def misconfigured(logs: Logs) -> Logs:
    return [entry for entry in logs if entry["event"] == "bridge.dependency.misconfigured"]


async def test_a_missing_topic_is_named_and_waited_for(room: DeviceRoom) -> None:
    later = f"{room.name}.later"
    with capture_logs() as logs:
        async with room.bridge(dead_letter_topic=later, make_topics="make them with: devices set-up"):
            await assert_eventually(lambda: bool(misconfigured(logs)), 20, "the alarm")
            await create_topics(room.servers, [later], 1)
            await install(room, 0, 3)
            await room.await_drained()
    await delete_topics(room.servers, [later])
    (alarm,) = misconfigured(logs)
    assert later in str(alarm["detail"])
    assert "devices set-up" in str(alarm["detail"])


async def test_the_bridge_waits_for_kafka_to_start_and_can_be_stopped_meanwhile(room: DeviceRoom) -> None:
    async with Proxy(room.servers) as kafka:
        await kafka.refuse()
        with capture_logs() as logs:
            bridge = room.make_bridge(kafka=Kafka(kafka.address))
            running = asyncio.create_task(bridge.run())
            await assert_eventually(lambda: bool(lost(logs)), 20, "the outage in the log")
            bridge.stop()
            bridge.stop()
            async with patient_timeout(5):
                await running
