"""A record's signature: a signed JWT (RFC 7519) in a header, which says which event the record is, and of which value.

So it cannot be lifted to another record: it names the order, the type, the id and the time of one event, and the digest
of one value. CloudEvents' own draft of verifiable events (its DSSE extension of 2026) covers CloudEvents only, has no
end, and no library of its own; a JWT is made by a library of every language.
"""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, Final, Protocol

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jws import extract_compact
from pydantic import Field, ValidationError

from bridge import Record, Refusal, RefusedError, Stage
from orders.signatures.algorithm import OneAlgorithm
from orders.signatures.contents import Said, Signed
from orders.signatures.keys import NamedKey
from schemas.base import EventId, Identifier, Model, Timestamp
from schemas.event_types import EventType

SIGNATURE_HEADER: Final = "order_signature"
"""The record's header that holds the signature."""
SIGNATURE_TYPE: Final = "order-event+jwt"
"""The JWT's ``typ`` (RFC 8725, section 3.11): no token that a key was used for otherwise counts as a signature."""
CHARS_MAX: Final = 8 * 1024
"""Longest signature that is looked at: an event id of 2 KiB and RSA of 4,096 bits have room."""
LEEWAY: Final = timedelta(minutes=1)
"""How far the signer's clock may differ from the clock that gave the record its time."""

_NumericDate = Annotated[float, Field(allow_inf_nan=False)]


class SignatureCode(StrEnum):
    """Why a record is refused for its signature."""

    MISSING = "signature_missing"
    MALFORMED = "signature_malformed"
    KEY_UNKNOWN = "signature_key_unknown"
    WRONG = "signature_wrong"
    KEY_NOT_ALLOWED = "signature_key_not_allowed"
    OF_ANOTHER_EVENT = "signature_of_another_event"
    OUT_OF_TIME = "signature_out_of_time"


class Claims(Model):
    """What a signature says: which event its record is."""

    order_id: Identifier
    type: str
    """An `EventType`."""
    event_id: EventId
    """As the bridge has it: of a CloudEvent ``source|id``, else the body's `event_id`."""
    occurred_at: Timestamp
    """When it happened."""
    value_sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    """Digest of the record's value, to the byte, in hexadecimal digits."""
    exp: _NumericDate | None = None
    """Until when the record must have been sent, in seconds since 1970; None for no end."""
    nbf: _NumericDate | None = None
    """Before when it must not have been sent; None for no beginning."""


class Keys(Protocol):
    """Finds a key by its id."""

    def find(self, key_id: str) -> NamedKey | None:
        """The key; None where there is none of this id."""
        ...


def value_digest(value: bytes | None) -> str:
    """The digest of a record's value, as a signature has it."""
    return hashlib.sha256(value or b"").hexdigest()


def sign(claims: Claims, key: NamedKey) -> bytes:
    """The signature of an event, for the header `SIGNATURE_HEADER`.

    Args:
        claims: which event it is.
        key: a private one.
    """
    algorithm = key.algorithms[0]
    header = {"alg": algorithm, "kid": key.key_id, "typ": SIGNATURE_TYPE}
    said = claims.model_dump(mode="json", exclude_none=True)
    return jwt.encode(header, said, key.key, registry=OneAlgorithm(algorithm), default_type=None).encode("ascii")


