"""Records through the bridge, on real Kafka and real Temporal."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest_asyncio
from temporalio.client import WorkflowExecutionStatus

from bridge.calls import late_workflow_id
from schemas.event_types import EventType
from schemas.inbound import InboundEvent
from stack.endpoints import Endpoints
from tests.helpers.messages.kafka_io import Outgoing
from tests.helpers.servers.kafka_topics import configure_topic
from tests.helpers.system.bridge_room import Room, open_room
from tests.helpers.system.waiting import assert_eventually


@pytest_asyncio.fixture
async def room(endpoints: Endpoints) -> AsyncIterator[Room]:
    async with open_room(endpoints) as opened:
        yield opened


def bare(room: Room, event_type: EventType, order_id: str, **fields: Any) -> Outgoing:
    body = {"order_id": order_id} | fields
    return Outgoing(room.topic(event_type), json.dumps(body).encode(), key=order_id.encode())


async def test_each_encoding_reaches_the_workflow(room: Room) -> None:
    body = {"order_id": room.order_id("binary"), "payment_id": "p-1"}
    attributes = {"specversion": "1.0", "id": "e-1", "source": "/shop", "type": "order.created"}
    event = attributes | {"data": body | {"order_id": room.order_id("structured")}}
    headers = tuple((f"ce_{name}", value.encode()) for name, value in attributes.items())
    (coordinates, *_) = await room.produce(
        room.created(room.order_id("bare"), key=None),
        Outgoing(room.topic(), json.dumps(body).encode(), headers=headers),
        Outgoing(
            room.topic(), json.dumps(event).encode(), headers=(("content-type", b"application/cloudevents+json"),)
        ),
    )
    async with room.bridge():
        await room.await_drained()
    expected = {"bare": ":".join(map(str, coordinates)), "binary": "/shop|e-1", "structured": "/shop|e-1"}
    for encoding, event_id in expected.items():
        ((signal, argument),) = await room.signals(room.order_id(encoding))
        assert (signal, argument.event_id, argument.type) == ("order_created", event_id, "order.created")
        assert argument.body["order_id"] == room.order_id(encoding)
        assert argument.occurred_at is not None


async def test_each_topic_is_its_signal_and_one_order_s_records_keep_their_order(room: Room) -> None:
    """I3, within one partition."""
    order_id = room.order_id()
    updates = [
        bare(room, EventType.ORDER_ADDRESS_UPDATED, order_id, event_id=f"u-{number}", address={"city": f"c{number}"})
        for number in range(30)
    ]
    await room.produce(
        bare(room, EventType.ORDER_APPROVED, order_id, event_id="a"),
        bare(room, EventType.ORDER_CREATED, order_id, event_id="c", payment_id="p-1"),
        bare(room, EventType.ORDER_CANCELLED, order_id, event_id="x"),
        *updates,
    )
    async with room.bridge():
        await room.await_drained()
    signals = await room.signals(order_id)
    assert {(name, event.event_id) for name, event in signals if name != "update_address"} == {
        ("approve_order", "a"),
        ("order_created", "c"),
        ("cancel_order", "x"),
    }
    assert [event.event_id for name, event in signals if name == "update_address"] == [f"u-{n}" for n in range(30)]


async def test_a_bad_record_is_set_aside_to_the_byte_and_the_next_one_goes_on(room: Room) -> None:
    """I1, I10, I15."""
    bad = [
        Outgoing(room.topic(), b"\xff\xfd\x00 not json", b"\xfekey", (("h", b"\xff"), ("h", b"2")), partition=0),
        Outgoing(room.topic(), None, b"tombstone", partition=0),
        Outgoing(room.topic(), b"{}", None, (("dlq_error_code", b"forged"),), partition=0),
    ]
    good = room.created(room.order_id(), partition=0)
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
    assert len(await room.signals(room.order_id())) == 1


async def test_a_record_that_the_dead_letters_do_not_take_is_set_aside_as_a_pointer(room: Room) -> None:
    """I1, I10, I15: the topic's own limit refuses the copy; what stands for it leads to the source, which keeps it."""
    servers = room.endpoints.kafka_bootstrap_servers
    await configure_topic(servers, room.config.dead_letter_topic, {"max.message.bytes": "2000"})
    large = Outgoing(room.topic(), b"\0\0\0\0\7" + bytes(100_000), b"large", (("trace", b"t" * 500),), partition=0)
    small = Outgoing(room.topic(), b"{", b"small", partition=0)
    _, (topic, partition, offset), _ = await room.produce(room.created(room.order_id(1), partition=0), large, small)
    await room.produce(room.created(room.order_id(2), partition=0))
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
    assert [len(await room.signals(room.order_id(number))) for number in (1, 2)] == [1, 1]


