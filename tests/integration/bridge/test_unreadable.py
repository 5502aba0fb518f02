"""Records that the Kafka client's own parser gives up on, on a real broker: none is lost, and no other is held up."""

import time
from collections import Counter
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaProducer, TopicPartition

from orders.clients.opened import open_clients
from orders.clients.topic_scan import topic_scan
from orders.settings import Settings
from stack.endpoints import Endpoints
from tests.helpers.messages.kafka_io import Outgoing, group_offsets
from tests.helpers.messages.raw_batches import produce_batch, raw_name
from tests.helpers.system.bridge_room import Noting, Room, open_room
from tests.helpers.system.waiting import assert_eventually

ORDERS = 400
"""In each of three partitions."""


@pytest_asyncio.fixture
async def room(endpoints: Endpoints) -> AsyncIterator[Room]:
    async with open_room(endpoints) as opened:
        yield opened


def good(room: Room, partition: int, numbers: range) -> list[Outgoing]:
    return [room.created(room.order_id(f"{partition}-{number}"), partition=partition) for number in numbers]


async def produce_everywhere(room: Room, numbers: range) -> list[str]:
    records = [record for number in numbers for p in range(3) for record in good(room, p, range(number, number + 1))]
    await room.produce(*records)
    return [(record.key or b"").decode() for record in records]


def settings_of(room: Room) -> Settings:
    return Settings(kafka_bootstrap_servers=room.endpoints.kafka_bootstrap_servers)


async def scanned(room: Room, notes: list[str]) -> list[tuple[int, int]]:
    """Partition and offset of what the commands for a person see in the topic; and what is noted on the way."""
    settings = settings_of(room)
    async with open_clients(settings, note=notes.append) as clients, topic_scan(clients, [room.topic()]) as scan:
        return [(record.partition, record.offset) async for batch in scan.read(await scan.ranges()) for record in batch]


async def test_a_header_s_name_that_is_not_utf_8_is_one_dead_letter_and_costs_no_other_record(room: Room) -> None:
    """I1, I2, I10: produced amid others, and in the middle of their batch, while the bridge reads."""
    servers, noting = room.endpoints.kafka_bootstrap_servers, Noting()
    bad_name = raw_name(b"trace\xff\xfe")
    bad = room.created(room.order_id("bad"), partition=0, headers=(("a", b"\xff"), (bad_name, b"1")))
    sent = await produce_everywhere(room, range(ORDERS // 2))
    async with room.bridge(dispatcher=noting) as bridge:
        await assert_eventually(lambda: len(noting.given) > 0)
        batch = [*good(room, 0, range(1_000, 1_005)), bad, *good(room, 0, range(1_005, 1_010))]
        coordinates = await produce_batch(servers, batch)
        produced_at = time.monotonic()
        sent += await produce_everywhere(room, range(ORDERS // 2, ORDERS))
        await room.await_drained()
        assert time.monotonic() - produced_at < 10, "nothing waits for anything to be tried again"
        assert bridge.status().ready
    sent += [(record.key or b"").decode() for record in batch if record is not bad]
    assert len(sent) == 3 * ORDERS + 10
    assert noting.given == Counter(sent), "each once, and the bad one not at all"
    (letter,) = await room.dead_letters()
    assert (letter.key, letter.value) == (bad.key, bad.value)
    assert letter.headers[:2] == (("a", b"\xff"), ("trace\\xff\\xfe", b"1"))
    assert letter.header("dlq_error_code") == "header_name_not_utf_8"
    assert letter.header("dlq_source_offset") == str(coordinates[5][2])
    offsets = await group_offsets(servers, room.config.group_id, [room.topic()])
    assert all(one.committed == one.end for one in offsets)
    notes: list[str] = []
    assert len(await scanned(room, notes)) == len(sent) + 1, "commands for a person read it as well"
    assert notes == []


async def test_a_batch_that_cannot_be_taken_apart_is_passed_over_with_a_word(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kafka looks at what it takes, so the batch is broken on our side of it."""
    servers = room.endpoints.kafka_bootstrap_servers
    await produce_batch(servers, good(room, 0, range(3)))
    broken = [room.created("broken", partition=0, headers=((raw_name(b"\xff"), b"1"),))] * 4
    await produce_batch(servers, broken)
    await produce_batch(servers, good(room, 0, range(3, 6)))
    monkeypatch.setattr("bridge.kafka.lenient_records._parse_record", lambda *_: 1 / 0)
    notes: list[str] = []
    assert await scanned(room, notes) == [(0, offset) for offset in (0, 1, 2, 7, 8, 9)]
    (note,) = notes
    assert f"1 batches of records that cannot be taken apart, the first of them up to {room.topic()}:0:6" in note
    noting = Noting()
    async with room.bridge(dispatcher=noting):
        await room.await_drained()
    assert noting.given == Counter(room.order_id(f"0-{number}") for number in range(6))
    (letter,) = await room.dead_letters()
    assert (letter.key, letter.value, letter.header("dlq_pointer")) == (None, None, "true")
    assert letter.header("dlq_error_code") == "batch_unreadable"
    assert "from offset 3 to 6" in (letter.header("dlq_message") or "")
    async with open_clients(settings_of(room)) as clients, topic_scan(clients, [room.topic()]) as scan:
        place = TopicPartition(room.topic(), 0)
        assert list((await scan.fetch({place: [6, 7]}))[place]) == [7]


async def test_what_a_transaction_took_back_is_not_read_and_what_it_committed_is(room: Room) -> None:
    """Its markers are batches as well, and go through the same hands."""
    sent = {commits: good(room, 0, range(number, number + 3)) for commits, number in ((True, 0), (False, 10))}
    options = {"bootstrap_servers": room.endpoints.kafka_bootstrap_servers, "transactional_id": room.name}
    async with AIOKafkaProducer(**options) as producer:
        for commits in (False, True, False):
            await producer.begin_transaction()
            for record in sent[commits]:
                await producer.send_and_wait(record.topic, record.value, record.key, partition=0)
            await (producer.commit_transaction() if commits else producer.abort_transaction())
    await room.produce(*good(room, 0, range(20, 23)))
    noting = Noting()
    async with room.bridge(dispatcher=noting):
        await room.await_drained()
    assert noting.given == Counter(room.order_id(f"0-{number}") for number in (0, 1, 2, 20, 21, 22))
    assert await room.dead_letters() == []
