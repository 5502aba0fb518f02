"""What commands for a person read from topics that hold records which the Kafka client's own parser gives up on."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from aiokafka import TopicPartition

from orders.clients.opened import open_clients
from orders.clients.topic_scan import topic_scan
from orders.operations.explain.kafka_side import look_in_kafka
from orders.settings import Settings
from stack.endpoints import Endpoints
from tests.helpers.messages.raw_batches import produce_batch, raw_name
from tests.helpers.system.order_room import OrderRoom, open_order_room


@pytest_asyncio.fixture
async def room(endpoints: Endpoints) -> AsyncIterator[OrderRoom]:
    async with open_order_room(endpoints) as opened:
        yield opened


def settings_of(room: OrderRoom) -> Settings:
    topics: dict[str, Any] = {name.lower(): topic for name, topic in room.topic_settings.items()}
    return Settings(_env_file=None, kafka_bootstrap_servers=room.servers, **topics)


async def scanned(room: OrderRoom, notes: list[str]) -> list[tuple[int, int]]:
    """Partition and offset of each record; and what is noted on the way."""
    settings = settings_of(room)
    async with open_clients(settings, note=notes.append) as clients, topic_scan(clients, [room.topic()]) as scan:
        return [(record.partition, record.offset) async for batch in scan.read(await scan.ranges()) for record in batch]


async def test_a_header_s_name_that_is_not_utf_8_hides_no_record(room: OrderRoom) -> None:
    bad = room.created("bad", partition=0, headers=((raw_name(b"trace\xff\xfe"), b"1"),))
    batch = [room.created("o-1", partition=0), bad, room.created("o-2", partition=0)]
    coordinates = await produce_batch(room.servers, batch)
    notes: list[str] = []
    assert await scanned(room, notes) == [(partition, offset) for _, partition, offset in coordinates]
    assert notes == []
    async with open_clients(settings_of(room)) as clients:
        found = await look_in_kafka(clients, "bad", since=None, limit=100)
    assert [(one.event_id, one.error_code) for one in found.records] == [(None, "header_name_not_utf_8")]


async def test_a_batch_that_cannot_be_taken_apart_is_passed_over_with_a_word(
    room: OrderRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kafka looks at what it takes, so the batch is broken on our side of it."""
    good = [room.created(room.id_of(number), partition=0) for number in range(6)]
    await produce_batch(room.servers, good[:3])
    await produce_batch(room.servers, [room.created("broken", partition=0, headers=((raw_name(b"\xff"), b"1"),))] * 4)
    await produce_batch(room.servers, good[3:])
    monkeypatch.setattr("bridge.kafka.lenient_records._parse_record", lambda *_: 1 / 0)
    notes: list[str] = []
    assert await scanned(room, notes) == [(0, offset) for offset in (0, 1, 2, 7, 8, 9)]
    (note,) = notes
    assert f"1 batches of records that cannot be read, the first of them up to {room.topic()}:0:6" in note
    async with open_clients(settings_of(room)) as clients, topic_scan(clients, [room.topic()]) as scan:
        place = TopicPartition(room.topic(), 0)
        assert list((await scan.fetch({place: [6, 7]}))[place]) == [7]
