"""What real senders write that the contract does not: read as it is meant, or refused with a code and a sentence."""

import json
from dataclasses import dataclass
from typing import Any

import pytest

from bridge import Header, Record, RefusedError
from orders.mapping import DecodedRecord, OrderMapping
from schemas.event_types import EventType

MAPPING = OrderMapping({event_type.value: event_type for event_type in EventType})
ORDER = {"order_id": "o-1", "payment_id": "p-1"}
ITEM = {"sku": "s", "quantity": 1, "unit_amount": 1250}
DASHES = (("ce-specversion", b"1.0"), ("ce-id", b"e-1"), ("ce-source", b"/shop"), ("ce-type", b"order.created"))
CAPITALS = tuple((name.title().replace("-", "_"), value) for name, value in DASHES)
BOTH = (*DASHES, *((name.replace("-", "_"), value) for name, value in DASHES))
QUOTED = tuple((name.replace("-", "_"), b'"' + value.replace(b"/", b"\\/") + b'"') for name, value in DASHES)


def read(value: Any, *, key: bytes | None = None, headers: tuple[Header, ...] = ()) -> DecodedRecord:
    """The event of a record, of the topic whose body it looks like."""
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    topic = "order.address_updated" if b'"address"' in raw else "order.created"
    return MAPPING.read(Record(topic, 3, 14, 1_700_000_000_000, key, raw, headers))


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        (ORDER | {"amount": 1250.0}, {"amount": 1250}),
        (b'{"order_id": "o-1", "payment_id": "p-1", "amount": 1.25e3}', {"amount": 1250}),
        (ORDER | {"items": [ITEM | {"quantity": 1.0}]}, {"items": [ITEM]}),
        (ORDER | {"items": None, "adjustments": None}, {}),
        (ORDER | {"currency": None, "customer_id": None, "amount": None, "shipping_address": None}, {}),
        (ORDER | {"currency": "", "customer_id": " ", "event_id": "\t", "occurred_at": ""}, {}),
        (ORDER | {"occurred_at": "2016-12-31T23:59:60Z"}, {"occurred_at": "2016-12-31T23:59:59.999999Z"}),
        (ORDER | {"occurred_at": "2026-01-31T12:00:00.0000000001Z"}, {"occurred_at": "2026-01-31T12:00:00Z"}),
        (ORDER | {"colour": "red", "orders": 1, "id": 7}, {}),
    ],
    ids=[
        "a whole amount with a point",
        "a whole amount with an exponent",
        "a whole quantity with a point",
        "null lists",
        "other nulls",
        "blank texts",
        "a leap second",
        "ten digits of a second",
        "fields of their own",
    ],
)
def test_a_body_is_read_as_it_is_meant(sent: Any, meant: dict[str, Any]) -> None:
    lists = {"currency": "USD", "items": [], "adjustments": []}
    assert read(sent).event.body == ORDER | lists | meant


def test_blank_fields_of_an_address_change_nothing() -> None:
    sent = {"order_id": "o-1", "address": {"street": "2 Example Street", "city": "", "country": " ", "state": None}}
    assert read(sent).event.body["address"] == {"street": "2 Example Street"}


@pytest.mark.parametrize("headers", [DASHES, CAPITALS, BOTH, QUOTED], ids=["dashes", "capitals", "both", "quotes"])
def test_every_spelling_of_the_headers_is_read_alike(headers: tuple[Header, ...]) -> None:
    assert read(ORDER, headers=headers).event.event_id == "/shop|e-1"


@pytest.mark.parametrize("key", [b"", b'""', b'"o-1"', b'"o\\u002d1"'])
def test_a_key_without_a_word_is_none_and_one_in_json_quotes_is_its_text(key: bytes) -> None:
    assert read(ORDER, key=key).order_id == "o-1"


@dataclass(frozen=True)
class Habit:
    """Something that senders do, and what they are told."""

    name: str
    code: str
    says: str
    """In the sentence, word for word."""
    value: Any = None
    key: bytes | None = None
    headers: tuple[Header, ...] = ()


