"""What mappings are made of: events in three encodings, models, keys."""

import json
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from bridge import (
    Event,
    Header,
    ReadLimits,
    Record,
    Refusal,
    RefusalCode,
    RefusedError,
    Stage,
    check_key,
    read_event,
    read_model,
)
from bridge.reading.cloudevents import without_json_quotes
from tests.helpers.devices import device_value

BODY = {"device_id": "d-1", "litres": 7}
EVENT = {"specversion": "1.0", "id": "e-1", "source": "/site-7", "type": "refilled", "time": "whenever"}
BINARY = tuple((f"ce_{name}", value.encode()) for name, value in EVENT.items())
STRUCTURED = (("content-type", b"application/cloudevents+json"),)


def record(value: Any, headers: tuple[Header, ...] = (), key: bytes | None = None) -> Record:
    return Record("refilled", 3, 14, 0, key, value if isinstance(value, bytes) else json.dumps(value).encode(), headers)


def refusal_of(call: Any, *arguments: Any, **options: Any) -> Refusal:
    with pytest.raises(RefusedError) as refused:
        call(*arguments, **options)
    return refused.value.refusal


def test_a_bare_body_is_named_by_its_record_and_has_neither_type_nor_time() -> None:
    assert read_event(record(BODY)) == Event(record(BODY).identity, has_own_id=False, type=None, time=None, fields=BODY)


@pytest.mark.parametrize(
    "sent",
    [record(BODY, BINARY), record(EVENT | {"data": BODY}, STRUCTURED), record(EVENT | {"data": BODY})],
    ids=["binary", "structured", "structured, without a header"],
)
def test_a_cloudevent_is_the_same_in_every_mode(sent: Record) -> None:
    assert read_event(sent) == Event("/site-7|e-1", has_own_id=True, type="refilled", time="whenever", fields=BODY)


def test_a_replay_keeps_the_identity_of_the_record_that_it_repeats() -> None:
    first = "refilled:1:2:0123456789abcdef"
    assert read_event(record(BODY, (("dlq_replay_of", first.encode()),))).id == first


@pytest.mark.parametrize("missing", ["specversion", "id", "source", "type"])
def test_without_a_header_a_value_that_lacks_a_required_attribute_is_a_bare_body(missing: str) -> None:
    value = {name: text for name, text in EVENT.items() if name != missing} | {"data": BODY}
    assert read_event(record(value)).fields == value


@pytest.mark.parametrize(
    ("value", "fields"),
    [
        ({"specversion": "1.0", "data": BODY}, BODY),
        (BODY | {"specversion": "of the pump"}, BODY | {"specversion": "of the pump"}),
        (EVENT | BODY, EVENT | BODY),
    ],
    ids=["an event that lacks attributes", "a body with such a field", "a body with all such fields"],
)
def test_a_member_that_every_bare_body_has_tells_a_body_from_an_event(
    value: dict[str, Any], fields: dict[str, Any]
) -> None:
    assert read_event(record(value), bare_member="device_id").fields == fields


def test_a_value_beyond_the_limit_is_refused_by_the_name_of_the_limit() -> None:
    limits = ReadLimits(value_max_bytes=10, value_max_setting="REFILL_BYTES")
    refusal = refusal_of(read_event, record(BODY), limits)
    assert (refusal.stage, refusal.code) == (Stage.BYTES, RefusalCode.VALUE_TOO_LARGE)
    assert "more than the limit of 10 (REFILL_BYTES)" in refusal.message


class Refill(BaseModel):
    model_config = ConfigDict(strict=True)

    device_id: Annotated[str, Field(pattern="^d-")]
    litres: Annotated[int, Field(ge=0)] = 0
    custom: str = ""

    @model_validator(mode="after")
    def _custom(self) -> "Refill":
        if self.custom == "plain":
            raise ValueError("is plain")
        if self.custom:
            raise PydanticCustomError(self.custom, "is of our own")
        return self


@pytest.mark.parametrize(
    ("changes", "code", "message"),
    [
        ({"device_id": 7}, "field_wrong_type", "device_id is a number, where a text is wanted: send a text"),
        ({"device_id": None}, "field_missing", "device_id is null, which is no value: send a text"),
        ({"device_id": "x"}, "identifier_invalid", "device_id has not the form"),
        ({"litres": -1}, "field_out_of_range", "litres is too small: send a number of 0 or more"),
        (
            {"litres": "7"},
            "field_text_for_number",
            "litres is a text, where a whole number is wanted: send it without quotes",
        ),
        ({"litres": True}, "field_boolean_for_number", "litres is true or false, where a whole number is wanted"),
        ({"litres": 7.5}, "field_not_whole", "litres is a number with a point or an exponent: send a whole number"),
        ({"custom": "tank_overflow"}, "tank_overflow", "the body is of our own"),
        ({"custom": "Tank overflow!"}, "field_invalid", "the body is of our own"),
        ({"custom": "plain"}, "field_invalid", "the body is plain"),
        (
            {"device_id": 7, "litres": -1},
            "field_wrong_type",
            "device_id is a number, where a text is wanted: send a text (and 1 more)",
        ),
    ],
)
def test_fields_that_break_a_model_s_rules_are_refused_by_a_code_and_a_path(
    changes: dict[str, Any], code: str, message: str
) -> None:
    refusal = refusal_of(read_model, Refill, BODY | changes)
    assert (refusal.stage, refusal.code) == (Stage.SCHEMA, code)
    assert refusal.message.startswith(message)


def test_fields_that_keep_the_rules_are_the_model() -> None:
    assert read_model(Refill, BODY | {"colour": "red"}) == Refill(device_id="d-1", litres=7)


@pytest.mark.parametrize("key", [None, b"d-1", b"", b'"d-1"', b'""', b'"d\\u002d1"'])
def test_no_key_and_the_right_one_are_fine_also_in_json_quotes(key: bytes | None) -> None:
    check_key(record(device_value("d-1"), key=key), "d-1")


@pytest.mark.parametrize(
    ("key", "code"), [(b"d-2", "key_mismatch"), (b"'d-1'", "key_mismatch"), (b"\xff", "key_not_utf_8")]
)
def test_another_key_is_refused_by_the_name_of_what_it_should_be(key: bytes, code: str) -> None:
    refusal = refusal_of(check_key, record(device_value("d-1"), key=key), "d-1", name="device_id")
    assert (refusal.stage, refusal.code) == (Stage.KEY, code)
    assert "send the bare device_id as the key, or no key" in refusal.message


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("o-1", "o-1"),
        ('"o-1"', "o-1"),
        (r'"o\u002d1"', "o-1"),
        ('"o"1"', 'o"1'),
        ('"', '"'),
        ('"o-1', '"o-1'),
    ],
)
def test_one_pair_of_quotes_is_taken_off_a_key_or_a_header(text: str, read: str) -> None:
    assert without_json_quotes(text) == read
