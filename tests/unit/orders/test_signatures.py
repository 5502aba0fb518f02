"""Signatures of records: what is signed counts, and whatever was changed, moved or made with another key is refused."""

import base64
import hashlib
import hmac
import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from joserfc.errors import UnsupportedAlgorithmError

from bridge import Header, Record, RefusedError, Stage
from orders.mapping import DecodedRecord, OrderMapping
from orders.operations.messages import Encoding, encode_message
from orders.signatures.algorithm import OneAlgorithm
from orders.signatures.signature import CHARS_MAX, LEEWAY, SIGNATURE_HEADER, SignatureCode, Signatures
from schemas.event_types import EventType
from schemas.inbound import InboundEvent
from schemas.outbound import Cause
from tests.helpers.messages.signing import NOON, KnownKeys, public_of, signature_header, signing_key

APPROVED = EventType.ORDER_APPROVED
DESK, SHOP, STRANGER = signing_key("desk-1"), signing_key("shop", "ES256"), signing_key("desk-1")
KEYS = KnownKeys({one.key_id: public_of(one) for one in (DESK, SHOP)})
ROUTES = {event_type.value: event_type for event_type in EventType}
ASKING = OrderMapping(ROUTES, signatures=Signatures(KEYS))
REQUIRING = OrderMapping(ROUTES, signatures=Signatures(KEYS, required={APPROVED}))
VALUE = b'{"order_id": "o-1", "approved_by": "ada"}'
SENT_MS = int(NOON.timestamp() * 1_000)


def record(value: bytes = VALUE, headers: tuple[Header, ...] = (), *, topic: str = APPROVED.value) -> Record:
    return Record(topic, 3, 14, SENT_MS, b"o-1", value, headers)


def signed(key: Any = DESK, value: bytes = VALUE, event_type: EventType = APPROVED, **changes: Any) -> Record:
    return record(value, signature_header(key, value, event_type, "o-1", **changes), topic=event_type.value)


def refusal(of: Record, mapping: OrderMapping = REQUIRING) -> SignatureCode:
    with pytest.raises(RefusedError) as caught:
        mapping.read(of)
    error = caught.value
    assert error.refusal.stage is Stage.ENVELOPE
    assert error.__suppress_context__ or error.__context__ is None, "a traceback would show values"
    assert 10 <= len(error.refusal.message) <= 300, error.refusal.message
    return SignatureCode(error.refusal.code)


def with_signature(text: bytes | None, of: Record) -> Record:
    return replace(of, headers=((SIGNATURE_HEADER, text),))


def signature_of(of: Record) -> bytes:
    (text,) = (value for name, value in of.headers if name == SIGNATURE_HEADER)
    assert text is not None
    return text


def forged(header: dict[str, Any], claims: Any, secret: bytes | None = None) -> bytes:
    parts = [base64.urlsafe_b64encode(json.dumps(one).encode()).rstrip(b"=") for one in (header, claims)]
    text = b".".join(parts)
    made = b"" if secret is None else hmac.new(secret, text, hashlib.sha256).digest()
    return text + b"." + base64.urlsafe_b64encode(made).rstrip(b"=")


# What is good ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["Ed25519", "EdDSA", "ES256", "RS256", "PS256"])
def test_a_signature_says_who_vouches_for_the_event(kind: str) -> None:
    key = signing_key("clerk", "Ed25519" if kind == "EdDSA" else kind)
    key = replace(key, algorithms=(kind,))
    mapping = OrderMapping(ROUTES, signatures=Signatures(KnownKeys({"clerk": public_of(key)})))
    read = mapping.read(signed(key))
    assert (read.event.verified_by, read.event.signed_with) == ("signature:clerk", "clerk")


def test_a_signature_can_be_made_by_the_formula_of_the_standard_alone() -> None:
    """RFC 7515, section 5.1: as a sender in any language makes it, without our code or its library."""
    text, _, _ = forged(HEADER, CLAIMS | {"iat": 1_767_225_600, "iss": "desk"}).rpartition(b".")
    raw = DESK.key.private_key
    assert isinstance(raw, Ed25519PrivateKey)
    made = text + b"." + base64.urlsafe_b64encode(raw.sign(text)).rstrip(b"=")
    assert REQUIRING.read(with_signature(made, record())).event.signed_with == "desk-1"


