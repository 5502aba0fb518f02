"""Keys and signatures for tests: made here, and put where an installation would have them."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from joserfc.jwk import ECKey, JWKRegistry, OKPKey, RSAKey

from bridge import Header
from orders.signatures.keys import NamedKey
from orders.signatures.signature import SIGNATURE_HEADER, Claims, sign, value_digest
from schemas.event_types import EventType

NOON = datetime(2026, 1, 1, tzinfo=UTC)


class KnownKeys(dict[str, NamedKey]):
    """Keys at hand."""

    def find(self, key_id: str) -> NamedKey | None:
        """The key of an id."""
        return self.get(key_id)


def signing_key(key_id: str, kind: str = "Ed25519") -> NamedKey:
    """A new private key of a kind: its algorithm for Edwards and elliptic curves, or for RSA."""
    if kind == "Ed25519":
        return NamedKey(key_id, OKPKey.import_key(ed25519.Ed25519PrivateKey.generate()), ("Ed25519", "EdDSA"))
    if kind == "ES256":
        return NamedKey(key_id, ECKey.import_key(ec.generate_private_key(ec.SECP256R1())), (kind,))
    key = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    return NamedKey(key_id, RSAKey.import_key(key), (kind,))


def public_of(key: NamedKey) -> NamedKey:
    """Its public part, as those have it who check."""
    return NamedKey(key.key_id, JWKRegistry.import_key(public_jwk(key)), key.algorithms)  # type: ignore[arg-type]


def public_jwk(key: NamedKey) -> dict[str, Any]:
    """Its public part, as a JWKS has it."""
    return {**key.key.as_dict(private=False), "kid": key.key_id}


def write_key_set(path: Path, *keys: NamedKey) -> None:
    """Puts the public parts into a JWKS file, at once, as one that is renewed should be."""
    new = path.with_name(f"{path.name}.new")
    new.write_text(json.dumps({"keys": [public_jwk(key) for key in keys]}))
    new.replace(path)


def write_private(path: Path, key: NamedKey) -> Path:
    """Puts the private key into a PEM file, as its owner has it."""
    path.write_bytes(key.key.as_pem(private=True))
    return path


def write_public(path: Path, key: NamedKey) -> Path:
    """Puts the public key into a PEM file."""
    path.write_bytes(key.key.as_pem(private=False))
    return path


def claims_of(value: bytes, event_type: EventType, order_id: str, **changes: Any) -> Claims:
    """What a signature of this value says, but for the changes."""
    said: Mapping[str, Any] = {
        "order_id": order_id,
        "type": event_type.value,
        "event_id": f"e-{order_id}",
        "occurred_at": NOON,
        "value_sha256": value_digest(value),
    }
    return Claims.model_validate({**said, **changes})


def signature_header(
    key: NamedKey, value: bytes, event_type: EventType, order_id: str, **changes: Any
) -> tuple[Header, ...]:
    """The header of a signature; the changes are of what it says."""
    return ((SIGNATURE_HEADER, sign(claims_of(value, event_type, order_id, **changes), key)),)
