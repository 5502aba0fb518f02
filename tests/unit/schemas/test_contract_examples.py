"""The published examples, run: the inbound ones through the bridge's decoder, the outbound ones through the models."""

import json
import re
from typing import Any

import jsonschema
import pytest

from activities import journal
from bridge import Header, Record, Refusal, RefusalCode, Stage
from bridge.dead_letters.headers import make_dead_letter, make_pointer
from orders.mapping import DecodedRecord, OrderMapping
from schemas.contract.__main__ import documents
from schemas.contract.examples import EXAMPLE_SOURCE, EXAMPLES, INBOUND_ATTRIBUTES
from schemas.event_types import INBOUND, EventType
from schemas.outbound import OUTBOUND, OUTBOUND_EVENT, OutboundType, cloudevents_headers
from tests.helpers.messages.messages import Encoding, message_of

MAPPING = OrderMapping({event_type.value: event_type for event_type in EventType})
ASYNCAPI = documents()["asyncapi.json"]


def decoded(topic: str, value: bytes | None, key: bytes | None, headers: tuple[Header, ...]) -> DecodedRecord:
    return MAPPING.read(Record(topic, 0, 7, 1_700_000_000_000, key, value, headers))


def asyncapi_examples(*, inbound: bool) -> list[Any]:
    return [
        pytest.param(name, example, id=f"{name}-{example.get('name', 'published')}")
        for name, message in ASYNCAPI["components"]["messages"].items()
        for example in message.get("examples", ())
        if (message["name"] in MAPPING.topics) is inbound
    ]


@pytest.mark.parametrize("encoding", Encoding)
@pytest.mark.parametrize("event_type", EventType)
def test_every_inbound_example_is_decoded_in_every_encoding(event_type: EventType, encoding: Encoding) -> None:
    body = dict(EXAMPLES[event_type])
    message = message_of(event_type, body, encoding=encoding, event_id="e-1")
    read = decoded(event_type.value, message.value, message.key, message.headers)
    assert (read.order_id, read.event_type) == (body["order_id"], event_type)
    assert read.body.model_dump(mode="json", exclude_unset=True, exclude={"event_id"}) == body
    assert INBOUND[event_type].body.model_validate(read.event.body) == read.body


@pytest.mark.parametrize(("name", "example"), asyncapi_examples(inbound=True))
def test_every_inbound_example_of_the_asyncapi_document_is_decoded(name: str, example: dict[str, Any]) -> None:
    event_type = EventType(ASYNCAPI["components"]["messages"][name]["name"])
    headers = tuple((header, value.encode()) for header, value in example.get("headers", {}).items())
    read = decoded(event_type.value, json.dumps(example["payload"]).encode(), b"o-1001", headers)
    assert read.body.model_dump(mode="json", exclude_unset=True) == EXAMPLES[event_type]
    identity = "order.{}:0:7" if example["name"] == "bare" else f"{INBOUND_ATTRIBUTES['source']}|"
    assert read.event.event_id.startswith(identity.format(event_type.value.removeprefix("order.")))


@pytest.mark.parametrize("event_type", EventType)
def test_every_topic_in_shows_all_three_encodings(event_type: EventType) -> None:
    messages = ASYNCAPI["components"]["messages"].values()
    examples = [one["name"] for message in messages if message["name"] == event_type for one in message["examples"]]
    assert examples == ["bare", "binary", "structured"]


@pytest.mark.parametrize(("name", "example"), [*asyncapi_examples(inbound=True), *asyncapi_examples(inbound=False)])
def test_every_example_of_the_asyncapi_document_satisfies_its_schemas(name: str, example: dict[str, Any]) -> None:
    """Which AsyncAPI's own validator does not look at."""
    for part, content in example.items():
        if part in ("headers", "payload"):
            schema = {"$ref": f"#/components/messages/{name}/{part}", **ASYNCAPI}
            jsonschema.Draft202012Validator(schema).validate(content)


@pytest.mark.parametrize("event_type", OutboundType)
def test_every_outbound_example_is_what_the_publisher_sends(event_type: OutboundType) -> None:
    """`KafkaEventPublisher` takes the value from the journal's event and the headers from `cloudevents_headers`."""
    (example,) = ASYNCAPI["components"]["messages"][OUTBOUND[event_type].body.__name__]["examples"]
    event = OUTBOUND_EVENT.validate_json(json.dumps(EXAMPLES[event_type]))
    assert json.loads(journal.stored(event).payload_json) == example["payload"] == EXAMPLES[event_type]
    assert cloudevents_headers(event, event_type=event_type, source=EXAMPLE_SOURCE) == example["headers"]


def test_dead_letters_are_described_as_the_bridge_writes_them() -> None:
    described = ASYNCAPI["components"]["messages"]["DeadLetter"]["headers"]
    record = Record("order.created", 3, 14, -1, b"o-1", b"\xff", ())
    refusal = Refusal(Stage.BYTES, RefusalCode.VALUE_BINARY, "binary data")
    for letter in (make_dead_letter(record, refusal), make_pointer(record, refusal)):
        headers = {name: (value or b"").decode() for name, value in letter.headers}
        jsonschema.Draft202012Validator(described).validate(headers)
        assert set(headers) <= set(described["properties"])


def test_the_examples_hold_nothing_of_a_real_person() -> None:
    """What they hold of people is invented, and stands here: whoever adds to it looks at it again."""
    of_people: set[str] = set()
    for body in EXAMPLES.values():
        address = body.get("address") or body.get("shipping_address") or {}
        people = (body.get(name) for name in ("customer_id", "approved_by", "cancelled_by", "updated_by", "note"))
        of_people |= {text for text in (*address.values(), *people) if text is not None}
    assert of_people == {"1 Example Street", "2 Example Street", "Utrecht", "3511 AA", "NL", "c-42", "ops-7"}
    assert not re.search(r"[\w.]+@[\w.]+|\d{8,}", json.dumps(EXAMPLES)), "a mail address, or a telephone number"
