"""How the events of an order's journal are chained, so that a later change of one can be seen. Pure.

Each event carries a **link**: a SHA-256 that covers the link of the event before it and all that the event says. So an
event cannot be changed, taken out or put in without every link behind it being wrong. The link does not cover the
published bytes themselves but their salted digest, beside the event without what is about a person. So `orders forget`
can erase that, and the salt with it (an address has few forms: without a salt it could be tried out), and the rest of
the event is held by its link as before.

    payload digest = SHA-256(salt + published bytes)
    entry          = SHA-256(payload digest + SHA-256(kept form) + trace)
    link           = SHA-256(link of the event before + entry); for the first event, and behind one without: (entry)

The formulas stand in docs/security.md too, so that anybody can verify with a tool of their own.
"""

import hashlib
import json
import secrets
from dataclasses import dataclass
from typing import Any, Final

SALT_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class Sealed:
    """What is recorded beside an event; the database makes the link of it."""

    salt: bytes
    payload_digest: bytes
    entry: bytes


def sealed(payload: str, traceparent: str | None) -> Sealed:
    """An event's part of the chain, with a new salt.

    Args:
        payload: its published bytes.
        traceparent: its trace, as it is published.
    """
    salt = secrets.token_bytes(SALT_BYTES)
    digest = payload_digest(salt, payload)
    return Sealed(salt, digest, entry(digest, payload, traceparent))


def payload_digest(salt: bytes, payload: str) -> bytes:
    """Stands for the published bytes in the chain, also when what is about a person is erased from them."""
    return hashlib.sha256(salt + _bytes(payload)).digest()


def entry(digest: bytes, payload: str, traceparent: str | None) -> bytes:
    """All that one event says, without the events before it.

    Args:
        digest: of the bytes that were published.
        payload: the event as it is now: with what is about a person, or without.
        traceparent: its trace.
    """
    return hashlib.sha256(digest + hashlib.sha256(kept_form(payload)).digest() + _bytes(traceparent or "")).digest()


def link(before: bytes | None, event_entry: bytes) -> bytes:
    """The link of an event.

    Args:
        before: that of the one before; None for the first one, and where the one before has none.
        event_entry: `entry` of the event.
    """
    return hashlib.sha256((before or b"") + event_entry).digest()


def kept_form(payload: str) -> bytes:
    """What stays of an event when a person is forgotten: the same before and after, to the byte.

    Nulls and what is empty are left out, so that neither erasing nor a field that a later version writes as null or
    empty changes it; names are sorted. `activities.personal_data` says what of an event is about a person.
    """
    event = _without_person(json.loads(payload))
    return _bytes(json.dumps(_without_empty(event), sort_keys=True, separators=(",", ":"), ensure_ascii=False))


def is_without_person(payload: str) -> bool:
    """Whether nothing about a person is in the event."""
    event = json.loads(payload)
    return bool(_without_empty(event) == _without_empty(_without_person(event)))


def _without_person(event: dict[str, Any]) -> dict[str, Any]:
    cause = event.get("cause")
    kept = {name: value for name, value in event.items() if name not in ("tracking_id", "address")}
    if cause:
        kept["cause"] = {name: value for name, value in cause.items() if name not in ("by", "note")}
    kept["adjustments"] = [{**one, "description": None} for one in event.get("adjustments", ())]
    return kept


def _without_empty(value: Any) -> Any:
    if isinstance(value, dict):
        items = ((name, _without_empty(one)) for name, one in value.items())
        return {name: one for name, one in items if one not in (None, {}, [])}
    if isinstance(value, list):
        return [_without_empty(one) for one in value]
    return value


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