@dataclass(frozen=True, slots=True)
class Signatures:
    """Checks the signatures of records.

    A signature that is there is right, or its record is refused, whether one is needed or not.

    Args:
        keys: those that may have signed.
        required: types of events that are refused without a signature.
        rights: the types that each key may sign, by its id; a key that is not there may sign none. None: all may sign
            all.
    """

    keys: Keys
    required: Collection[EventType] = frozenset()
    rights: Mapping[str, Collection[EventType]] | None = None

    def check(self, record: Record, said: Said) -> Signed | None:
        """Who vouches for a record; None where nobody does, and nobody has to.

        Pure but for the keys: while these are the same, the same record has the same answer. So an end is compared with
        the record's own time, and not with a clock: an outage of ours makes no signature late.

        Args:
            record: as it was delivered.
            said: what is read of it.

        Raises:
            RefusedError: It has no signature and needs one, or it has one that is not good for it.
        """
        found = [value or b"" for name, value in record.headers if name == SIGNATURE_HEADER]
        if not found:
            if said.event_type in self.required:
                raise _refused(
                    SignatureCode.MISSING,
                    f"has no header {SIGNATURE_HEADER}, and {said.event_type.value} counts with a signature only "
                    "(ORDER_SIGNATURES_REQUIRED): sign it",
                )
            return None
        if len(found) > 1 or len(found[0]) > CHARS_MAX:
            raise _malformed(f"is there more than once, or has more than {CHARS_MAX} characters")
        key, claims = self._verified(found[0])
        if self.rights is not None and said.event_type not in self.rights.get(key.key_id, ()):
            raise _refused(
                SignatureCode.KEY_NOT_ALLOWED,
                f"is signed with a key that may not sign {said.event_type.value} (ORDER_SIGNATURE_RIGHTS): sign with "
                "one that may, or allow it to this one",
            )
        _check_event(claims, record, said)
        _check_time(claims, record.produced_at)
        return Signed(key.key_id, claims.event_id, claims.occurred_at)

    def _verified(self, text: bytes) -> tuple[NamedKey, Claims]:
        """Whose signature it is, and what it says."""
        header = _header_of(text)
        key_id, algorithm = header.get("kid"), header["alg"]
        key = self.keys.find(key_id) if isinstance(key_id, str) else None
        if key is None:
            raise _refused(
                SignatureCode.KEY_UNKNOWN,
                "has a signature whose kid is none of ORDER_SIGNATURE_KEYS: sign with a key that is there, or put its "
                "public part there and replay",
            )
        if algorithm not in key.algorithms:
            raise _malformed(f"has an alg that is not its key's: {' or '.join(key.algorithms)}")
        try:
            claims = jwt.decode(text, key.key, registry=OneAlgorithm(algorithm)).claims
        except (JoseError, ValueError, TypeError, RecursionError):
            raise _refused(
                SignatureCode.WRONG,
                "has a signature that the key of its kid did not make, or that was changed: sign with the private key "
                "that belongs to the public one here",
            ) from None
        try:
            return key, Claims.model_validate(claims)
        except ValidationError as error:
            where = ".".join(map(str, error.errors(include_url=False, include_input=False)[0]["loc"]))
            raise _malformed(
                f"lacks the claim {where}, or has it in another form" if where else "has no claims"
            ) from None


def _header_of(text: bytes) -> dict[str, Any]:
    """The signature's own header, which nobody has vouched for yet."""
    try:
        header = dict(extract_compact(text).headers())
    except (JoseError, ValueError, TypeError, RecursionError):
        raise _malformed("is no signed JWT in compact form") from None
    kind = header.get("typ")
    if not isinstance(kind, str) or kind.lower().removeprefix("application/") != SIGNATURE_TYPE:
        raise _malformed(f"has another typ than {SIGNATURE_TYPE}")
    if not header.keys().isdisjoint(("crit", "b64")):
        raise _malformed("has crit or b64, which are not read here")
    return header


def _check_event(claims: Claims, record: Record, said: Said) -> None:
    compared = {
        "order_id": claims.order_id == said.order_id,
        "type": claims.type == said.event_type.value,
        "event_id": said.event_id in (None, claims.event_id),
        "occurred_at": said.occurred_at in (None, claims.occurred_at),
        "value_sha256": claims.value_sha256 == value_digest(record.value),
    }
    others = [name for name, same in compared.items() if not same]
    if others:
        raise _refused(
            SignatureCode.OF_ANOTHER_EVENT,
            f"has the signature of another event, or was changed since: {', '.join(others)} not as the record has it; "
            "sign what is sent, and send it to the byte",
        )


def _check_time(claims: Claims, produced_at: datetime | None) -> None:
    if claims.exp is None and claims.nbf is None:
        return
    leeway = LEEWAY.total_seconds()
    sent = None if produced_at is None else produced_at.timestamp()
    if (
        sent is None
        or (claims.exp is not None and sent > claims.exp + leeway)
        or (claims.nbf is not None and sent < claims.nbf - leeway)
    ):
        raise _refused(
            SignatureCode.OUT_OF_TIME,
            "was sent after its signature's exp, or before its nbf, by the record's own time: sign it anew, and send "
            "it within that time",
        )


def _malformed(what: str) -> RefusedError:
    return _refused(SignatureCode.MALFORMED, f"has a header {SIGNATURE_HEADER} that {what}: sign it again")


def _refused(code: SignatureCode, what: str) -> RefusedError:
    return RefusedError(Refusal(Stage.ENVELOPE, code, f"the record {what}"))
