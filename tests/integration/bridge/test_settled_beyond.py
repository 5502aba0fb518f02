"""What is settled beyond a stuck record is not handed over again, and nothing that is not settled is passed over."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.structs import OffsetAndMetadata
from structlog.testing import capture_logs

from bridge import Call, CallOutcome
from bridge.engine.settled_beyond import SettledBeyond, UnreadableMetadataError, decode
from stack.endpoints import Endpoints
from tests.helpers.devices import REFILLED
from tests.helpers.messages.kafka_io import Outgoing, commits_of, delete_topics
from tests.helpers.system.bridge_room import create_topics
from tests.helpers.system.device_room import DeviceRoom, open_device_room
from tests.helpers.system.waiting import assert_eventually

STUCK, BEYOND = "stuck", 400


@pytest_asyncio.fixture
async def room(endpoints: Endpoints) -> AsyncIterator[DeviceRoom]:
    async with open_device_room(endpoints, partitions=1) as opened:
        yield opened


@dataclass
class Temporal:
    """Acknowledges each call at once, but for the stuck device's; notes the event ids."""

    is_stuck: bool = True
    begun: list[str] = field(default_factory=list)

    async def make(self, call: Call) -> CallOutcome:
        self.begun.append(call.signal_argument.event_id)
        while self.is_stuck and call.workflow_id == STUCK:  # noqa: ASYNC110 -- a valve would hide the test
            await asyncio.sleep(0.01)
        return CallOutcome.DELIVERED


def refilled(room: DeviceRoom, device_id: str, event_id: str) -> Outgoing:
    return room.event(REFILLED, device_id, event_id=event_id)


async def produce_with_one_stuck(room: DeviceRoom, name: str = "e") -> list[str]:
    """The first record and one in the middle are of the device that gets stuck."""
    event_ids = [f"{name}-{number}" for number in range(BEYOND)]
    middle = BEYOND // 2
    await room.produce(
        *(
            refilled(room, STUCK if number in (0, middle) else f"d-{number}", event_id)
            for number, event_id in enumerate(event_ids)
        )
    )
    return event_ids


async def committed(room: DeviceRoom) -> OffsetAndMetadata | None:
    offsets = await commits_of(room.servers, room.config.group_id)
    return offsets.get(TopicPartition(room.topic(REFILLED), 0))


async def told(room: DeviceRoom) -> SettledBeyond | None:
    found = await committed(room)
    with contextlib.suppress(UnreadableMetadataError):
        return decode(found.metadata or "", offset=found.offset) if found else None
    return None


async def settle_all_but_the_stuck_and_kill(room: DeviceRoom, temporal: Temporal) -> OffsetAndMetadata:
    """Leaves what the killed bridge last committed: nothing is committed on the way out."""
    running = asyncio.create_task(room.make_bridge(temporal).run())

    async def all_is_told() -> bool:
        beyond = await told(room)
        return beyond is not None and beyond.bounds == (0, 1, BEYOND // 2, BEYOND // 2 + 1, BEYOND)

    await assert_eventually(all_is_told, 20, "a commit that tells of everything beyond the stuck record")
    running.cancel()
    await asyncio.wait([running])
    found = await committed(room)
    assert found is not None
    assert found.offset == 0
    return found


async def set_offset(room: DeviceRoom, offset: int, metadata: str = "") -> None:
    """As ``kafka-consumer-groups --reset-offsets`` does it: a commit of nobody's while the group is empty."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=room.servers,
        group_id=room.config.group_id,
        enable_auto_commit=False,
    )
    partition = TopicPartition(room.topic(REFILLED), 0)
    await consumer.start()
    try:
        consumer.assign([partition])
        await consumer.commit({partition: OffsetAndMetadata(offset, metadata)})
    finally:
        await consumer.stop()


async def begun_by_the_next(room: DeviceRoom) -> list[str]:
    temporal = Temporal(is_stuck=False)
    async with room.bridge(temporal):
        await room.await_drained()
    return temporal.begun


async def test_after_a_kill_only_what_was_in_flight_is_handed_to_temporal_again(room: DeviceRoom) -> None:
    """I1, I2."""
    event_ids = await produce_with_one_stuck(room)
    first = Temporal()
    await settle_all_but_the_stuck_and_kill(room, first)
    await room.produce(refilled(room, "later", "later"))
    with capture_logs() as logs:
        again = await begun_by_the_next(room)
    assert again == [event_ids[0], event_ids[BEYOND // 2], "later"] or again == [
        event_ids[0],
        "later",
        event_ids[BEYOND // 2],
    ]
    assert set(first.begun) | set(again) == {*event_ids, "later"}
    (passed_over,) = [entry for entry in logs if entry["event"] == "bridge.offsets.passed_over"]
    assert passed_over["records"] == BEYOND - 2
    found = await committed(room)
    assert found == OffsetAndMetadata(BEYOND + 1, ""), "with nothing stuck there is nothing to tell"


async def test_a_rebalance_repeats_what_was_in_flight_and_no_more(room: DeviceRoom) -> None:
    event_ids = await produce_with_one_stuck(room)
    temporal = Temporal()
    drain_timeout, commit_interval = timedelta(seconds=0.2), timedelta(seconds=3)
    bridges = [
        room.make_bridge(temporal, drain_timeout=drain_timeout, commit_interval=commit_interval) for _ in range(2)
    ]
    running = [asyncio.create_task(bridges[0].run())]
    await assert_eventually(lambda: len(temporal.begun) == BEYOND - 1, 20, "all but the stuck device's records begun")
    running.append(asyncio.create_task(bridges[1].run()))
    await assert_eventually(lambda: len(temporal.begun) == BEYOND, 20, "the next assignment begins the stuck one again")
    temporal.is_stuck = False
    await room.await_drained()
    for bridge in bridges:
        bridge.stop()
    await asyncio.gather(*running)
    assert sorted(temporal.begun) == sorted([*event_ids, event_ids[0]])


@pytest.mark.parametrize("metadata", ["", "somebody else's", "settled-beyond/2 eJwDAAAAAAE="])
async def test_offsets_that_a_person_set_deliver_everything_again(room: DeviceRoom, metadata: str) -> None:
    event_ids = await produce_with_one_stuck(room)
    await settle_all_but_the_stuck_and_kill(room, Temporal())
    await set_offset(room, 0, metadata)
    with capture_logs() as logs:
        assert sorted(await begun_by_the_next(room)) == sorted(event_ids)
    ignored = [entry for entry in logs if entry["event"] == "bridge.offsets.metadata_ignored"]
    assert len(ignored) == (1 if metadata else 0)


async def test_a_topic_made_anew_is_read_whole_even_if_its_old_commit_came_back(room: DeviceRoom) -> None:
    await produce_with_one_stuck(room)
    old = await settle_all_but_the_stuck_and_kill(room, Temporal())
    topic = room.topic(REFILLED)
    await delete_topics(room.servers, [topic])

    async def kafka_has_forgotten() -> bool:
        return await committed(room) is None

    await assert_eventually(kafka_has_forgotten, 20, "Kafka deletes a group's offsets with the topic")
    await create_topics(room.servers, [topic], 1)
    event_ids = await produce_with_one_stuck(room, "anew")
    await set_offset(room, old.offset, old.metadata)
    with capture_logs() as logs:
        assert sorted(await begun_by_the_next(room)) == sorted(event_ids)
    assert [entry["log_level"] for entry in logs if entry["event"] == "bridge.offsets.distrusted"] == ["warning"]
