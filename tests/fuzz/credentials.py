"""Where somebody shows who they are, or asks for what is encrypted: signatures, tokens, keys, cookies, payloads."""

import base64
import json
import tempfile
import time
from collections.abc import Coroutine, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from joserfc.jwk import Key, OKPKey
from structlog.testing import capture_logs
from temporalio.api.common.v1 import Payload

from bridge import Header, Record, RefusedError
from orders.clients.payload_codec import PLACE_FIELD, AesGcmCodec
from orders.operations.key_text import MalformedKeyError, parse_key_text
from orders.settings.codec_keys import CodecKey
from orders.signatures.contents import Said
from orders.signatures.keys import KeysError, NamedKey, is_key_id, read_public_keys
from orders.signatures.signature import SIGNATURE_HEADER, SIGNATURE_TYPE, SignatureCode, Signatures, value_digest
from orders.web.codec import decoded
from orders.web.identity.code_flow import UnderWay
from orders.web.identity.tokens import Expected, TokenError, read_token
from orders.web.problems import Problem
from schemas.event_types import EventType
from tests.fuzz.taken import Taken
from tests.helpers.messages.hostile import obeyed
from tests.helpers.messages.signing import KnownKeys
from workflows.converter import ENCRYPTED, UnreadablePayloadError

VALUE: Final = b'{"order_id": "o-1", "approved_by": "ada"}'
SAID: Final = Said("o-1", EventType.ORDER_APPROVED, None, None)
CLAIMS: Final = {
    "order_id": "o-1",
    "type": "order.approved",
    "event_id": "e-1",
    "occurred_at": "2026-01-01T00:00:00Z",
    "value_sha256": value_digest(VALUE),
}
"""Of a signature that is good for `VALUE`."""
TOKEN_CLAIMS: Final = {"iss": "https://id.example", "aud": "orders", "sub": "ada", "exp": 4_102_444_800}
_ALGORITHMS: Final = ("EdDSA", "Ed25519", "none", "HS256", "RS256", "ES256", "", "eddsa")
_TYPES: Final = (SIGNATURE_TYPE, "at+jwt", "JWT", "application/order-event+jwt", "")
_RAW: Final = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
_PUBLIC: Final = OKPKey.import_key(_RAW.public_key())
_SIGNATURES: Final = Signatures(KnownKeys({"k": NamedKey("k", _PUBLIC, ("Ed25519", "EdDSA"))}))
_CODEC: Final = AesGcmCodec([CodecKey("k", b"k" * 32)])
_EXPECTED: Final = Expected("https://id.example", "orders", ("EdDSA", "Ed25519"), ("at+jwt",), 30)
_RSA_BITS_MIN: Final = 2_048
_LOGGED_MAX: Final = 11


def _written(content: bytes) -> bytes:
    return base64.urlsafe_b64encode(content).rstrip(b"=")


def _signed(header: bytes, claims: bytes) -> bytes:
    """What whoever has the key may send, whatever it says."""
    text = _written(header) + b"." + _written(claims)
    return text + b"." + _written(_RAW.sign(text))


def _drawn_token(taken: Taken) -> tuple[bytes, bytes | None]:
    """A token, and what it claims where the key made it."""
    kind = taken.number(4)
    if kind == 0:
        return taken.rest(), None
    if kind == 1:
        parts = [_written(taken.part() or b"") for _ in range(1 + taken.number(5))]
        return b".".join([*parts, taken.rest()]), None
    if kind == 2:
        header = taken.part() or b""
        claims = taken.rest()
        return _signed(header, claims), claims
    header_members = {
        "alg": _ALGORITHMS[taken.number(len(_ALGORITHMS))],
        "kid": ("k", "other", None, ["k"])[taken.number(4)],
        "typ": _TYPES[taken.number(len(_TYPES))],
        **({"crit": ["exp"]} if taken.number(8) == 1 else {}),
        **({"b64": False} if taken.number(8) == 1 else {}),
    }
    claims = taken.rest()
    return _signed(json.dumps(header_members).encode(), claims), claims


def check_signature(data: bytes) -> None:
    """A record's signature: refused with a reason, or the key has made it for this very record."""
    taken = Taken(data)
    text, claims = _drawn_token(taken)
    headers: tuple[Header, ...] = ((SIGNATURE_HEADER, text),)
    record = Record("order.approved", 0, 7, 1_790_000_000_000, b"o-1", VALUE, headers)
    try:
        signed = _SIGNATURES.check(record, SAID)
    except RefusedError as error:
        SignatureCode(error.refusal.code)
        _check_said(error.refusal.message)
        return
    assert signed is not None, "a signature that is there is not passed over"
    assert claims is not None, "a signature was believed that the key has not made"
    said = json.loads(claims)
    assert (said["order_id"], said["value_sha256"]) == ("o-1", CLAIMS["value_sha256"]), "it is of another record"


