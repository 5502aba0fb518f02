"""Records through the bridge, on real Kafka and real Temporal."""

import json
from collections.abc import AsyncIterator

import pytest_asyncio
from temporalio.client import WorkflowExecutionStatus

from stack.endpoints import Endpoints
from tests.helpers.devices import INSTALLED, REFILLED, RETIRED, late_workflow_id
from tests.helpers.messages.kafka_io import Outgoing
from tests.helpers.servers.kafka_topics import configure_topic
from tests.helpers.system.device_room import DeviceRoom, open_device_room
from tests.helpers.system.waiting import assert_eventually


@pytest_asyncio.fixture
async def room(endpoints: Endpoints) -> AsyncIterator[DeviceRoom]:
    async with open_device_room(endpoints) as opened:
        yield opened


async def test_each_encoding_reaches_the_workflow(room: DeviceRoom) -> None:
    body = {"device_id": room.id_of("binary"), "litres": 7}
    attributes = {"specversion": "1.0", "id": "e-1", "source": "/site-7", "type": "installed"}
    event = attributes | {"data": body | {"device_id": room.id_of("structured")}}
    headers = tuple((f"ce_{name}", value.encode()) for name, value in attributes.items())
    (coordinates, *_) = await room.produce(
        room.installed(room.id_of("bare"), key=None),
        Outgoing(room.topic(), json.dumps(body).encode(), headers=headers),
        Outgoing(
            room.topic(), json.dumps(event).encode(), headers=(("content-type", b"application/cloudevents+json"),)
        ),
    )
    async with room.bridge():
        await room.await_drained()
    expected = {"bare": ":".join(map(str, coordinates)), "binary": "/site-7|e-1", "structured": "/site-7|e-1"}
    for encoding, event_id in expected.items():
        ((signal, argument),) = await room.signals(room.id_of(encoding))
        named, _, _ = argument.event_id.rpartition(":") if encoding == "bare" else (argument.event_id, "", "")
        assert (signal, named, argument.device_id) == ("installed", event_id, room.id_of(encoding))
        assert argument.litres == (0 if encoding == "bare" else 7)


async def test_each_topic_is_its_signal_and_one_device_s_records_keep_their_order(room: DeviceRoom) -> None:
    """I3, within one partition."""
    device_id = room.id_of()
    await room.produce(
        room.event(RETIRED, device_id, event_id="x"),
        room.event(INSTALLED, device_id, event_id="i"),
        *(room.event(REFILLED, device_id, event_id=f"r-{number}", litres=number) for number in range(30)),
    )
    async with room.bridge():
        await room.await_drained()
    signals = await room.signals(device_id)
    assert {(name, event.event_id) for name, event in signals if name != "refilled"} == {
        ("retired", "x"),
        ("installed", "i"),
    }
    refills = [event for name, event in signals if name == "refilled"]
    assert [(event.event_id, event.litres) for event in refills] == [(f"r-{number}", number) for number in range(30)]


async def test_a_bad_record_is_set_aside_to_the_byte_and_the_next_one_goes_on(room: DeviceRoom) -> None:
    """I1, I10, I15."""
    bad = [
        Outgoing(room.topic(), b"\xff\xfd\x00 not json", b"\xfekey", (("h", b"\xff"), ("h", b"2")), partition=0),
        Outgoing(room.topic(), None, b"tombstone", partition=0),
        Outgoing(room.topic(), b"{}", None, (("dlq_error_code", b"forged"),), partition=0),
    ]
    good = room.installed(room.id_of(), partition=0)
    coordinates = await room.produce(*bad, good)
    async with room.bridge():
        await room.await_drained()
    letters = {letter.header("dlq_source_offset"): letter for letter in await room.dead_letters()}
    assert len(letters) == 3
    for record, (topic, partition, offset) in zip(bad, coordinates, strict=False):
        letter = letters[str(offset)]
        assert (letter.key, letter.value) == (record.key, record.value)
        assert (letter.header("dlq_source_topic"), letter.header("dlq_source_partition")) == (topic, str(partition))
        assert letter.header("dlq_message")
    codes = [letters[str(offset)].header("dlq_error_code") for _, _, offset in coordinates[:3]]
    assert codes == ["value_binary", "value_null", "field_missing"]
    assert letters[str(coordinates[0][2])].headers[:2] == (("h", b"\xff"), ("h", b"2"))
    assert letters[str(coordinates[2][2])].header("original_dlq_error_code") == "forged"
    assert len(await room.signals(room.id_of())) == 1


