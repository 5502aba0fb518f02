"""Signatures by which whoever has the key knows its own dead letters and replays from those of anybody else. Pure."""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from bridge.record import Header, Record


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key, and the name by which signatures say which one they need."""

    key_id: str
    key: bytes = field(repr=False)


class Signed(StrEnum):
    """What a signature says."""

    VALID = "valid"
    """Somebody with the key wrote all of it."""
    ABSENT = "absent"
    UNKNOWN_KEY = "unknown key"
    """It was made with a key that is not at hand, so nobody knows."""
    WRONG = "wrong"
    """Whoever wrote it has no key, or somebody changed what was signed."""


class Signer:
    """Makes signatures, which are ``id:hex`` of HMAC-SHA-256, and checks them.

    Args:
        keys: the first signs, all check: a new key is put before the others.
    """

    def __init__(self, keys: Sequence[SigningKey]) -> None:
        self._signing = keys[0]
        self._keys = {one.key_id: one.key for one in keys}

    def signature_of(self, kind: bytes, key: bytes | None, value: bytes | None, headers: Sequence[Header]) -> bytes:
        """The value of a signature's header.

        Args:
            kind: what is signed, so that no signature counts as one of another kind.
            key: the record's.
            value: the record's.
            headers: the record's, in their order, without the signature.
        """
        with_key = self._signing
        return f"{with_key.key_id}:{_digest(with_key.key, kind, key, value, headers)}".encode()

    def check(self, kind: bytes, record: Record, name: str) -> Signed:
        """What a record's signature says.

        Args:
            kind: what was signed.
            record: that has it.
            name: of the signature's header; it signs all others.
        """
        found = [value or b"" for header, value in record.headers if header == name]
        if not found:
            return Signed.ABSENT
        key_id, _, given = found[0].decode("utf-8", "replace").rpartition(":")
        key = self._keys.get(key_id)
        if key is None:
            return Signed.UNKNOWN_KEY
        others = [header for header in record.headers if header[0] != name]
        made = _digest(key, kind, record.key, record.value, others)
        is_one = len(found) == 1 and hmac.compare_digest(made.encode(), given.encode("utf-8", "replace"))
        return Signed.VALID if is_one else Signed.WRONG


def _digest(secret: bytes, kind: bytes, key: bytes | None, value: bytes | None, headers: Sequence[Header]) -> str:
    made = hmac.new(secret, digestmod=hashlib.sha256)
    of_headers = (part for name, value in headers for part in (name.encode("utf-8", "surrogatepass"), value))
    for part in (kind, key, value, *of_headers):
        # With its length, so that no byte counts for one part once and for another the next time.
        made.update(b"-" if part is None else b"%d:" % len(part) + part)
    return made.hexdigest()
