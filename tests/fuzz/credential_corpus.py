"""Hostile signatures, tokens, files of keys, cookies and payloads: as they were sent to others, or could be to us."""

import base64
import json
from collections.abc import Callable, Iterator
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa, x448, x25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from google.protobuf import json_format
from temporalio.api.common.v1 import Payload, Payloads

from orders.signatures.signature import SIGNATURE_TYPE
from tests.fuzz.credentials import CLAIMS, TOKEN_CLAIMS
from tests.helpers.messages.hostile import HOSTILE_TEXTS

_HEADER: Final = {"alg": "EdDSA", "kid": "k", "typ": SIGNATURE_TYPE}


def _written(content: bytes) -> bytes:
    return base64.urlsafe_b64encode(content).rstrip(b"=")


def tokens(claims: dict[str, Any], kind: str) -> dict[str, bytes]:
    """Texts that are sent as a token of a kind, none of which anybody has signed.

    Args:
        claims: what a good one would say.
        kind: its ``typ``.
    """
    header, good = _HEADER | {"typ": kind}, json.dumps(claims).encode()

    def unsigned(head: Any, body: bytes = good, mark: bytes = b"") -> bytes:
        raw = head if isinstance(head, bytes) else json.dumps(head).encode()
        return b".".join([_written(raw), _written(body), mark])

    whole = unsigned(header, mark=_written(bytes(64)))
    texts = {
        "none": unsigned(header | {"alg": "none"}),
        "None": unsigned(header | {"alg": "nOnE"}),
        "no alg": unsigned({"kid": "k", "typ": kind}),
        "alg of an object": unsigned(header | {"alg": {"EdDSA": 1}}),
        "a symmetric one": unsigned(header | {"alg": "HS256"}, mark=_written(bytes(32))),
        "a signature of zeros": whole,
        "a header twice": unsigned(b'{"alg":"EdDSA","alg":"none","kid":"k","typ":"%s"}' % kind.encode()),
        "a claim twice": unsigned(header, good[:-1] + b',"order_id":"o-2","aud":"other"}', _written(bytes(64))),
        "crit": unsigned(header | {"crit": ["exp"], "exp": 1}),
        "crit of nothing": unsigned(header | {"crit": []}),
        "crit that is no list": unsigned(header | {"crit": "b64", "b64": False}),
        "a key that it brings along": unsigned(header | {"jwk": {"kty": "OKP", "crv": "Ed25519", "x": "AA"}}),
        "an address of keys": unsigned(header | {"jku": "http://169.254.169.254/", "x5u": "file:///etc/passwd"}),
        "a path as its key": unsigned(header | {"kid": "../../../dev/null"}),
        "a key's id of a statement": unsigned(header | {"kid": "k' OR '1'='1"}),
        "a token in a token": unsigned(header | {"cty": "JWT"}, whole),
        "compressed": unsigned(header | {"zip": "DEF"}, bytes(100)),
        "an encrypted one": b".".join([_written(json.dumps(header | {"enc": "A128GCM"}).encode()), b"", b"", b"", b""]),
        "in JSON": json.dumps({"payload": _written(good).decode(), "signatures": [{"protected": "e30"}]}).encode(),
        "deep": unsigned(b"[" * 300),
        "deeper": unsigned(b"[" * 100_000),
        "deep claims": unsigned(header, b'{"a":' * 50_000),
        "of a megabyte": unsigned(header, b" " * (1 << 20)),
        "a million dots": b"." * 1_000_000,
        "four parts": whole + b".",
        "standard base64": whole.replace(b"-", b"+").replace(b"_", b"/") + b"==",
        "blanks in it": b" " + whole.replace(b".", b" . ") + b"\n",
        "NUL": whole.replace(b".", b"\x00.", 1),
        "no UTF-8": unsigned(b"\xff\xfe{}"),
        "UTF-16": unsigned(json.dumps(header).encode("utf-16")),
        "a byte-order mark": unsigned(b"\xef\xbb\xbf" + json.dumps(header).encode()),
        "a number of many digits": unsigned(header, b'{"exp":' + b"9" * 5_000 + b"}"),
        "infinity": unsigned(header, b'{"exp":Infinity,"nbf":-Infinity,"order_id":NaN}'),
        "not an object": unsigned(header, b"[]"),
        "not an object either": unsigned(b"null"),
    }
    for number, text in enumerate(HOSTILE_TEXTS):
        texts[f"hostile text {number}"] = unsigned(header | {"kid": text, text: text})
    return texts


