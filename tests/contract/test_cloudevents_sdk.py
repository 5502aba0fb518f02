"""CloudEvents as CNCF's own library writes and reads them, in both modes, against what the bridge reads and we publish.

The library has two interfaces, and senders of both are about: the one of its version 2, and the older one, whose
structured messages carry the data's content type instead of the event's.
"""

import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from cloudevents.core.bindings import kafka as version_2
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from cloudevents.v1 import kafka as version_1
from cloudevents.v1.http import CloudEvent as OlderCloudEvent

from activities import journal
from activities.adapters.kafka import KafkaEventPublisher
from bridge import Record
from orders.mapping import OrderMapping
from schemas.contract.examples import EXAMPLES
from schemas.event_types import INBOUND, EventType
from schemas.inbound import InboundEvent
from schemas.outbound import OUTBOUND_EVENT, OutboundType, outbound_event_id
from stack.endpoints import Endpoints
from tests.helpers.messages.kafka_io import Outgoing, StoredRecord, produce, read_topic
from tests.helpers.servers.kafka_topics import topics_made

FORMAT = JSONFormat()
MAPPING = OrderMapping({event_type.value: event_type for event_type in EventType})
NOON = datetime(2026, 1, 31, 12, 0, 0, 123456, tzinfo=UTC)


@dataclass(frozen=True)
class Sent:
    """An event as a sender makes it."""

    event_type: EventType = EventType.ORDER_CREATED
    time: datetime = NOON
    others: dict[str, str] = field(default_factory=dict)
    """Attributes that we do not read."""
    as_bytes: bool = False
    """Whether the sender's program holds the body as bytes: in structured mode they travel in Base64."""

    @property
    def body(self) -> dict[str, Any]:
        return dict(EXAMPLES[self.event_type])

    @property
    def data(self) -> Any:
        return json.dumps(self.body).encode() if self.as_bytes else self.body

    @property
    def attributes(self) -> dict[str, str]:
        own = {"id": "e-1/Zoë", "source": "https://shop.example/orders?eu#1", "type": self.event_type.value}
        return {"datacontenttype": "application/json", **own, **self.others}


SENT = {event_type.value: Sent(event_type) for event_type in EventType} | {
    "extensions": Sent(others={"traceparent": "00-0af7-b7ad-01", "partitionkey": "o-1001", "sampledrate": "30"}),
    "a subject": Sent(others={"subject": "orders/o-1001"}),
    "a schema of the data": Sent(others={"dataschema": "https://shop.example/schemas/order/7"}),
    "a content type with parameters": Sent(others={"datacontenttype": "application/json; charset=utf-8"}),
    "a content type of its own": Sent(others={"datacontenttype": "application/vnd.shop.order+json"}),
    "a time elsewhere": Sent(time=datetime(2026, 1, 1, 0, 30, tzinfo=timezone(timedelta(hours=5, minutes=45)))),
    "a time west of it": Sent(
        time=datetime(2025, 12, 31, 23, 59, 59, 999999, timezone(-timedelta(hours=9, minutes=30)))
    ),
    "bytes": Sent(as_bytes=True),
}


@dataclass(frozen=True)
class Written:
    """A Kafka message that the library wrote."""

    headers: dict[str, bytes]
    value: bytes


def by_version_2(convert: Callable[..., version_2.KafkaMessage]) -> Callable[[Sent], Written]:
    def write(sent: Sent) -> Written:
        message = convert(CloudEvent({**sent.attributes, "time": sent.time}, sent.data), FORMAT)
        return Written(message.headers, message.value)

    return write


def by_version_1(convert: Callable[..., version_1.KafkaMessage], **options: Any) -> Callable[[Sent], Written]:
    def write(sent: Sent) -> Written:
        event = OlderCloudEvent({**sent.attributes, "time": sent.time.isoformat()}, sent.data)
        message = convert(event, **options)
        value = message.value
        return Written(message.headers, value if isinstance(value, bytes) else value.encode())

    return write


def as_json(data: Any) -> bytes:
    return data if isinstance(data, bytes) else json.dumps(data).encode()


WRITERS = {
    "binary": by_version_2(version_2.to_binary),
    "structured": by_version_2(version_2.to_structured),
    "binary, older interface": by_version_1(version_1.to_binary, data_marshaller=as_json),
    "structured, older interface": by_version_1(version_1.to_structured),
}


