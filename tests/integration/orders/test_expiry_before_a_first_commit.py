"""What an order's expiry is told of topics of which the bridges' group has committed nothing yet."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest

from bridge import Call, CallOutcome
from orders.clients.inbound_backlog import ASKED_EVERY, READ_RECORDS_MAX, KafkaInboundBacklog, order_by_contract
from orders.settings import Settings
from schemas.activity_io import Backlog
from schemas.event_types import EventType
from stack.endpoints import Endpoints
from tests.helpers.messages.kafka_io import Outgoing, group_offsets
from tests.helpers.system.order_room import OrderRoom, open_order_room
from tests.helpers.system.waiting import assert_eventually

APPROVED, CANCELLED = EventType.ORDER_APPROVED, EventType.ORDER_CANCELLED
SAVING = (APPROVED, CANCELLED)


class Gate:
    """Temporal, which takes calls once it is open."""

    def __init__(self) -> None:
        self.opened = asyncio.Event()

    async def make(self, _call: Call) -> CallOutcome:
        await self.opened.wait()
        return CallOutcome.DELIVERED


@pytest.fixture
async def room(endpoints: Endpoints) -> AsyncIterator[OrderRoom]:
    async with open_order_room(endpoints, partitions=1) as opened:
        yield opened


@pytest.fixture
async def backlog(room: OrderRoom) -> AsyncIterator[KafkaInboundBacklog]:
    settings = Settings.model_validate(
        {
            "kafka_bootstrap_servers": room.servers,
            "bridge_group_id": room.config.group_id,
            **{name.lower(): topic for name, topic in room.topic_settings.items()},
        }
    )
    opened = KafkaInboundBacklog(settings, order_by_contract(settings))
    yield opened
    await opened.close()


async def approve(room: OrderRoom, order_id: str, times: int = 1) -> None:
    value = b'{"order_id": "%s"}' % order_id.encode()
    await room.produce(*[Outgoing(room.topic(APPROVED), value, order_id.encode())] * times)


async def records_left(backlog: KafkaInboundBacklog, order_id: str, found: tuple[Backlog, ...]) -> int:
    return sum(one.records for one in await backlog.left_of(order_id, found))


async def stays(backlog: KafkaInboundBacklog, order_id: str, found: tuple[Backlog, ...], records: int) -> None:
    for _ in range(3):
        await asyncio.sleep(ASKED_EVERY.total_seconds())
        assert await records_left(backlog, order_id, found) == records


async def has_committed(room: OrderRoom) -> bool:
    offsets = await group_offsets(room.servers, room.config.group_id, [room.topic(APPROVED)])
    return all(one.committed is not None for one in offsets)


async def test_what_was_there_before_is_waited_for_until_a_group_that_begins_with_the_latest_has_begun(
    room: OrderRoom, backlog: KafkaInboundBacklog
) -> None:
    """Nobody can know before how the group will begin. Once it has, what it passes by is nobody's to wait for."""
    await approve(room, "o-1")
    found = await backlog.find("o-1", SAVING)
    await stays(backlog, "o-1", found, 1)
    assert await records_left(backlog, "o-2", found) == 0, "it is read whose they are, as they are few"
    async with room.bridge(Gate(), begin="latest", commit_interval=timedelta(hours=1)):
        await assert_eventually(lambda: has_committed(room), 20)

        async def nothing_left() -> bool:
            return await records_left(backlog, "o-1", found) == 0

        await assert_eventually(nothing_left, 10)
        assert await backlog.find("o-1", SAVING) == ()


async def test_a_long_history_holds_expiries_up_only_until_the_group_has_begun(
    room: OrderRoom, backlog: KafkaInboundBacklog
) -> None:
    await approve(room, "o-old", READ_RECORDS_MAX + 1)
    found = await backlog.find("o-1", SAVING)
    await stays(backlog, "o-1", found, READ_RECORDS_MAX + 1)
    async with room.bridge(Gate(), begin="latest"):
        await assert_eventually(lambda: has_committed(room), 20)

        async def nothing_found() -> bool:
            return await backlog.find("o-1", SAVING) == ()

        await assert_eventually(nothing_found, 10)


async def test_an_approval_that_comes_once_a_group_has_begun_is_waited_for_until_it_is_handed_over(
    room: OrderRoom, backlog: KafkaInboundBacklog
) -> None:
    """Also one that comes before anything else was committed, and also where the bridge is killed and begins again."""
    await approve(room, "o-old", 3)
    gate = Gate()
    config = replace(room.config, begin="latest", commit_interval=timedelta(hours=1))
    killed = asyncio.create_task(replace(room, config=config).make_bridge(gate).run())
    await assert_eventually(lambda: has_committed(room), 20)
    await approve(room, "o-1")
    found = await backlog.find("o-1", SAVING)
    await stays(backlog, "o-1", found, 1)
    killed.cancel()
    await asyncio.gather(killed, return_exceptions=True)
    gate.opened.set()
    async with room.bridge(gate, begin="latest"):

        async def nothing_left() -> bool:
            return await records_left(backlog, "o-1", found) == 0

        await assert_eventually(nothing_left, 40)