async def test_a_record_without_key_and_value_is_set_aside(room: Room) -> None:
    """The client's own ``send`` refuses it, on both ends; Kafka does not."""
    await produce_nothing(room)
    async with room.bridge():
        await room.await_drained()
    (letter,) = await room.dead_letters()
    assert (letter.key, letter.value, letter.header("dlq_error_code")) == (None, None, "value_null")


async def produce_nothing(room: Room) -> None:
    from aiokafka import AIOKafkaProducer  # noqa: PLC0415 -- for this one only

    async with AIOKafkaProducer(bootstrap_servers=room.endpoints.kafka_bootstrap_servers) as producer:
        batch = producer.create_batch()
        batch.append(key=None, value=None, timestamp=None)
        batch.close()
        await (await producer.send_batch(batch, room.topic(), partition=0))


async def test_the_same_record_twice_is_one_run_with_two_signals_of_one_id(room: Room) -> None:
    """I5 is the workflow's to hold; the bridge gives it one id to hold it by."""
    record = bare(room, EventType.ORDER_CREATED, room.order_id(), payment_id="p-1", event_id="e-1")
    await room.produce(record, record)
    async with room.bridge():
        await room.await_drained()
    signals = await room.signals(room.order_id())
    assert [(name, event.event_id) for name, event in signals] == [("order_created", "e-1")] * 2


async def test_an_event_for_a_finished_order_is_answered_and_starts_no_second_run(room: Room) -> None:
    """I4."""
    order_id = room.order_id()
    handle = room.client.get_workflow_handle(order_id)
    late = bare(room, EventType.ORDER_APPROVED, order_id, event_id="late-1")
    async with room.worker(), room.bridge():
        await room.produce(room.created(order_id), bare(room, EventType.ORDER_CANCELLED, order_id, event_id="x"))
        await assert_eventually(lambda: has_status(room, order_id, WorkflowExecutionStatus.COMPLETED), 20)
        first_run = (await handle.describe()).run_id
        await room.produce(late, late)
        await room.await_drained()
        answer = room.client.get_workflow_handle(late_workflow_id(order_id, "late-1"))
        assert await answer.result() == "late-1"
        await room.produce(late)
        await room.await_drained()
    assert (await handle.describe()).run_id == first_run
    runs = [run async for run in room.client.list_workflows(f'WorkflowId = "{answer.id}"')]
    assert len(runs) == 1, "the same late event is answered once"


async def has_status(room: Room, workflow_id: str, status: WorkflowExecutionStatus) -> bool:
    return await room.status(workflow_id) is status


async def test_an_order_whose_run_failed_may_begin_anew(room: Room) -> None:
    order_id = room.order_id()
    handle = room.client.get_workflow_handle(order_id)
    async with room.bridge():
        await room.produce(bare(room, EventType.ORDER_APPROVED, order_id, event_id="early"))
        await room.await_drained()
        first_run = (await handle.describe()).run_id
        await handle.terminate("ended by the test")
        await room.produce(room.created(order_id))
        await room.await_drained()
    description = await handle.describe()
    assert (description.run_id != first_run, description.status) == (True, WorkflowExecutionStatus.RUNNING)


async def test_an_event_by_hand_takes_the_same_form(room: Room) -> None:
    """What is in the history decodes as the envelope that workflows take."""
    await room.produce(bare(room, EventType.ORDER_CANCELLED, room.order_id(), reason="a change of mind"))
    async with room.bridge():
        await room.await_drained()
    ((_, event),) = await room.signals(room.order_id())
    assert isinstance(event, InboundEvent)
    assert (event.malformed, event.body["reason"]) == (False, "a change of mind")
