"""Records that the Kafka client's own parser gives up on, on a real broker: none is lost, and no other is held up."""

from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaProducer

from bridge import FetchLimits
from bridge.kafka.poller import Poller
from stack.endpoints import Endpoints
from tests.helpers.messages.kafka_io import Outgoing, group_offsets
from tests.helpers.messages.raw_batches import encode_records, produce_batch, raw_name
from tests.helpers.system.bridge_room import Noting
from tests.helpers.system.device_room import DeviceRoom, open_device_room
from tests.helpers.system.waiting import assert_eventually, in_time

DEVICES = 400
"""In each of three partitions."""


@pytest_asyncio.fixture
async def room(endpoints: Endpoints) -> AsyncIterator[DeviceRoom]:
    async with open_device_room(endpoints) as opened:
        yield opened


def good(room: DeviceRoom, partition: int, numbers: range) -> list[Outgoing]:
    return [room.installed(room.id_of(f"{partition}-{number}"), partition=partition) for number in numbers]


async def produce_everywhere(room: DeviceRoom, numbers: range) -> list[str]:
    records = [record for number in numbers for p in range(3) for record in good(room, p, range(number, number + 1))]
    await room.produce(*records)
    return [(record.key or b"").decode() for record in records]


async def test_a_header_s_name_that_is_not_utf_8_is_one_dead_letter_and_costs_no_other_record(room: DeviceRoom) -> None:
    """I1, I2, I10: produced amid others, and in the middle of their batch, while the bridge reads."""
    servers, noting = room.servers, Noting()
    bad_name = raw_name(b"trace\xff\xfe")
    bad = room.installed(room.id_of("bad"), partition=0, headers=(("a", b"\xff"), (bad_name, b"1")))
    sent = await produce_everywhere(room, range(DEVICES // 2))
    async with room.bridge(noting) as bridge:
        await assert_eventually(lambda: len(noting.given) > 0)
        batch = [*good(room, 0, range(1_000, 1_005)), bad, *good(room, 0, range(1_005, 1_010))]
        coordinates = await produce_batch(servers, batch)
        with in_time(10):  # Nothing waits for anything to be tried again.
            sent += await produce_everywhere(room, range(DEVICES // 2, DEVICES))
            await room.await_drained()
        await assert_eventually(lambda: bridge.status().ready, 20)
    sent += [(record.key or b"").decode() for record in batch if record is not bad]
    assert len(sent) == 3 * DEVICES + 10
    assert noting.given == Counter(sent), "each once, and the bad one not at all"
    (letter,) = await room.dead_letters()
    assert (letter.key, letter.value) == (bad.key, bad.value)
    assert letter.headers[:2] == (("a", b"\xff"), ("trace\\xff\\xfe", b"1"))
    assert letter.header("dlq_error_code") == "header_name_not_utf_8"
    assert letter.header("dlq_source_offset") == str(coordinates[5][2])
    offsets = await group_offsets(servers, room.config.group_id, [room.topic()])
    assert all(one.committed == one.end for one in offsets)


async def test_a_batch_that_cannot_be_taken_apart_is_passed_over_with_a_word(
    room: DeviceRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kafka looks at what it takes, so the batch is broken on our side of it."""
    servers = room.servers
    await produce_batch(servers, good(room, 0, range(3)))
    broken = [room.installed("broken", partition=0, headers=((raw_name(b"\xff"), b"1"),))] * 4
    await produce_batch(servers, broken)
    await produce_batch(servers, good(room, 0, range(3, 6)))
    monkeypatch.setattr("bridge.kafka.lenient_records._parse_record", lambda *_: 1 / 0)
    noting = Noting()
    async with room.bridge(noting):
        await room.await_drained()
    assert noting.given == Counter(room.id_of(f"0-{number}") for number in range(6))
    (letter,) = await room.dead_letters()
    assert (letter.key, letter.value, letter.header("dlq_pointer")) == (None, None, "true")
    assert letter.header("dlq_error_code") == "batch_unreadable"
    assert "from offset 3 to 6" in (letter.header("dlq_message") or "")


async def test_a_batch_that_unfolds_beyond_the_bound_is_a_pointer_and_no_other_record_waits(room: DeviceRoom) -> None:
    """I3 of a hostile sender: 2 KiB that unfold to 64 MiB, taken by the broker without a word."""
    servers = room.servers
    await produce_batch(servers, good(room, 0, range(3)))
    bomb = Outgoing(room.topic(), bytes(64 * 1024 * 1024), None, partition=0)
    ((_, _, offset),) = await produce_batch(servers, [bomb], compression=4)
    await produce_batch(servers, good(room, 0, range(3, 6)))
    noting = Noting()
    fetch = FetchLimits(buffered_max_bytes=30 * 1024, unfolded_max_setting="THE_SETTING")
    async with room.bridge(noting, fetch=fetch) as bridge:
        await room.await_drained()
        parts = bridge._parts
        assert parts is not None
        assert parts.poller._consumer._fetcher._max_partition_fetch_bytes < 30 * 1024, "the client's own name for it"
    assert noting.given == Counter(room.id_of(f"0-{number}") for number in range(6))
    (letter,) = await room.dead_letters()
    assert (letter.key, letter.value, letter.header("dlq_pointer")) == (None, None, "true")
    assert letter.header("dlq_error_code") == "batch_too_large"
    assert letter.header("dlq_source_offset") == str(offset)
    assert "THE_SETTING" in (letter.header("dlq_message") or "")


async def test_offsets_that_a_sender_made_up_lead_past_no_record(room: DeviceRoom) -> None:
    """The broker takes them: it looks at a batch's own offsets, and not at those within it."""
    records = good(room, 0, range(3))
    await produce_batch(room.servers, records, body=encode_records(records, (0, 1_000_000, 2)))
    await produce_batch(room.servers, good(room, 0, range(3, 6)))
    noting = Noting()
    async with room.bridge(noting):
        await room.await_drained()
    assert noting.given == Counter(room.id_of(f"0-{number}") for number in (0, 3, 4, 5))
    (letter,) = await room.dead_letters()
    assert letter.header("dlq_error_code") == "batch_unreadable"
    assert "from offset 1 to 2" in (letter.header("dlq_message") or "")


async def test_small_batches_and_ones_that_unfold_to_much_in_turns_are_never_many_in_one_poll(
    room: DeviceRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    """I11, from the first poll on: how large a record is shows only when its batch is unfolded."""
    polled: list[int] = []
    hand_over = Poller._hand_over

    async def note(poller: Poller, batches: dict[Any, Any]) -> None:
        polled.append(sum(len(one.value or b"") for batch in batches.values() for one in batch))
        await hand_over(poller, batches)

    monkeypatch.setattr(Poller, "_hand_over", note)
    large_bytes = 5 * 1024 * 1024
    for number in range(8):
        await produce_batch(room.servers, good(room, 0, range(number, number + 1)))
        large = Outgoing(room.topic(), bytes(large_bytes), None, partition=0)
        await produce_batch(room.servers, [large], compression=4)
    noting = Noting()
    async with room.bridge(noting):
        await room.await_drained()
    assert noting.given == Counter(room.id_of(f"0-{number}") for number in range(8))
    assert len(await room.dead_letters()) == 8
    assert sum(polled) > 8 * large_bytes
    assert max(polled) < 4 * 1024 * 1024 + large_bytes


async def test_what_a_transaction_took_back_is_not_read_and_what_it_committed_is(room: DeviceRoom) -> None:
    """Its markers are batches as well, and go through the same hands."""
    sent = {commits: good(room, 0, range(number, number + 3)) for commits, number in ((True, 0), (False, 10))}
    options = {"bootstrap_servers": room.servers, "transactional_id": room.name}
    async with AIOKafkaProducer(**options) as producer:
        for commits in (False, True, False):
            await producer.begin_transaction()
            for record in sent[commits]:
                await producer.send_and_wait(record.topic, record.value, record.key, partition=0)
            await (producer.commit_transaction() if commits else producer.abort_transaction())
    await room.produce(*good(room, 0, range(20, 23)))
    noting = Noting()
    async with room.bridge(noting):
        await room.await_drained()
    assert noting.given == Counter(room.id_of(f"0-{number}") for number in (0, 1, 2, 20, 21, 22))
    assert await room.dead_letters() == []
