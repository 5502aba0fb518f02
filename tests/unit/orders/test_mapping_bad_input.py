"""Every kind of bad input ends in its own error code, and its message holds nothing of the record (I16)."""

import gzip
import json
import random
import re
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from bridge import Header, ReadLimits, Record, Refusal, RefusalCode, RefusedError
from bridge.dead_letters.headers import make_pointer
from bridge.engine.translation import translate
from orders.mapping import OrderMapping
from orders.signatures.signature import SignatureCode
from schemas.event_types import EventType
from tests.helpers.messages.refusal_codes import contract_codes

Code = RefusalCode
LIMITS = ReadLimits(value_max_bytes=200_000, value_max_setting="BRIDGE_VALUE_MAX_BYTES")
MAPPING = OrderMapping({event_type.value: event_type for event_type in EventType}, limits=LIMITS)
DOCUMENT = Path(__file__).parents[3] / "docs" / "dead-letters.md"
SECRET = "zq7-secret"  # noqa: S105 -- a mark to look for, not a password


def body(**fields: object) -> bytes:
    return json.dumps({"order_id": "o-1", "payment_id": "p-1"} | fields).encode()


def raw(text: str) -> bytes:
    """An order with some raw JSON as a further field."""
    return ('{"order_id":"o-1","payment_id":"p-1","extra":' + text + "}").encode()


def nested(depth: int) -> bytes:
    return raw("[" * depth + "]" * depth)


def items_of(item: bytes) -> bytes:
    """An order with as many of the same item as a record has room for."""
    count = (LIMITS.value_max_bytes - 100) // (len(item) + 1)
    return body(items=[]).replace(b"[]", b"[" + b",".join([item] * count) + b"]")


@dataclass(frozen=True)
class Case:
    name: str
    code: str
    value: bytes | None = field(default_factory=body)
    key: bytes | None = None
    headers: tuple[Header, ...] = ()
    topic: str = "order.created"


CE = (("ce_specversion", b"1.0"), ("ce_id", b"e-1"), ("ce_source", b"/shop"), ("ce_type", b"order.created"))
STRUCTURED = (("content-type", b"application/cloudevents+json; charset=UTF-8"),)


def structured(**fields: object) -> bytes:
    event = {
        "specversion": "1.0",
        "id": "e-1",
        "source": "/shop",
        "type": "order.created",
        "data": {"order_id": "o-1", "payment_id": "p-1"},
    } | fields
    return json.dumps({name: value for name, value in event.items() if value is not None}).encode()


