"""The bridge while a server is away: it waits, sets nothing aside, and goes on by itself."""

import asyncio
from collections.abc import AsyncIterator, MutableMapping
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from bridge.service import Bridge
from stack.endpoints import Endpoints
from tests.helpers.messages.kafka_io import delete_topics, group_is_stable
from tests.helpers.servers.proxy import Proxy
from tests.helpers.system.bridge_room import Room, connect, create_topics, open_room
from tests.helpers.system.waiting import assert_eventually

ORDERS = 40
Logs = list[MutableMapping[str, Any]]


@pytest_asyncio.fixture
async def room(endpoints: Endpoints) -> AsyncIterator[Room]:
    async with open_room(endpoints) as opened:
        yield opened


@pytest_asyncio.fixture
async def temporal(endpoints: Endpoints) -> AsyncIterator[Proxy]:
    async with Proxy(endpoints.temporal_host) as proxy:
        yield proxy


async def produce_orders(room: Room, first: int, count: int) -> list[str]:
    order_ids = [room.order_id(number) for number in range(first, first + count)]
    await room.produce(*(room.created(order_id) for order_id in order_ids))
    return order_ids


async def assert_each_has_one_signal_or_more(room: Room, order_ids: list[str]) -> None:
    for order_id in order_ids:
        assert await room.signals(order_id), order_id


@pytest.mark.parametrize("fault", ["refuse", "stall", "drop"])
async def test_an_outage_of_temporal_loses_nothing_and_sets_nothing_aside(
    room: Room, temporal: Proxy, fault: str
) -> None:
    """I1, I12."""
    client = await connect(temporal.address)
    with capture_logs() as logs:
        async with room.bridge(client):
            before = await produce_orders(room, 0, ORDERS)
            await room.await_drained()
            await break_down(temporal, fault)
            during = await produce_orders(room, ORDERS, ORDERS)
            await assert_eventually(lambda: fault == "drop" or bool(lost(logs)), 20, "the outage in the log")
            await temporal.serve()
            temporal.flow()
            await room.await_drained()
    assert await room.dead_letters() == []
    await assert_each_has_one_signal_or_more(room, before + during)
    assert len(lost(logs)) <= 2, "said once per change of state, not once per record"


async def break_down(temporal: Proxy, fault: str) -> None:
    if fault == "stall":
        temporal.stall()
    else:
        await getattr(temporal, fault)()


def lost(logs: Logs) -> Logs:
    return [entry for entry in logs if entry["event"] == "bridge.dependency.lost"]


async def test_nothing_is_committed_before_temporal_has_acknowledged(room: Room, temporal: Proxy) -> None:
    """I1."""
    client = await connect(temporal.address)
    with capture_logs() as logs:
        async with room.bridge(client):
            await assert_eventually(
                lambda: group_is_stable(room.endpoints.kafka_bootstrap_servers, room.config.group_id)
            )
            await temporal.refuse()
            order_ids = await produce_orders(room, 0, ORDERS)
            await assert_eventually(lambda: bool(lost(logs)), 20, "the outage in the log")
    with pytest.raises(AssertionError, match="everything committed"):
        await room.await_drained(0)
    async with room.bridge():
        await room.await_drained()
    await assert_each_has_one_signal_or_more(room, order_ids)


async def test_the_bridge_waits_for_temporal_to_start(room: Room, temporal: Proxy) -> None:
    await temporal.refuse()
    client = await connect(temporal.address, lazy=True)
    with capture_logs() as logs:
        async with room.bridge(client):
            order_ids = await produce_orders(room, 0, 3)
            await assert_eventually(lambda: bool(lost(logs)), 20, "the outage in the log")
            await temporal.serve()
            await room.await_drained()
    await assert_each_has_one_signal_or_more(room, order_ids)


async def test_a_missing_namespace_is_an_alarm_and_no_dead_letter(room: Room) -> None:
    client = await connect(room.endpoints.temporal_host, namespace=f"{room.name}-missing")
    with capture_logs() as logs:
        async with room.bridge(client):
            await produce_orders(room, 0, 3)
            await assert_eventually(lambda: bool(misconfigured(logs)), 20, "the alarm")
    assert [entry["dependency"] for entry in misconfigured(logs)] == ["temporal"]
    assert await room.dead_letters() == []


def misconfigured(logs: Logs) -> Logs:
    return [entry for entry in logs if entry["event"] == "bridge.dependency.misconfigured"]


async def test_a_missing_topic_is_named_and_waited_for(room: Room) -> None:
    later = f"{room.name}.later"
    with capture_logs() as logs:
        async with room.bridge(dead_letter_topic=later):
            await assert_eventually(lambda: bool(misconfigured(logs)), 20, "the alarm")
            await create_topics(room.endpoints.kafka_bootstrap_servers, [later], 1)
            await produce_orders(room, 0, 3)
            await room.await_drained()
    await delete_topics(room.endpoints.kafka_bootstrap_servers, [later])
    (alarm,) = misconfigured(logs)
    assert later in str(alarm["detail"])
    assert "orders migrate" in str(alarm["detail"])


async def test_the_bridge_waits_for_kafka_to_start_and_can_be_stopped_meanwhile(room: Room) -> None:
    async with Proxy(room.endpoints.kafka_bootstrap_servers) as kafka:
        await kafka.refuse()
        config = replace(room.config, bootstrap_servers=kafka.address)
        with capture_logs() as logs:
            bridge = Bridge(config, room.client)
            running = asyncio.create_task(bridge.run())
            await assert_eventually(lambda: bool(lost(logs)), 20, "the outage in the log")
            bridge.stop()
            bridge.stop()
            async with asyncio.timeout(5):
                await running
