"""The three encodings, and what an event's identity, type and time come from."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge import Header, ReadLimits, Record, Refusal, RefusalCode, RefusedError, Stage
from bridge.engine.translation import translate
from bridge.reading import cloudevents
from bridge.reading.json_text import DEPTH_MAX, parse_object
from orders.mapping import DecodedRecord, OrderMapping
from schemas.base import EVENT_ID_MAX_CHARS
from schemas.event_types import INBOUND, EventType
from schemas.inbound import OrderCreated

MAPPING = OrderMapping({event_type.value: event_type for event_type in EventType})
BODIES: dict[EventType, dict[str, Any]] = {
    EventType.ORDER_CREATED: {"order_id": "o-1", "payment_id": "p-1"},
    EventType.ORDER_APPROVED: {"order_id": "o-1"},
    EventType.ORDER_CANCELLED: {"order_id": "o-1"},
    EventType.ORDER_ADDRESS_UPDATED: {"order_id": "o-1", "address": {"city": "Bern"}},
}
TIMESTAMP_MS = 1_767_225_600_123
PRODUCED_AT = datetime(2026, 1, 1, 0, 0, 0, 123_000, tzinfo=UTC)


def decoded(
    value: bytes | dict[str, Any],
    *,
    headers: tuple[Header, ...] = (),
    key: bytes | None = None,
    topic: str = "order.created",
    timestamp_ms: int = TIMESTAMP_MS,
) -> DecodedRecord:
    return MAPPING.read(record_of(value, headers=headers, key=key, topic=topic, timestamp_ms=timestamp_ms))


def record_of(
    value: bytes | dict[str, Any],
    *,
    headers: tuple[Header, ...] = (),
    key: bytes | None = None,
    topic: str = "order.created",
    timestamp_ms: int = TIMESTAMP_MS,
) -> Record:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return Record(topic, 3, 14, timestamp_ms, key, raw, headers)


def binary(**attributes: str) -> tuple[Header, ...]:
    return tuple((f"ce_{name}", value.encode()) for name, value in attributes.items())


@pytest.mark.parametrize("event_type", EventType)
def test_bare_json_of_every_topic_is_read(event_type: EventType) -> None:
    result = decoded(BODIES[event_type], topic=event_type.value)
    assert (result.order_id, result.event_type, result.event.type) == ("o-1", event_type, event_type.value)
    assert type(result.body) is INBOUND[event_type].body


@pytest.mark.parametrize("event_type", EventType)
@pytest.mark.parametrize("encoding", ["bare", "binary", "structured"])
def test_the_envelope_carries_the_same_body_in_every_encoding(event_type: EventType, encoding: str) -> None:
    attributes = {"specversion": "1.0", "id": "e-1", "source": "/shop", "type": event_type.value}
    body = BODIES[event_type]
    if encoding == "structured":
        headers: tuple[Header, ...] = (("content-type", b"application/cloudevents+json"),)
        result = decoded(attributes | {"data": body}, headers=headers, topic=event_type.value)
    else:
        headers = binary(**attributes) if encoding == "binary" else ()
        result = decoded(body, headers=headers, topic=event_type.value)
    assert result.event.type == event_type.value
    # What the workflow reads again from the envelope is what was validated here.
    assert INBOUND[event_type].body.model_validate(result.event.body) == result.body
    assert not result.event.malformed


def test_event_id_is_source_and_id_together() -> None:
    headers = binary(specversion="1.0", id="e-1", source="/shop", type="order.created")
    assert decoded(BODIES[EventType.ORDER_CREATED] | {"event_id": "b-1"}, headers=headers).event.event_id == "/shop|e-1"


def test_two_sources_with_one_id_are_two_events() -> None:
    one = decoded(BODIES[EventType.ORDER_CREATED], headers=binary(id="e", source="a"))
    other = decoded(BODIES[EventType.ORDER_CREATED], headers=binary(id="e", source="b"))
    assert one.event.event_id != other.event.event_id


def test_event_id_is_else_the_body_s() -> None:
    assert decoded(BODIES[EventType.ORDER_CREATED] | {"event_id": "b-1"}).event.event_id == "b-1"


def test_event_id_is_else_the_record_s_own_identity() -> None:
    record = record_of(BODIES[EventType.ORDER_CREATED])
    assert MAPPING.read(record).event.event_id == record.identity


def test_event_time_is_ce_time_else_occurred_at_else_the_record_s() -> None:
    body = BODIES[EventType.ORDER_CREATED]
    timed = body | {"occurred_at": "2026-01-31T12:00:00+02:00"}
    assert decoded(timed, headers=binary(time="2026-01-01T12:00:00Z")).event.occurred_at == datetime(
        2026, 1, 1, 12, tzinfo=UTC
    )
    assert decoded(timed).event.occurred_at == datetime(2026, 1, 31, 10, tzinfo=UTC)
    assert decoded(body).event.occurred_at == PRODUCED_AT


@pytest.mark.parametrize("timestamp_ms", [-1, 2**62])
def test_a_timestamp_that_is_none_leaves_the_time_open(timestamp_ms: int) -> None:
    assert decoded(BODIES[EventType.ORDER_CREATED], timestamp_ms=timestamp_ms).event.occurred_at is None


def test_every_identity_that_is_read_fits_the_contract() -> None:
    """A longer one would turn the envelope into a malformed one."""
    assert cloudevents.EVENT_ID_MAX_CHARS == EVENT_ID_MAX_CHARS
    longest = "e" * (EVENT_ID_MAX_CHARS - len("s|"))
    event = decoded(BODIES[EventType.ORDER_CREATED], headers=binary(id=longest, source="s")).event
    assert (event.event_id, event.malformed) == (f"s|{longest}", False)
    topic = "t" * 249
    record = Record(topic, 2**31 - 1, 2**63 - 1, 0, None, b'{"order_id": "o-1"}')
    assert not OrderMapping({topic: EventType.ORDER_APPROVED}).read(record).event.malformed


def test_attributes_that_are_not_given_are_taken_from_the_topic_and_the_body() -> None:
    result = decoded(BODIES[EventType.ORDER_CREATED] | {"event_id": "b-1"}, headers=binary(specversion="1.0"))
    assert (result.event.type, result.event.event_id) == ("order.created", "b-1")


def test_a_structured_event_is_read_without_its_content_type() -> None:
    event = {"specversion": "1.0", "id": "e-1", "source": "/s", "type": "order.created"}
    assert decoded(event | {"data": BODIES[EventType.ORDER_CREATED]}).event.event_id == "/s|e-1"


def test_a_structured_event_is_read_without_its_attributes_as_every_bare_body_has_an_order_id() -> None:
    result = decoded({"specversion": "1.0", "data": BODIES[EventType.ORDER_CREATED] | {"event_id": "b-1"}})
    assert (result.order_id, result.event.event_id) == ("o-1", "b-1")


def test_a_bare_body_may_have_fields_of_the_names_of_attributes() -> None:
    fields = {"specversion": "2", "id": "e-1", "source": "/s", "type": "x", "data": {}}
    record = record_of(BODIES[EventType.ORDER_CREATED] | fields)
    assert MAPPING.read(record).event.event_id == record.identity


def test_headers_of_others_are_left_alone() -> None:
    headers: tuple[Header, ...] = (("trace", b"\xff"), ("trace", None), ("dlq_error_code", b"forged"), ("b3", b"1"))
    assert decoded(BODIES[EventType.ORDER_CREATED], headers=headers).order_id == "o-1"


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "Application/JSON; charset=utf-8", "text/json", "shop/json", "a/b+json"],
)
def test_binary_mode_takes_every_json_content_type(content_type: str) -> None:
    headers = (*binary(id="e", source="s"), ("content-type", content_type.encode()))
    assert decoded(BODIES[EventType.ORDER_CREATED], headers=headers).event.event_id == "s|e"


@pytest.mark.parametrize("key", [None, b"o-1"])
def test_key_is_absent_or_the_order_id(key: bytes | None) -> None:
    assert decoded(BODIES[EventType.ORDER_CREATED], key=key).order_id == "o-1"


def test_unknown_fields_are_ignored_and_not_carried_on() -> None:
    result = decoded(BODIES[EventType.ORDER_CREATED] | {"colour": "red"})
    assert "colour" not in result.event.body


def test_a_whole_order_comes_through_unchanged() -> None:
    body = {
        "order_id": "o-1",
        "payment_id": "p-1",
        "customer_id": "Zoë \N{SNOWMAN}",
        "currency": "EUR",
        "items": [{"sku": "s", "quantity": 2, "unit_amount": 50}],
        "adjustments": [{"kind": "discount", "amount": -10}, {"kind": "tax", "amount": 7, "description": "19 %"}],
        "amount": 97,
        "shipping_address": {"street": "a \\u0000 that is not one", "city": "Bern"},
    }
    result = decoded(body)
    assert isinstance(result.body, OrderCreated)
    assert result.event.body == body


def test_nesting_up_to_the_limit_is_read() -> None:
    depth = DEPTH_MAX - 1
    value = ('{"a":' + "[" * depth + "]" * depth + "}").encode()
    assert parse_object(value, ReadLimits())
    assert parse_object(b'{"a": "' + b"[" * 500 + b'\\"]"}', ReadLimits()), "brackets in a string are text"


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**18), 10**18)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=20,
)


@given(st.dictionaries(st.text(), JSON))
def test_what_is_read_is_what_json_says(document: dict[str, Any]) -> None:
    """Either refused for a character, or read exactly as any reader reads it."""
    assert outcome_of_parsing(json.dumps(document).encode()) in (document, Stage.JSON)


def outcome_of_parsing(value: bytes) -> dict[str, Any] | Stage:
    try:
        return parse_object(value, ReadLimits(value_max_bytes=10**6))
    except RefusedError as error:
        return error.refusal.stage


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_else(value: bytes) -> None:
    """I10."""
    translated = translate(Record("order.created", 0, 0, 0, None, value), MAPPING)
    assert isinstance(translated, Refusal)
    assert translated.code != RefusalCode.DECODER_FAILED