def read_by_the_bridge(topic: str, value: bytes | None, headers: dict[str, bytes] | tuple[Any, ...]) -> InboundEvent:
    pairs = tuple(headers.items()) if isinstance(headers, dict) else headers
    return MAPPING.read(Record(topic, 0, 7, 1_700_000_000_000, b"o-1001", value, pairs)).event


def meant(sent: Sent) -> InboundEvent:
    body = INBOUND[sent.event_type].body.model_validate(sent.body)
    return InboundEvent(
        event_id=f"{sent.attributes['source']}|{sent.attributes['id']}",
        type=sent.event_type.value,
        occurred_at=sent.time,
        body=body.model_dump(mode="json", exclude_none=True),
    )


@pytest.mark.parametrize("name", SENT)
@pytest.mark.parametrize("writer", WRITERS)
def test_what_the_library_writes_is_read_as_it_was_meant(name: str, writer: str) -> None:
    sent = SENT[name]
    written = WRITERS[writer](sent)
    assert read_by_the_bridge(sent.event_type.value, written.value, written.headers) == meant(sent)


def test_each_mode_is_written_as_its_name_says() -> None:
    """Else the test before would see one mode twice."""
    written = {name: write(SENT["bytes"]) for name, write in WRITERS.items()}
    assert [name for name in WRITERS if "ce_id" in written[name].headers] == ["binary", "binary, older interface"]
    assert [name for name in WRITERS if b"data_base64" in written[name].value] == [
        "structured",
        "structured, older interface",
    ]
    assert written["structured"].headers == {"content-type": b"application/cloudevents+json"}
    assert written["structured, older interface"].headers == {"content-type": b"application/json"}


async def test_what_the_library_writes_is_read_the_same_from_kafka(endpoints: Endpoints) -> None:
    topic = f"order.created.{secrets.token_hex(4)}"
    sent = SENT["extensions"]
    async with topics_made(endpoints.kafka_bootstrap_servers, {topic: 1}):
        written = [write(sent) for write in WRITERS.values()]
        outgoing = [Outgoing(topic, one.value, b"o-1001", tuple(one.headers.items())) for one in written]
        await produce(endpoints.kafka_bootstrap_servers, outgoing)
        records = await read_topic(endpoints.kafka_bootstrap_servers, topic)

    events = [read_by_the_bridge("order.created", record.value, record.headers) for record in records]
    assert events == [meant(sent)] * len(WRITERS)


async def test_what_is_published_is_read_by_the_library_as_we_mean_it(endpoints: Endpoints) -> None:
    topic = f"order.events.{secrets.token_hex(4)}"
    bodies = [OUTBOUND_EVENT.validate_json(json.dumps(EXAMPLES[event_type])) for event_type in OutboundType]
    async with topics_made(endpoints.kafka_bootstrap_servers, {topic: 1}):
        publisher = KafkaEventPublisher(
            bootstrap_servers=endpoints.kafka_bootstrap_servers, topic=topic, source="https://orders.example/eu"
        )
        await publisher.publish(tuple(journal.stored(body) for body in bodies))
        await publisher.close()
        records = await read_topic(endpoints.kafka_bootstrap_servers, topic)

    assert len(records) == len(OutboundType)
    for body, record in zip(bodies, records, strict=True):
        attributes = {
            "specversion": "1.0",
            "id": outbound_event_id(body.order_id, body.sequence),
            "source": "https://orders.example/eu",
            "type": body.type.value,
            "subject": body.order_id,
            "time": body.occurred_at,
            "datacontenttype": "application/json",
            "sequence": f"{body.sequence:010}",
            "partitionkey": body.order_id,  # The library's name for the record's key.
        }
        read = version_2.from_kafka(version_2.KafkaMessage(*message_of(record)), FORMAT)
        assert read.get_attributes() == attributes
        assert read.get_data() == EXAMPLES[body.type]

        older = version_1.from_binary(version_1.KafkaMessage(*message_of(record)))
        texts = {**attributes, "time": body.occurred_at.isoformat(), "partitionkey": body.order_id.encode()}
        assert older.get_attributes() == texts
        assert older.get_data() == EXAMPLES[body.type]


def message_of(record: StoredRecord) -> tuple[dict[str, bytes], bytes | None, bytes]:
    """A record as the library takes it; it cannot hold a header twice, and we send none twice."""
    headers = {name: value or b"" for name, value in record.headers}
    assert len(headers) == len(record.headers)
    return headers, record.key, record.value or b""
