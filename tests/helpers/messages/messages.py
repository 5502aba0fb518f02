"""Messages as upstream systems write them: good ones in each encoding, and every kind of bad one."""

import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from schemas.event_types import EventType
from tests.helpers.messages.kafka_io import Header
from tests.helpers.messages.raw_batches import raw_name

SOURCE = "/upstream/shop"


class Encoding(Enum):
    """How an event is put into a record."""

    BARE = auto()
    BINARY = auto()
    STRUCTURED = auto()


@dataclass(frozen=True, slots=True)
class Message:
    """What is in a record beside its topic."""

    value: bytes | None
    key: bytes | None = None
    headers: tuple[Header, ...] = ()


def message_of(
    event_type: EventType,
    body: dict[str, Any],
    *,
    encoding: Encoding = Encoding.BARE,
    event_id: str | None = None,
    occurred_at: str | None = None,
    with_key: bool = True,
) -> Message:
    """A valid message.

    Args:
        event_type: What happened.
        body: With the order's id.
        encoding: How it is written.
        event_id: Its identity; None leaves that to its coordinates, and is possible for `Encoding.BARE` only.
        occurred_at: RFC 3339; None means when the record is produced.
        with_key: Whether the record has its order's id as its key.
    """
    key = str(body["order_id"]).encode() if with_key else None
    times = {} if occurred_at is None else {"time": occurred_at}
    attributes = {"specversion": "1.0", "id": event_id or "", "source": SOURCE, "type": str(event_type), **times}
    if encoding is Encoding.BINARY:
        headers: tuple[Header, ...] = tuple((f"ce_{name}", value.encode()) for name, value in attributes.items())
        return Message(_json(body), key, (*headers, ("content-type", b"application/json")))
    if encoding is Encoding.STRUCTURED:
        content_type = b"application/cloudevents+json; charset=utf-8"
        return Message(_json(attributes | {"data": body}), key, (("content-type", content_type),))
    own = {} if event_id is None else {"event_id": event_id}
    return Message(_json(body | own | ({} if occurred_at is None else {"occurred_at": occurred_at})), key)


@dataclass(frozen=True, slots=True)
class Malformation:
    """One way to write an ``order.created`` wrongly."""

    error_code: str
    """What the dead letter says."""
    make: Callable[[str], Message]
    """From an order id."""


def _json(body: object) -> bytes:
    return json.dumps(body).encode()


def _bytes(value: bytes | None, error_code: str) -> Malformation:
    # A key, because the client produces no record that has neither key nor value.
    return Malformation(error_code, lambda order_id: Message(value, order_id.encode()))


def _text(pattern: str, error_code: str) -> Malformation:
    """A value in which ``ORDER`` stands for the order's id."""
    return Malformation(
        error_code, lambda order_id: Message(pattern.replace("ORDER", order_id).encode(), order_id.encode())
    )


def _field(error_code: str, **fields: Any) -> Malformation:
    """A valid order with these fields put over it; None takes a field away."""

    def make(order_id: str) -> Message:
        body = {"order_id": order_id, "payment_id": f"p-{order_id}", **fields}
        return Message(_json({name: value for name, value in body.items() if value is not None}))

    return Malformation(error_code, make)


def _headers(error_code: str, *headers: Header) -> Malformation:
    return Malformation(
        error_code,
        lambda order_id: Message(_json({"order_id": order_id, "payment_id": "p"}), order_id.encode(), headers),
    )


def _key(error_code: str, key: bytes) -> Malformation:
    return Malformation(error_code, lambda order_id: Message(_json({"order_id": order_id, "payment_id": "p"}), key))


def _nested(depth: int) -> str:
    return '{"order_id":"ORDER","payment_id":"p","x":' + "[" * depth + "]" * depth + "}"


_CE = (("ce_specversion", b"1.0"), ("ce_id", b"1"), ("ce_source", SOURCE.encode()))