def key_files() -> dict[str, bytes]:
    """What stands where a set of public keys is looked for."""
    curves = {"P-256": ec.SECP256R1(), "secp256k1": ec.SECP256K1(), "brainpool": ec.BrainpoolP256R1()}
    good = {"kty": "OKP", "crv": "Ed25519", "x": _written(bytes(range(32))).decode(), "kid": "k"}
    entries: dict[str, list[Any]] = {
        "good": [good],
        "one id twice": [good, good],
        "no id": [{**good, "kid": None}],
        "an id of control characters": [{**good, "kid": "\x1b[2J"}],
        "private": [{**good, "d": good["x"]}],
        "symmetric": [{"kty": "oct", "kid": "k", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQ"}],
        "a point of zeros": [{**good, "x": _written(bytes(32)).decode()}],
        "a point that is short": [{**good, "x": "AA"}],
        "a point of text": [{**good, "x": 7}],
        "a point beside the curve": [{"kty": "EC", "crv": "P-256", "kid": "k", "x": good["x"], "y": good["x"]}],
        "a curve for agreeing": [{**good, "crv": "X25519"}],
        "a curve of no name": [{**good, "crv": "P-1"}],
        "RSA of few bits": [{"kty": "RSA", "kid": "k", "n": "AQAB", "e": "AQAB"}],
        "RSA of exponent 1": [{"kty": "RSA", "kid": "k", "n": _written(b"\xff" * 256).decode(), "e": "AQ"}],
        "RSA of an even modulus": [{"kty": "RSA", "kid": "k", "n": _written(b"\xfe" * 256).decode(), "e": "AQAB"}],
        "RSA of a huge exponent": [{"kty": "RSA", "kid": "k", "n": _written(b"\xff" * 256).decode(), "e": "_" * 400}],
        "use that is no text": [{**good, "use": ["sig"]}],
        "alg none": [{**good, "alg": "none"}],
        "alg of another kind": [{**good, "alg": "HS256"}],
        "not for signatures": [{**good, "key_ops": ["encrypt"]}],
        "a set in a set": [{"keys": [good]}],
        "a hundred": [{**good, "kid": f"k{number}"} for number in range(100)],
    }
    files = {name: json.dumps({"keys": keys}).encode() for name, keys in entries.items()}
    files |= {
        "deep": b'{"keys":' + b"[" * 50_000,
        "keys twice": b'{"keys":[],"keys":[7]}',
        "UTF-16": "{}".encode("utf-16"),
    }
    pairs: dict[str, Any] = {
        **{name: ec.generate_private_key(curve) for name, curve in curves.items()},
        "RSA": rsa.generate_private_key(public_exponent=65_537, key_size=2_048),
        "weak RSA": rsa.generate_private_key(public_exponent=65_537, key_size=1_024),  # noqa: S505 -- is refused
        "Ed25519": ed25519.Ed25519PrivateKey.generate(),
        "Ed448": ed448.Ed448PrivateKey.generate(),
        "X25519": x25519.X25519PrivateKey.generate(),
        "X448": x448.X448PrivateKey.generate(),
    }
    for name, pair in pairs.items():
        files[f"PEM of {name}"] = pair.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        files[f"private PEM of {name}"] = pair.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    pem = files["PEM of RSA"]
    return files | {"two PEM": pem + pem, "PEM cut off": pem[:200], "PEM of dashes": b"-" * 50_000}


def cookies() -> dict[str, bytes]:
    """What stands in a cookie or beside ``Bearer``."""
    members = {"state": "s", "nonce": "n", "verifier": "v", "go_on": "/console"}
    return {
        "good": json.dumps(members).encode(),
        "deep": b"[" * 2_900,
        "deep in a member": b'{"state":' * 300 + b"1" + b"}" * 300,
        "no texts": json.dumps(dict.fromkeys(members, 7)).encode(),
        "more": json.dumps(members | {"role": "operator", "__class__": "x"}).encode(),
        "a number of many digits": b"9" * 2_900,
        "a key with a NUL": b"ord_0123456789_" + b"0" * 48 + b"\x00",
        "a key with a line break": b"ord_0123456789_" + b"0" * 49 + b"\n",
        "digits of another script": "ord_\u0661123456789_".encode() + b"0" * 49,
        "a long key": b"ord_" + b"0" * 100_000,
    } | {f"hostile text {number}": text.encode() for number, text in enumerate(HOSTILE_TEXTS)}


def payload_bodies() -> dict[str, bytes]:
    """What is sent to be decrypted."""
    one = json_format.MessageToDict(Payload(metadata={"encoding": b"binary/encrypted"}, data=bytes(28)))
    return {
        "good": json_format.MessageToJson(Payloads(payloads=[Payload(data=b"1")])).encode(),
        "an encrypted one": json.dumps({"payloads": [one]}).encode(),
        "many that cannot be read": json.dumps({"payloads": [one] * 500}).encode(),
        "a million of empty ones": b'{"payloads":[' + b"{}," * 1_000_000 + b"{}]}",
        "deep": b'{"payloads":' + b"[" * 100_000,
        "deep objects": b'{"payloads":' * 20_000,
        "null": b'{"payloads":[null]}',
        "no base64": b'{"payloads":[{"data":"!"}]}',
        "a number of many digits": b'{"payloads":[{"data":' + b"9" * 10_000 + b"}]}",
        "a name twice": b'{"payloads":[],"payloads":[{}]}',
        "lone surrogates": b'{"payloads":[{"metadata":{"\\ud800":"QQ=="}}]}',
        "not UTF-8": b'{"payloads":"\xff"}',
        "UTF-16": '{"payloads":[]}'.encode("utf-16"),
    }


def _signatures() -> Iterator[bytes]:
    yield b"\x03\x00\x00\x00\x00\x00" + json.dumps(CLAIMS).encode()
    yield from (b"\x00" + text for text in tokens(CLAIMS, SIGNATURE_TYPE).values())


def _tokens() -> Iterator[bytes]:
    yield b"\x03\x00\x00\x01\x00\x00" + json.dumps(TOKEN_CLAIMS).encode()
    yield from (b"\x00" + text for text in tokens(TOKEN_CLAIMS, "at+jwt").values())


def _keys() -> Iterator[bytes]:
    for name, content in key_files().items():
        yield (b"\x01" if "PEM" in name else b"\x00") + content


def _payloads() -> Iterator[bytes]:
    yield from (b"\x00" + body for body in payload_bodies().values())
    yield b"\x01\x01\x02\x0eorders/order:2"
    yield b"\x01\x00\x05changed"


CREDENTIALS: Final[dict[str, Callable[[], Iterator[bytes]]]] = {
    "signature": _signatures,
    "token": _tokens,
    "keys": _keys,
    "cookie": lambda: iter(cookies().values()),
    "payloads": _payloads,
}
"""What a fuzzer of each of these targets begins with, and what the suite gives to it."""