def check_token(data: bytes) -> None:
    """A token of the provider's, with which somebody asks the API."""
    text, claims = _drawn_token(Taken(data))
    try:
        found = _run(read_token(text.decode("latin-1"), _EXPECTED, _Provider()))  # type: ignore[arg-type]
    except TokenError as error:
        _check_said(str(error))
        return
    assert claims is not None, "a token was believed that the provider has not made"
    assert (found["iss"], found["exp"] > time.time()) == ("https://id.example", True)


class _Provider:
    """The provider's keys, at hand."""

    async def keys(self, _key_id: str | None) -> Sequence[Key]:
        return [_PUBLIC]


def _run(coroutine: Coroutine[Any, Any, dict[str, Any]]) -> dict[str, Any]:
    """The answer of what waits for nothing."""
    try:
        coroutine.send(None)
    except StopIteration as answer:
        return dict(answer.value)
    raise AssertionError("it waits")


@cache
def _folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="orders-fuzz-"))
    (folder / "keys").mkdir()
    return folder


def read_keys(data: bytes) -> None:
    """A file of public keys of any bytes: refused with a sentence, or each key can check and cannot sign."""
    taken = Taken(data)
    in_folder = taken.number(2) == 1
    path = _folder() / ("keys" if in_folder else "keys.json")
    (path / "k.pem" if in_folder else path).write_bytes(taken.rest())
    try:
        found = read_public_keys(path)
    except KeysError as error:
        _check_said(str(error))
        return
    for name, one in found.items():
        assert is_key_id(name)
        assert not one.key.is_private, "whoever checks could sign"
        size = getattr(one.key.public_key, "key_size", _RSA_BITS_MIN)
        assert "RS256" not in one.algorithms or size >= _RSA_BITS_MIN
        header = json.dumps({"alg": one.algorithms[0], "kid": name, "typ": SIGNATURE_TYPE}).encode()
        text = _signed(header, json.dumps(CLAIMS).encode())
        record = Record("order.approved", 0, 7, 1, None, VALUE, ((SIGNATURE_HEADER, text),))
        try:
            Signatures(KnownKeys(found)).check(record, SAID)
        except RefusedError:
            continue
        assert one.key.as_dict(private=False)["x"] == _PUBLIC.as_dict()["x"], "believed with another key"


def read_cookies(data: bytes) -> None:
    """A cookie, an API key: what a browser or a program sends is ours, or it is nothing."""
    for text in (data.decode("latin-1"), base64.urlsafe_b64encode(data).decode()):
        under_way = UnderWay.from_cookie(text)
        assert under_way is None or all(isinstance(one, str) for one in (under_way.state, under_way.nonce))
        try:
            parse_key_text(text)
        except MalformedKeyError as error:
            _check_said(str(error))


def open_payloads(data: bytes) -> None:
    """What Temporal's UI asks to have decrypted, and a payload that was changed: never more than the key has sealed."""
    taken = Taken(data)
    if taken.number(2) == 0:
        with capture_logs() as logs:
            try:
                json.loads(decoded(_CODEC, taken.rest(), "orders", "ada"))
            except Problem as problem:
                _check_said(str(problem))
        assert len(logs) <= _LOGGED_MAX, "a request fills the log"
        return
    sealed = _sealed()
    changed = Payload()
    changed.CopyFrom(sealed)
    for _ in range(taken.number(3)):
        name = ("encoding", "encryption-key-id", PLACE_FIELD, "more")[taken.number(4)]
        changed.metadata[name] = taken.part() or b""
    at = taken.number() % len(sealed.data)
    changed.data = sealed.data[:at] + taken.rest() + sealed.data[at:]
    try:
        opened = _CODEC.decode_in_place(changed, "orders")
    except UnreadablePayloadError as error:
        _check_said(str(error))
        return
    is_sealed = changed.metadata["encoding"] == ENCRYPTED.encode()
    assert not is_sealed or opened.data in (b'"hush"', b""), "opened, and not as it was sealed"
    assert is_sealed or opened == changed


@cache
def _sealed() -> Payload:
    bound = AesGcmCodec([CodecKey("k", b"k" * 32)])
    bound._place = "orders/order:o-1"
    (sealed,) = _run_list(bound.encode([Payload(metadata={"encoding": b"json/plain"}, data=b'"hush"')]))
    return sealed


def _run_list(coroutine: Coroutine[Any, Any, list[Payload]]) -> list[Payload]:
    try:
        coroutine.send(None)
    except StopIteration as answer:
        return list(answer.value)
    raise AssertionError("it waits")


def _check_said(message: str) -> None:
    assert 5 <= len(message) <= 500, message
    assert not obeyed(message), "a sentence holds what a terminal obeys"