@pytest.mark.parametrize("event_type", EventType)
@pytest.mark.parametrize("encoding", Encoding)
def test_every_type_can_be_signed_in_every_encoding(event_type: EventType, encoding: Encoding) -> None:
    needed: dict[EventType, dict[str, Any]] = {
        EventType.ORDER_CREATED: {"payment_id": "p-1"},
        EventType.ORDER_ADDRESS_UPDATED: {"address": {"city": "Bern"}},
    }
    fields = {"order_id": "o-1", **needed.get(event_type, {})}
    message = encode_message(event_type, fields, encoding=encoding, event_id="e-7", time=NOON)
    own_id = (
        None
        if encoding is Encoding.BARE
        else ASKING.read(record(message.value, message.headers, topic=event_type.value)).event.event_id
    )
    added = signature_header(DESK, message.value, event_type, "o-1", event_id=own_id or "e-8")
    read = ASKING.read(record(message.value, (*message.headers, *added), topic=event_type.value))
    assert (read.event.event_id, read.event.occurred_at) == (own_id or "e-8", NOON)
    assert read.event.verified_by == "signature:desk-1"


def test_what_the_record_does_not_say_itself_counts_from_the_signature() -> None:
    """So a person signs what a person types, and a copy of the record is the same event, whenever it comes."""
    read = REQUIRING.read(signed(event_id="e-1", occurred_at=NOON - timedelta(hours=1)))
    later = replace(signed(event_id="e-1", occurred_at=NOON - timedelta(hours=1)), offset=99, timestamp_ms=SENT_MS + 9)
    assert (read.event.event_id, read.event.occurred_at) == ("e-1", NOON - timedelta(hours=1))
    assert REQUIRING.read(later).event == read.event


def test_an_unsigned_record_counts_where_no_signature_is_required_and_says_that_nobody_checked() -> None:
    for mapping, of in ((ASKING, record()), (REQUIRING, record(b'{"order_id": "o-1"}', topic="order.cancelled"))):
        assert mapping.read(of).event.verified_by is None


def test_without_keys_a_signature_is_a_header_like_any_other() -> None:
    unasked = OrderMapping(ROUTES)
    assert unasked.read(signed(STRANGER)).event.verified_by is None
    assert unasked.read(signed(STRANGER)).event.event_id.startswith("order.approved:3:14:")


def test_nothing_in_a_record_can_say_that_it_was_checked() -> None:
    said = record(b'{"order_id": "o-1", "verified_by": "api"}', (("verified_by", b"api"),))
    read: DecodedRecord = ASKING.read(said)
    assert read.event.verified_by is None
    assert "verified_by" not in read.event.body


def test_the_signature_is_in_the_cause_of_what_is_published() -> None:
    named = REQUIRING.read(signed())
    cause = Cause.of(named.event, named.body)
    assert (cause.by, cause.verified_by) == ("ada", "signature:desk-1")
    nameless = REQUIRING.read(signed(SHOP, b'{"order_id": "o-1"}'))
    cause = Cause.of(nameless.event, nameless.body)
    assert (cause.by, cause.verified_by) == ("shop", "signature:shop"), "somebody decided: whoever has the key"
    unsigned = ASKING.read(record())
    assert Cause.of(unsigned.event, unsigned.body).verified_by is None
    api = InboundEvent(event_id="e-1", type=APPROVED.value, verified_by="api")
    assert (api.signed_with, Cause.of(api, None).by) == (None, None)


# What is not ----------------------------------------------------------------------------------------------------------


def test_a_type_that_must_be_signed_is_refused_without_a_signature() -> None:
    assert refusal(record()) is SignatureCode.MISSING


def test_a_signature_of_somebody_else_under_the_name_of_a_key_is_wrong() -> None:
    for mapping in (REQUIRING, ASKING):
        assert refusal(signed(STRANGER), mapping) is SignatureCode.WRONG
    assert refusal(signed(replace(SHOP, key_id="another"))) is SignatureCode.KEY_UNKNOWN