CASES = [
    # Bytes
    Case("null value", Code.VALUE_NULL, None),
    Case("empty value", Code.VALUE_EMPTY, b""),
    Case("blank value", Code.VALUE_BLANK, b" \n\t"),
    Case("random bytes", Code.VALUE_BINARY, b"\xf7" + random.Random(7).randbytes(200)),  # noqa: S311 -- test bytes
    Case("byte-order mark", Code.VALUE_BYTE_ORDER_MARK, b"\xef\xbb\xbf" + body()),
    Case("UTF-16 with a mark", Code.VALUE_UTF_16, body().decode().encode("utf-16")),
    Case("UTF-16, little end first", Code.VALUE_UTF_16, body().decode().encode("utf-16-le")),
    Case("UTF-16, big end first", Code.VALUE_UTF_16, body().decode().encode("utf-16-be")),
    Case("UTF-32, little end first", Code.VALUE_UTF_16, body().decode().encode("utf-32-le")),
    Case("invalid UTF-8", Code.VALUE_NOT_UTF_8, body(note="x").replace(b'"x"', b'"\xff"')),
    Case("gzip", Code.VALUE_GZIP, gzip.compress(body())),
    Case("schema-registry magic byte", Code.VALUE_SCHEMA_REGISTRY, b"\x00\x00\x00\x00\x07" + body()),
    Case("schema-registry magic byte and Avro", Code.VALUE_SCHEMA_REGISTRY, b"\x00\x00\x00\x01\x02\x06o-1\x06p-1"),
    Case("over the size limit", Code.VALUE_TOO_LARGE, body(note="x" * 200_000)),
    # JSON
    Case("words", Code.JSON_INVALID, f"hello {SECRET}".encode()),
    Case("single quotes", Code.JSON_QUOTES, b"{'order_id': 'o-1'}"),
    Case("a NUL for a value", Code.JSON_INVALID, raw("\x00")),
    Case("truncated in a string", Code.JSON_TRUNCATED, body()[:10]),
    Case("truncated in an object", Code.JSON_TRUNCATED, body()[:-1]),
    Case("truncated after a comma", Code.JSON_TRUNCATED, b'{"order_id":"o-1",'),
    Case("two documents", Code.JSON_SEVERAL_DOCUMENTS, body() + body()),
    Case("two documents on two lines", Code.JSON_SEVERAL_DOCUMENTS, body() + b"\n" + body()),
    Case("comment first", Code.JSON_COMMENT, b"// an order\n" + body()),
    Case("comment within", Code.JSON_COMMENT, raw("/* none */ 1")),
    Case("comment last", Code.JSON_COMMENT, body() + b" # an order"),
    Case("trailing comma in an object", Code.JSON_TRAILING_COMMA, body()[:-1] + b",}"),
    Case("trailing comma in an array", Code.JSON_TRAILING_COMMA, raw("[1, ]")),
    Case("raw control character", Code.JSON_CONTROL_CHARACTER, raw('"a\tb"')),
    Case("raw NUL in a string", Code.JSON_CONTROL_CHARACTER, raw('"a\x00b"')),
    Case("NaN", Code.JSON_NOT_A_NUMBER, raw("NaN")),
    Case("Infinity", Code.JSON_NOT_A_NUMBER, raw("-Infinity")),
    Case("1e999", Code.JSON_NUMBER_TOO_LARGE, raw("1e999")),
    Case("an integer of 5,000 digits", Code.JSON_INTEGER_TOO_LONG, raw("9" * 5_000)),
    Case("an integer above 2**64", Code.JSON_INTEGER_TOO_LONG, raw(str(2**70))),
    Case("nesting of 200", Code.JSON_TOO_DEEP, nested(200)),
    Case("nesting of 1,000", Code.JSON_TOO_DEEP, nested(1_000)),
    Case("nesting of 99,000", Code.JSON_TOO_DEEP, nested(99_000)),
    Case("nesting of 99,000, never closed", Code.JSON_TOO_DEEP, raw("[" * 99_000)),
    Case("a text at the root", Code.JSON_NOT_AN_OBJECT, b'"o-1"'),
    Case("a number at the root", Code.JSON_NOT_AN_OBJECT, b"17"),
    Case("null at the root", Code.JSON_NOT_AN_OBJECT, b"null"),
    Case("an array at the root", Code.JSON_NOT_AN_OBJECT, b"[" + body() + b"]"),
    Case("a name twice", Code.JSON_REPEATED_NAME, b'{"order_id":"o-1","payment_id":"p-1","order_id":"o-2"}'),
    Case("a name twice, once escaped", Code.JSON_REPEATED_NAME, b'{"order_id":"o-1","order\\u005fid":"o-2"}'),
    Case("escaped NUL in a string", Code.JSON_NUL_CHARACTER, body(customer_id="a\0b")),
    Case("escaped NUL in a field we ignore", Code.JSON_NUL_CHARACTER, raw('{"a": ["b\\u0000"]}')),
    Case("escaped NUL in a name", Code.JSON_NUL_CHARACTER, raw('{"a\\u0000": 1}')),
    Case("half a surrogate pair", Code.JSON_LONE_SURROGATE, raw('"\\ud83d"')),
    # CloudEvents and headers
    Case("unknown specversion", Code.SPECVERSION_UNSUPPORTED, headers=(("ce_specversion", b"0.3"), *CE[1:])),
    Case("type that is not the topic's", Code.EVENT_TYPE_MISMATCH, headers=(*CE[:3], ("ce_type", b"order.approved"))),
    Case("id without source", Code.ATTRIBUTE_MISSING, headers=CE[:2]),
    Case("source without id", Code.ATTRIBUTE_MISSING, headers=(CE[0], CE[2])),
    Case("empty id", Code.ATTRIBUTE_INVALID, headers=(CE[0], ("ce_id", b""), CE[2])),
    Case("null id", Code.ATTRIBUTE_INVALID, headers=(CE[0], ("ce_id", None), CE[2])),
    Case("id with a control character", Code.ATTRIBUTE_INVALID, headers=(CE[0], ("ce_id", b"a\0"), CE[2])),
    Case("over-long id", Code.ATTRIBUTE_INVALID, headers=(CE[0], ("ce_id", b"e" * 600), CE[2])),
    Case("source that is no URI reference", Code.ATTRIBUTE_INVALID, headers=(*CE[:2], ("ce_source", b"a|b"))),
    Case("repeated header", Code.HEADER_REPEATED, headers=(*CE, ("ce_id", b"e-2"))),
    Case("repeated header, once with a dash", Code.HEADER_REPEATED, headers=(*CE, ("ce-id", b"e-2"))),
    Case("repeated header, once in capitals", Code.HEADER_REPEATED, headers=(*CE, ("CE_ID", b"e-2"))),
    Case("repeated header, first in vain", Code.HEADER_REPEATED, headers=(("ce_type", b"order.approved"), *CE)),
    Case("header that is not UTF-8", Code.HEADER_NOT_UTF_8, headers=(*CE[:3], ("ce_type", b"\xff"))),
    Case("time without offset", Code.EVENT_TIME_INVALID, headers=(*CE, ("ce_time", b"2026-01-31T12:00:00"))),
    Case("no such time", Code.EVENT_TIME_INVALID, headers=(*CE, ("ce_time", b"2026-02-30T12:00:00Z"))),
    Case("data that is Avro", Code.CONTENT_TYPE_UNSUPPORTED, headers=(*CE, ("content-type", b"application/avro"))),
    Case(
        "a batch of events",
        Code.CONTENT_TYPE_UNSUPPORTED,
        headers=(("content-type", b"application/cloudevents-batch+json"),),
    ),
    Case("structured without data", Code.DATA_MISSING, structured(data=None), headers=STRUCTURED),
    Case(
        "structured with an array in base64",
        Code.JSON_NOT_AN_OBJECT,
        structured(data=None, data_base64="W10="),
        headers=STRUCTURED,
    ),
    Case(
        "structured with data_base64 that is none",
        Code.ATTRIBUTE_INVALID,
        structured(data=None, data_base64="e3"),
        headers=STRUCTURED,
    ),
    Case(
        "structured with a number in data_base64",
        Code.ATTRIBUTE_INVALID,
        structured(data=None, data_base64=7),
        headers=STRUCTURED,
    ),
    Case("structured with data twice", Code.ATTRIBUTE_INVALID, structured(data_base64="e30="), headers=STRUCTURED),
    Case("structured with data as text", Code.DATA_MISSING, structured(data="{}"), headers=STRUCTURED),
    Case("structured without specversion", Code.ATTRIBUTE_MISSING, structured(specversion=None), headers=STRUCTURED),
    Case(
        "structured, specversion 2.0", Code.SPECVERSION_UNSUPPORTED, structured(specversion="2.0"), headers=STRUCTURED
    ),
    Case("structured with a number for an id", Code.ATTRIBUTE_INVALID, structured(id=7), headers=STRUCTURED),
    Case("structured with another topic's type", Code.EVENT_TYPE_MISMATCH, structured(type="x"), headers=STRUCTURED),
    # Schema
    Case("field missing", Code.FIELD_MISSING, b'{"order_id":"o-1"}'),
    Case("wrong type", Code.FIELD_WRONG_TYPE, body(customer_id=7)),
    Case("an object for a list", Code.FIELD_WRONG_TYPE, body(items={})),
    Case("null for a field that is needed", Code.FIELD_MISSING, body(payment_id=None)),
    Case("boolean as integer", Code.FIELD_BOOLEAN_FOR_NUMBER, body(amount=True)),
    Case("number as string", Code.FIELD_TEXT_FOR_NUMBER, body(amount="7")),
    Case("fraction as integer", Code.FIELD_NOT_WHOLE, body(amount=7.5)),
    Case("the body within data", Code.BODY_WRAPPED, json.dumps({"data": json.loads(body())}).encode()),
    Case("field in camel case", "field_misnamed", b'{"orderId":"o-1","payment_id":"p-1"}'),
    Case("order_id empty", Code.IDENTIFIER_INVALID, body(order_id="")),
    Case("order_id over-long", Code.IDENTIFIER_INVALID, body(order_id="o" * 129)),
    Case("order_id with a slash", Code.IDENTIFIER_INVALID, body(order_id="o/1")),
    Case("order_id with a newline", Code.IDENTIFIER_INVALID, body(order_id="o-1\n")),
    Case("order_id with an emoji", Code.IDENTIFIER_INVALID, body(order_id="o-\N{PACKAGE}")),
    Case("text over-long", Code.FIELD_TOO_LONG, body(customer_id="c" * 1_001)),
    Case("too many items", Code.FIELD_TOO_LONG, body(items=[{"sku": "s", "quantity": 1, "unit_amount": 1}] * 1_001)),
    Case("items of {}", Code.FIELD_MISSING, items_of(b"{}")),
    Case("items of 1", Code.FIELD_WRONG_TYPE, items_of(b"1")),
    Case("sku blank", "field_blank", body(items=[{"sku": " ", "quantity": 1, "unit_amount": 1}])),
    # Values
    Case("negative amount", Code.FIELD_OUT_OF_RANGE, body(amount=-1)),
    Case(
        "total that is not the sum",
        "amount_mismatch",
        body(amount=1, items=[{"sku": "s", "quantity": 2, "unit_amount": 1}]),
    ),
    Case(
        "total beyond all bounds",
        "amount_too_large",
        body(items=[{"sku": "s", "quantity": 1_000_000, "unit_amount": 10**15}]),
    ),
    Case("total below nothing", "amount_negative", body(adjustments=[{"kind": "discount", "amount": -1}])),
    Case("unknown currency", "currency_unknown", body(currency="ZZZ")),
    Case("no currency", "currency_unknown", body(currency="XXX")),
    Case("occurred_at without offset", "time_form", body(occurred_at="2026-01-31T12:00:00")),
    Case("occurred_at at no such time", "time_unknown", body(occurred_at="2026-01-31T25:00:00Z")),
    Case("occurred_at beyond all years", "time_unknown", body(occurred_at="9999-12-31T23:59:59-10:00")),
    Case(
        "address update of nothing",
        "address_empty",
        b'{"order_id":"o-1","address":{}}',
        topic="order.address_updated",
    ),
    # Key
    Case("key that is not the order_id", Code.KEY_MISMATCH, key=b"o-2"),
    Case("key in two pairs of quotes", Code.KEY_MISMATCH, key=b'"\\"o-1\\""'),
    Case("key that is not UTF-8", Code.KEY_NOT_UTF_8, key=b"\xff\xfe"),
]