HABITS = [
    Habit("cents with a point", "field_not_whole", "send 1250 for 12.50", ORDER | {"amount": 12.50}),
    Habit(
        "a price with a point",
        "field_not_whole",
        "items.0.unit_amount is a number with a fraction: amounts are whole numbers of minor units, such as cents",
        ORDER | {"items": [ITEM | {"unit_amount": 12.50}]},
    ),
    Habit("half an item", "field_not_whole", "send a whole number", ORDER | {"items": [ITEM | {"quantity": 1.5}]}),
    Habit("an amount in quotes", "field_text_for_number", "send it without quotes", ORDER | {"amount": "1250"}),
    Habit(
        "camel case", "field_misnamed", "the body has orderId, which is not a field: send order_id", {"orderId": "o"}
    ),
    Habit("Pascal case", "field_misnamed", "has OrderID, which is not a field: send order_id", {"OrderID": "o"}),
    Habit("dashes", "field_misnamed", "has order-id, which is not a field: send order_id", ORDER | {"order-id": "o"}),
    Habit(
        "an address in camel case",
        "field_misnamed",
        "has shippingAddress, which is not a field: send shipping_address",
        ORDER | {"shippingAddress": {}},
    ),
    Habit(
        "camel case within an address",
        "field_misnamed",
        "shipping_address has zipCode, which is not a field: send zip_code",
        ORDER | {"shipping_address": {"zipCode": "1"}},
    ),
    Habit(
        "camel case within an item",
        "field_misnamed",
        "items.0 has unitAmount, which is not a field: send unit_amount",
        ORDER | {"items": [{"sku": "s", "quantity": 1, "unitAmount": 1}]},
    ),
    Habit(
        "an address of blanks",
        "address_empty",
        "send at least one of street",
        {"order_id": "o", "address": {"city": ""}},
    ),
    Habit("an item without a name", "field_blank", "items.0.sku is blank", ORDER | {"items": [ITEM | {"sku": " "}]}),
    Habit(
        "an object for items", "field_wrong_type", "items is an object, where an array is wanted", ORDER | {"items": {}}
    ),
    Habit("a number for an id", "field_wrong_type", "payment_id is a number, where a text", ORDER | {"payment_id": 7}),
    Habit("null for an id", "field_missing", "payment_id is null", ORDER | {"payment_id": None}),
    Habit("no id", "field_missing", "payment_id is missing: send it", {"order_id": "o-1"}),
    Habit(
        "an id with a slash", "identifier_invalid", "an id begins with a letter or digit", ORDER | {"order_id": "o/1"}
    ),
    Habit("the body within data", "body_wrapped", "wrapped in the member data; send what is in it", {"data": ORDER}),
    Habit("the body within a text", "body_wrapped", "JSON within a text", {"Message": json.dumps(ORDER)}),
    Habit("the body within a name of theirs", "body_wrapped", "one of its members", {"placement": ORDER}),
    Habit(
        "Connect's envelope",
        "body_wrapped",
        "set value.converter.schemas.enable=false",
        {"schema": {"type": "struct"}, "payload": ORDER},
    ),
    Habit(
        "a change of a row",
        "body_wrapped",
        "a change-data-capture event; let its connector unwrap the row",
        {"before": None, "after": ORDER, "op": "c", "source": {}},
    ),
    Habit(
        "a change of a row in Connect's envelope",
        "body_wrapped",
        "ExtractNewRecordState",
        {"schema": {}, "payload": {"before": None, "after": ORDER, "op": "c"}},
    ),
    Habit("typographic quotes", "json_quotes", "straight double quotes", "{“order_id”: “o-1”}".encode()),
    Habit("a typographic quote for a text", "json_quotes", "straight double quotes", '{"order_id": “o-1”}'.encode()),
    Habit("single quotes", "json_quotes", "straight double quotes", b"{'order_id': 'o-1'}"),
    Habit("names without quotes", "json_quotes", "straight double quotes", b'{order_id: "o-1"}'),
    Habit("JSON encoded twice", "json_not_an_object", "encoded twice", json.dumps(ORDER)),
    Habit("an array of orders", "json_not_an_object", "send its elements as records of their own", [ORDER]),
    Habit(
        "a reverse domain in the type",
        "event_type_mismatch",
        "with more around it, such as a domain or a version; this topic holds order.created: send exactly that",
        ORDER,
        headers=(*DASHES[:3], ("ce-type", b"com.example.order.created")),
    ),
    Habit(
        "a type of their own",
        "event_type_mismatch",
        "is none of ours; this topic holds order.created",
        ORDER,
        headers=(*DASHES[:3], ("ce-type", b"OrderPlaced")),
    ),
    Habit(
        "another topic's type",
        "event_type_mismatch",
        "is order.approved; this topic holds order.created",
        ORDER,
        headers=(*DASHES[:3], ("ce-type", b"order.approved")),
    ),
    Habit(
        "two spellings that differ",
        "header_repeated",
        "spelled in two ways, with different values",
        ORDER,
        headers=(*DASHES, ("ce_id", b"e-2")),
    ),
    Habit("a key in single quotes", "key_mismatch", "quotes", ORDER, key=b"'o-1'"),
    Habit("a key in quotes twice", "key_mismatch", "quotes", ORDER, key=json.dumps('"o-1"').encode()),
    Habit("a key with blanks", "key_mismatch", "or blanks", ORDER, key=b" o-1\n"),
    Habit("a key that is an object", "key_mismatch", "is a JSON object", ORDER, key=b'{"order_id":"o-1"}'),
    Habit("a key of a schema registry", "key_mismatch", "magic byte", ORDER, key=b"\0\0\0\0\x07\x06o-1"),
    Habit("no money", "currency_unknown", "ISO 4217 in capitals, such as USD", ORDER | {"currency": "XTS"}),
    Habit("a currency in small letters", "currency_unknown", "in capitals", ORDER | {"currency": "usd"}),
    Habit("a time without an offset", "time_form", "with an offset", ORDER | {"occurred_at": "2026-01-31T12:00:00"}),
]


@pytest.mark.parametrize("habit", HABITS, ids=lambda habit: habit.name)
def test_what_cannot_be_read_as_meant_is_refused_with_a_remedy(habit: Habit) -> None:
    value = json.dumps(habit.value).encode() if isinstance(habit.value, str) else habit.value
    with pytest.raises(RefusedError) as refused:
        read(value, key=habit.key, headers=habit.headers)
    refusal = refused.value.refusal
    assert refusal.code == habit.code, refusal.message
    assert habit.says in refusal.message