async def test_a_record_that_the_dead_letters_do_not_take_is_set_aside_as_a_pointer(room: DeviceRoom) -> None:
    """I1, I10, I15: the topic's own limit refuses the copy; what stands for it leads to the source, which keeps it."""
    servers = room.servers
    await configure_topic(servers, room.config.dead_letter_topic, {"max.message.bytes": "2000"})
    large = Outgoing(room.topic(), b"\0\0\0\0\7" + bytes(100_000), b"large", (("trace", b"t" * 500),), partition=0)
    small = Outgoing(room.topic(), b"{", b"small", partition=0)
    _, (topic, partition, offset), _ = await room.produce(room.installed(room.id_of(1), partition=0), large, small)
    await room.produce(room.installed(room.id_of(2), partition=0))
    async with room.bridge():
        await room.await_drained()
    letters = {letter.key: letter for letter in await room.dead_letters()}
    assert letters.keys() == {b"large", b"small"}
    pointer = letters[b"large"]
    assert (pointer.value, pointer.header("dlq_pointer"), pointer.header("trace")) == (None, "true", None)
    source = [pointer.header(f"dlq_source_{name}") for name in ("topic", "partition", "offset")]
    assert source == [topic, str(partition), str(offset)]
    assert pointer.header("dlq_error_code") == "value_schema_registry"
    assert letters[b"small"].value == b"{"
    assert [len(await room.signals(room.id_of(number))) for number in (1, 2)] == [1, 1]


async def test_a_record_without_key_and_value_is_set_aside(room: DeviceRoom) -> None:
    """The client's own ``send`` refuses it, on both ends; Kafka does not."""
    await produce_nothing(room)
    async with room.bridge():
        await room.await_drained()
    (letter,) = await room.dead_letters()
    assert (letter.key, letter.value, letter.header("dlq_error_code")) == (None, None, "value_null")


async def produce_nothing(room: DeviceRoom) -> None:
    from aiokafka import AIOKafkaProducer  # noqa: PLC0415 -- for this one only

    async with AIOKafkaProducer(bootstrap_servers=room.servers) as producer:
        batch = producer.create_batch()
        batch.append(key=None, value=None, timestamp=None)
        batch.close()
        await (await producer.send_batch(batch, room.topic(), partition=0))


async def test_the_same_record_twice_is_one_run_with_two_signals_of_one_id(room: DeviceRoom) -> None:
    """I5 is the workflow's to hold; the bridge gives it one id to hold it by."""
    record = room.event(INSTALLED, room.id_of(), event_id="e-1")
    await room.produce(record, record)
    async with room.bridge():
        await room.await_drained()
    signals = await room.signals(room.id_of())
    assert [(name, event.event_id) for name, event in signals] == [("installed", "e-1")] * 2


async def test_an_event_for_a_completed_run_is_answered_and_starts_no_second_run(room: DeviceRoom) -> None:
    """I4."""
    device_id = room.id_of()
    handle = room.client.get_workflow_handle(device_id)
    late = room.event(REFILLED, device_id, event_id="late-1")
    async with room.worker(), room.bridge():
        await room.produce(room.installed(device_id), room.event(RETIRED, device_id, event_id="x"))
        await assert_eventually(lambda: has_status(room, device_id, WorkflowExecutionStatus.COMPLETED), 20)
        first_run = (await handle.describe()).run_id
        await room.produce(late, late)
        await room.await_drained()
        answer = room.client.get_workflow_handle(late_workflow_id(device_id, "late-1"))
        assert await answer.result() == "late-1"
        await room.produce(late)
        await room.await_drained()
    assert (await handle.describe()).run_id == first_run
    runs = [run async for run in room.client.list_workflows(f'WorkflowId = "{answer.id}"')]
    assert len(runs) == 1, "the same late event is answered once"


async def has_status(room: DeviceRoom, workflow_id: str, status: WorkflowExecutionStatus) -> bool:
    return await room.status(workflow_id) is status


async def test_after_a_run_that_failed_another_one_begins(room: DeviceRoom) -> None:
    device_id = room.id_of()
    handle = room.client.get_workflow_handle(device_id)
    async with room.bridge():
        await room.produce(room.event(REFILLED, device_id, event_id="early"))
        await room.await_drained()
        first_run = (await handle.describe()).run_id
        await handle.terminate("ended by the test")
        await room.produce(room.installed(device_id))
        await room.await_drained()
    description = await handle.describe()
    assert (description.run_id != first_run, description.status) == (True, WorkflowExecutionStatus.RUNNING)