UNREACHABLE = {
    Code.BATCH_UNREADABLE,  # Found before anything is decoded: test_lenient_records.py.
    Code.BATCH_TOO_LARGE,  # The same.
    Code.HEADER_NAME_NOT_UTF_8,  # The same.
    Code.DECODER_FAILED,  # Our own mistakes; below.
    Code.FIELD_TOO_SHORT,  # None of the orders' fields has a least length.
    Code.FIELD_INVALID,  # For a validation that a later model may add and the table of codes forget.
    Code.REFUSED_BY_TEMPORAL,  # Long after it was read.
    *SignatureCode,  # Only where keys are set: test_signatures.py has a case for each.
}


def refused(case: Case) -> RefusedError:
    record = Record(case.topic, 1, 2, 1_700_000_000_000, case.key, case.value, case.headers)
    with pytest.raises(RefusedError) as caught:
        MAPPING.translate(record)
    return caught.value


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_bad_input_has_its_own_error_code(case: Case) -> None:
    refusal = refused(case).refusal
    assert refusal.code == case.code, refusal.message
    assert 10 <= len(refusal.message) <= 300


def test_every_error_code_has_a_case() -> None:
    assert {str(case.code) for case in CASES} == contract_codes() - UNREACHABLE


@pytest.mark.parametrize(
    "case",
    [
        Case("order_id", Code.IDENTIFIER_INVALID, body(order_id=f"/{SECRET}")),
        Case("payment_id", Code.IDENTIFIER_INVALID, body(payment_id=f"/{SECRET}")),
        Case("currency", "currency_unknown", body(currency=SECRET)),
        Case("occurred_at", "time_form", body(occurred_at=SECRET)),
        Case("amount", Code.FIELD_TEXT_FOR_NUMBER, body(amount=SECRET)),
        Case("items", Code.FIELD_WRONG_TYPE, body(items=SECRET)),
        Case("syntax", Code.JSON_INVALID, f'{{"a": {SECRET}}}'.encode()),
        Case("quotes", Code.JSON_QUOTES, f"{{'{SECRET}': 1}}".encode()),
        Case("envelope", Code.BODY_WRAPPED, json.dumps({SECRET: {"order_id": SECRET}}).encode()),
        Case("repeated name", Code.JSON_REPEATED_NAME, f'{{"{SECRET}": 1, "{SECRET}": 2}}'.encode()),
        Case("ce_type", Code.EVENT_TYPE_MISMATCH, headers=(("ce_type", SECRET.encode()),)),
        Case("ce_time", Code.EVENT_TIME_INVALID, headers=(("ce_time", SECRET.encode()),)),
        Case("ce_specversion", Code.SPECVERSION_UNSUPPORTED, headers=(("ce_specversion", SECRET.encode()),)),
        Case("ce_source", Code.ATTRIBUTE_INVALID, headers=(("ce_source", f"|{SECRET}".encode()), ("ce_id", b"1"))),
        Case("content-type", Code.CONTENT_TYPE_UNSUPPORTED, headers=(("content-type", SECRET.encode()), *CE)),
        Case("key", Code.KEY_MISMATCH, key=SECRET.encode()),
    ],
    ids=lambda case: case.name,
)
def test_message_holds_no_value_of_the_record(case: Case) -> None:
    error = refused(case)
    assert error.refusal.code == case.code
    assert SECRET not in error.refusal.message
    assert SECRET not in str(error)
    assert error.__cause__ is None
    assert error.__suppress_context__ or error.__context__ is None, "a traceback would show the value"


