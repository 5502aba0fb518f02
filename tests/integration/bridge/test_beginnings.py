"""Where reading begins, and what the group's offsets say at the end of it, by the real client on a real broker."""

from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest_asyncio
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from structlog.testing import capture_logs

from stack.endpoints import Endpoints
from tests.helpers.messages.kafka_io import group_offsets
from tests.helpers.system.bridge_room import Noting
from tests.helpers.system.device_room import DeviceRoom, open_device_room
from tests.helpers.system.waiting import assert_eventually


@pytest_asyncio.fixture
async def room(endpoints: Endpoints) -> AsyncIterator[DeviceRoom]:
    async with open_device_room(endpoints, partitions=1) as opened:
        yield opened


async def produce(room: DeviceRoom, numbers: range) -> None:
    await room.produce(*(room.installed(room.id_of(str(number))) for number in numbers))


def given(room: DeviceRoom, numbers: range) -> Counter[str]:
    return Counter(room.id_of(str(number)) for number in numbers)


async def has_no_lag(room: DeviceRoom) -> bool:
    offsets = await group_offsets(room.servers, room.config.group_id, [room.topic()])
    return all(one.committed == one.end for one in offsets)


async def test_a_group_that_begins_with_the_latest_does_so_once(room: DeviceRoom) -> None:
    """What comes while it is away, before it has read anything, is not passed by."""
    noting = Noting()
    await produce(room, range(3))
    with capture_logs() as logs:
        async with room.bridge(noting, begin="latest") as bridge:
            await assert_eventually(lambda: bridge.status().ready, 20)
            await assert_eventually(lambda: has_no_lag(room), 10)
    (said,) = [entry for entry in logs if entry["event"] == "bridge.topic.begins" and entry["topic"] == room.topic()]
    assert (said["records"], said["records_passed_by"]) == (0, 3)
    await produce(room, range(3, 5))
    async with room.bridge(noting, begin="latest"):
        await assert_eventually(lambda: noting.given == given(room, range(3, 5)), 20)
        await assert_eventually(lambda: has_no_lag(room), 10)


async def test_where_a_group_begins_is_committed_before_anything_is_read(room: DeviceRoom) -> None:
    """A bridge that is killed at once would otherwise begin with a later latest, and pass by what came in between."""
    await produce(room, range(3))
    async with room.bridge(Noting(), begin="latest", commit_interval=timedelta(hours=1)):
        await assert_eventually(lambda: has_no_lag(room), 20)


async def test_records_that_kafka_deleted_before_they_were_read_raise_an_alarm(room: DeviceRoom) -> None:
    """I1: no record is lost without a word."""
    noting = Noting()
    await produce(room, range(3))
    async with room.bridge(noting):
        await room.await_drained()
    await produce(room, range(3, 8))
    partition = TopicPartition(room.topic(), 0)
    admin = AIOKafkaAdminClient(bootstrap_servers=room.servers)
    await admin.start()
    try:
        await admin.delete_records({partition: RecordsToDelete(before_offset=6)})
    finally:
        await admin.close()
    with capture_logs() as logs:
        async with room.bridge(noting) as bridge:
            await room.await_drained()
            assert bridge.status().records_lost == 3
    assert noting.given == given(room, range(3)) + given(room, range(6, 8))
    (said,) = [entry for entry in logs if entry["event"] == "bridge.records.lost"]
    assert (said["offset"], said["beginning"], said["records"]) == (3, 6, 3)


async def test_behind_the_markers_of_transactions_there_is_no_lag(room: DeviceRoom) -> None:
    noting = Noting()
    async with (
        room.bridge(noting),
        AIOKafkaProducer(bootstrap_servers=room.servers, transactional_id=room.name) as producer,
    ):
        for number, commits in enumerate((True, False)):
            record = room.installed(room.id_of(str(number)))
            await producer.begin_transaction()
            await producer.send_and_wait(record.topic, record.value, record.key, partition=0)
            await (producer.commit_transaction() if commits else producer.abort_transaction())
            await assert_eventually(lambda: has_no_lag(room), 10)
    assert noting.given == given(room, range(1))