MALFORMATIONS: dict[str, Malformation] = {
    "null value": _bytes(None, "value_null"),
    "empty": _bytes(b"", "value_empty"),
    "blank": _bytes(b" \t\r\n ", "value_blank"),
    "truncated": _text('{"order_id":"ORDER","payment_id":"p"', "json_truncated"),
    "two documents": _text('{"order_id":"ORDER"}{"order_id":"ORDER"}', "json_several_documents"),
    "byte-order mark": _bytes(b'\xef\xbb\xbf{"order_id":"o","payment_id":"p"}', "value_byte_order_mark"),
    "UTF-16": _bytes('{"order_id":"o","payment_id":"p"}'.encode("utf-16"), "value_utf_16"),
    "invalid UTF-8": _bytes(b'{"order_id":"o","payment_id":"\xc3\x28"}', "value_not_utf_8"),
    "gzip": _bytes(gzip.compress(b'{"order_id":"o","payment_id":"p"}', mtime=0), "value_gzip"),
    "schema registry": _bytes(b'\x00\x00\x00\x00\x07{"order_id":"o"}', "value_schema_registry"),
    "too large": _text('{"order_id":"ORDER","payment_id":"p","x":"' + "y" * 600_000 + '"}', "value_too_large"),
    "scalar": _bytes(b"42", "json_not_an_object"),
    "array": _bytes(b'[{"order_id":"o","payment_id":"p"}]', "json_not_an_object"),
    "nesting of 200": _text(_nested(200), "json_too_deep"),
    "nesting of 1,000": _text(_nested(1_000), "json_too_deep"),
    "nesting of 100,000": _text(_nested(100_000), "json_too_deep"),
    "NaN": _text('{"order_id":"ORDER","payment_id":"p","amount":NaN}', "json_not_a_number"),
    "1e999": _text('{"order_id":"ORDER","payment_id":"p","amount":1e999}', "json_number_too_large"),
    "5,000 digits": _text(
        '{"order_id":"ORDER","payment_id":"p","amount":' + "7" * 5_000 + "}", "json_integer_too_long"
    ),
    "NUL": _text('{"order_id":"ORDER","payment_id":"p","customer_id":"a\\u0000b"}', "json_nul_character"),
    "control character": _text(
        '{"order_id":"ORDER","payment_id":"p","customer_id":"a\x01b"}', "json_control_character"
    ),
    "comment": _text('{"order_id":"ORDER", /* paid */ "payment_id":"p"}', "json_comment"),
    "trailing comma": _text('{"order_id":"ORDER","payment_id":"p",}', "json_trailing_comma"),
    "field missing": _field("field_missing", payment_id=None),
    "wrong type": _field("field_wrong_type", customer_id=["c"]),
    "boolean as integer": _field("field_boolean_for_number", amount=True),
    "number as string": _field("field_text_for_number", amount="7"),
    "empty order id": _field("identifier_invalid", order_id=""),
    "over-long order id": _field("identifier_invalid", order_id="o" * 129),
    "slash in the order id": _field("identifier_invalid", order_id="a/b"),
    "newline in the order id": _field("identifier_invalid", order_id="a\n"),
    "emoji in the order id": _field("identifier_invalid", order_id="\N{PACKAGE}"),
    "negative amount": _field("field_out_of_range", amount=-1),
    "total is not the sum": _field("amount_mismatch", amount=3, items=[{"sku": "s", "quantity": 2, "unit_amount": 2}]),
    "unknown currency": _field("currency_unknown", currency="ABC"),
    "time without offset": _field("time_form", occurred_at="2026-01-31T12:00:00"),
    "no such time": _field("time_unknown", occurred_at="2026-02-30T12:00:00Z"),
    "type of another topic": _headers("event_type_mismatch", *_CE, ("ce_type", b"order.approved")),
    "unknown specversion": _headers("specversion_unsupported", ("ce_specversion", b"2.0"), *_CE[1:]),
    "repeated header": _headers("header_repeated", *_CE, ("ce_id", b"2")),
    "header that is not UTF-8": _headers("header_not_utf_8", *_CE[:2], ("ce_source", b"\xff")),
    "header whose name is not UTF-8": _headers(
        "header_name_not_utf_8", *_CE, ("ce_type", b"order.created"), (raw_name(b"trace\xff\xfe"), b"1")
    ),
    "key of another order": _key("key_mismatch", b"another-order"),
    "key that is not UTF-8": _key("key_not_utf_8", b"\xff\xfe"),
    "forged dlq headers": Malformation(
        "json_truncated",
        lambda order_id: Message(
            b"{",
            order_id.encode(),
            (("dlq_source_topic", b"elsewhere"), ("dlq_source_offset", b"9"), ("dlq_message", b"all is well")),
        ),
    ),
}
"""Each kind of bad input, by what a person would call it."""