def test_message_names_the_field_by_its_path() -> None:
    case = Case("item", Code.FIELD_TEXT_FOR_NUMBER, body(items=[{"sku": "s", "quantity": "7", "unit_amount": 1}]))
    assert refused(case).refusal.message.startswith("items.0.quantity is a text, ")


def test_further_mistakes_are_counted() -> None:
    case = Case("several", Code.FIELD_MISSING, b"{}")
    assert refused(case).refusal.message.endswith("(and 1 more)")


def test_a_mistake_of_our_own_is_an_error_of_the_record() -> None:
    """I10: whatever happens in the decoder, the process goes on."""
    record = Record("order.created", 0, 0, 0, None, body(), headers=(17,))  # type: ignore[arg-type]
    translated = translate(record, MAPPING)
    assert isinstance(translated, Refusal)
    assert translated.code == Code.DECODER_FAILED


def test_a_value_that_is_too_large_names_the_setting() -> None:
    case = Case("over the size limit", Code.VALUE_TOO_LARGE, body(note="x" * 200_000))
    assert "(BRIDGE_VALUE_MAX_BYTES)" in refused(case).refusal.message


def test_the_document_has_a_section_with_a_remedy_for_every_code_and_no_other() -> None:
    sections = re.findall(
        r"^#### `([a-z0-9_]+)`\n\nSent: (.+?) To do: (.+)\.$", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE
    )
    assert sorted(code for code, _, _ in sections) == sorted(contract_codes())
    assert all(remedy for _, _, remedy in sections)


def test_the_document_explains_every_header() -> None:
    record = Record("order.created", 0, 0, 0, None, body())
    letter = make_pointer(record, refused(CASES[0]).refusal)
    headers = {name for name, _ in letter.headers if name.startswith("dlq_")}
    documented = set(re.findall(r"`(dlq_[a-z_]+)`", DOCUMENT.read_text(encoding="utf-8")))
    assert headers <= documented