@pytest.mark.parametrize(
    ("of", "named"),
    [
        (signed(value=VALUE.replace(b"o-1", b"o-2")), "order_id"),
        (signed(type="order.cancelled"), "type"),
        (signed(event_id="e-2", value=b'{"order_id": "o-1", "event_id": "e-1"}'), "event_id"),
        (signed(value=b'{"order_id": "o-1", "occurred_at": "2026-01-01T00:00:01Z"}'), "occurred_at"),
        (signed(value_sha256="0" * 64), "value_sha256"),
        (replace(signed(), value=VALUE.replace(b"ada", b"eve")), "value_sha256"),
        (replace(signed(), value=VALUE + b" "), "value_sha256"),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_a_signature_is_good_for_its_own_event_only(of: Record, named: str) -> None:
    of = replace(of, key=None)
    assert refusal(of) is SignatureCode.OF_ANOTHER_EVENT
    with pytest.raises(RefusedError, match=f"changed since: {named} not as"):
        REQUIRING.read(of)


def test_attributes_in_headers_are_held_by_the_signature() -> None:
    message = encode_message(APPROVED, {"order_id": "o-1"}, encoding=Encoding.BINARY, event_id="e-7", time=NOON)
    own_id = ASKING.read(record(message.value, message.headers)).event.event_id
    added = signature_header(DESK, message.value, APPROVED, "o-1", event_id=own_id)
    for name, value in (("ce_id", b"e-8"), ("ce_source", b"/another"), ("ce_time", b"2026-01-01T00:00:01Z")):
        headers = tuple((one, value if one == name else was) for one, was in message.headers)
        assert headers != message.headers
        assert refusal(record(message.value, (*headers, *added))) is SignatureCode.OF_ANOTHER_EVENT


def test_a_key_signs_what_it_may_and_nothing_else() -> None:
    rights = {"desk-1": {APPROVED}}
    mapping = OrderMapping(ROUTES, signatures=Signatures(KEYS, rights=rights))
    assert mapping.read(signed()).event.signed_with == "desk-1"
    cancelled = signed(value=b'{"order_id": "o-1"}', event_type=EventType.ORDER_CANCELLED)
    assert refusal(cancelled, mapping) is SignatureCode.KEY_NOT_ALLOWED
    assert refusal(signed(SHOP), mapping) is SignatureCode.KEY_NOT_ALLOWED


@pytest.mark.parametrize("beyond", [timedelta(0), timedelta(seconds=1)])
def test_an_end_is_compared_with_the_record_s_own_time_so_that_no_outage_makes_it_late(beyond: timedelta) -> None:
    edge = LEEWAY + beyond
    late, early = signed(exp=(NOON - edge).timestamp()), signed(nbf=(NOON + edge).timestamp())
    timeless = replace(signed(exp=(NOON + edge).timestamp()), timestamp_ms=-1)
    assert refusal(timeless) is SignatureCode.OUT_OF_TIME
    for of in (late, early):
        if beyond:
            assert refusal(of) is SignatureCode.OUT_OF_TIME
        else:
            assert REQUIRING.read(of).event.verified_by == "signature:desk-1"
    assert refusal(signed(exp=0)) is SignatureCode.OUT_OF_TIME


HEADER = {"alg": "EdDSA", "kid": "desk-1", "typ": "order-event+jwt"}
CLAIMS = {
    "order_id": "o-1",
    "type": "order.approved",
    "event_id": "e-1",
    "occurred_at": "2026-01-01T00:00:00Z",
    "value_sha256": hashlib.sha256(VALUE).hexdigest(),
}
PUBLIC = KEYS["desk-1"].key.as_bytes()


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (None, SignatureCode.MALFORMED),
        (b"", SignatureCode.MALFORMED),
        (b"..", SignatureCode.MALFORMED),
        (b"\xff.\xff.\xff", SignatureCode.MALFORMED),
        (b"x" * (CHARS_MAX + 1), SignatureCode.MALFORMED),
        (forged(HEADER, CLAIMS), SignatureCode.WRONG),
        (forged({**HEADER, "alg": "none"}, CLAIMS), SignatureCode.MALFORMED),
        (forged({**HEADER, "alg": "HS256"}, CLAIMS, PUBLIC), SignatureCode.MALFORMED),
        (forged({**HEADER, "alg": "ES256"}, CLAIMS), SignatureCode.MALFORMED),
        (forged({**HEADER, "alg": ["EdDSA"]}, CLAIMS), SignatureCode.MALFORMED),
        (forged({**HEADER, "typ": "JWT"}, CLAIMS), SignatureCode.MALFORMED),
        (forged({**HEADER, "typ": None}, CLAIMS), SignatureCode.MALFORMED),
        (forged({**HEADER, "crit": ["exp"], "exp": 1}, CLAIMS), SignatureCode.MALFORMED),
        (forged({**HEADER, "crit": ["b64"], "b64": False}, CLAIMS), SignatureCode.MALFORMED),
        (forged({**HEADER, "kid": None}, CLAIMS), SignatureCode.KEY_UNKNOWN),
        (forged({**HEADER, "kid": ["desk-1"]}, CLAIMS), SignatureCode.KEY_UNKNOWN),
        (forged({**HEADER, "kid": "x" * 400}, CLAIMS), SignatureCode.MALFORMED),
        (forged(["alg", "kid"], CLAIMS), SignatureCode.MALFORMED),  # type: ignore[arg-type]
        (forged("alg", CLAIMS), SignatureCode.MALFORMED),  # type: ignore[arg-type]
    ],
)
def test_what_is_no_signature_of_ours_is_refused(text: bytes | None, code: SignatureCode) -> None:
    assert refusal(with_signature(text, record())) is code


@pytest.mark.parametrize("name", ["order_id", "type", "event_id", "occurred_at", "value_sha256"])
def test_a_signature_that_says_too_little_is_refused_and_the_claim_named(name: str) -> None:
    from joserfc import jwt  # noqa: PLC0415 - as a sender's own library makes one

    few = {key: value for key, value in CLAIMS.items() if key != name}
    text = jwt.encode({**HEADER, "alg": "Ed25519"}, few, DESK.key, algorithms=["Ed25519"]).encode()
    assert refusal(with_signature(text, record())) is SignatureCode.MALFORMED
    with pytest.raises(RefusedError, match=f"lacks the claim {name}"):
        REQUIRING.read(with_signature(text, record()))


def test_two_signatures_are_none() -> None:
    good = signed()
    assert refusal(replace(good, headers=good.headers * 2)) is SignatureCode.MALFORMED


# Properties -----------------------------------------------------------------------------------------------------------

BINARY = encode_message(APPROVED, {"order_id": "o-1"}, encoding=Encoding.BINARY, event_id="e-7", time=NOON)
WHOLE = record(
    BINARY.value,
    (
        *BINARY.headers,
        *signature_header(
            DESK,
            BINARY.value,
            APPROVED,
            "o-1",
            event_id=OrderMapping(ROUTES).read(record(BINARY.value, BINARY.headers)).event.event_id,
        ),
    ),
)


@given(
    at=st.integers(min_value=0, max_value=len(signature_of(WHOLE)) - 1), bits=st.integers(min_value=1, max_value=255)
)
def test_whatever_byte_of_a_signature_is_changed_it_is_refused(at: int, bits: int) -> None:
    text = bytearray(signature_of(WHOLE))
    text[at] ^= bits
    headers = tuple((name, bytes(text) if name == SIGNATURE_HEADER else value) for name, value in WHOLE.headers)
    refusal(replace(WHOLE, headers=headers))


@given(at=st.integers(min_value=0, max_value=len(BINARY.value) - 1), bits=st.integers(min_value=1, max_value=255))
def test_whatever_byte_of_the_value_is_changed_the_record_is_refused(at: int, bits: int) -> None:
    value = bytearray(BINARY.value)
    value[at] ^= bits
    with pytest.raises(RefusedError):
        REQUIRING.read(replace(WHOLE, value=bytes(value)))


@given(
    name=st.sampled_from([name for name, _ in BINARY.headers if name.startswith("ce_")]),
    put=st.binary(max_size=12) | st.none(),
)
def test_whatever_attribute_is_changed_or_taken_away_the_event_is_the_signed_one_or_refused(
    name: str, put: bytes | None
) -> None:
    headers = tuple((one, put if one == name else was) for one, was in WHOLE.headers if one != name or put is not None)
    was = REQUIRING.read(WHOLE)
    try:
        read = REQUIRING.read(replace(WHOLE, headers=headers))
    except RefusedError:
        return
    # A version or a type that is left out says nothing else.
    assert (read.event, read.order_id, read.event_type) == (was.event, was.order_id, was.event_type)


@given(text=st.binary(max_size=200) | st.text(alphabet="eyJhbGciOi._-=", max_size=200).map(str.encode))
def test_no_stranger_s_bytes_are_a_signature(text: bytes) -> None:
    refusal(with_signature(text, record()))


def test_a_registry_of_one_algorithm_has_no_other() -> None:
    registry = OneAlgorithm("ES256")
    assert registry.get_alg("ES256").name == "ES256"
    with pytest.raises(UnsupportedAlgorithmError):
        registry.get_alg("HS256")
