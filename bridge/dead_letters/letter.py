"""A dead letter as it is read back: the bridge's headers taken apart from the source record's. Pure."""

import hashlib
from dataclasses import dataclass
from typing import Final, Self

from bridge.dead_letters.headers import (
    HEADER_FORMAT_VERSION,
    POINTER_HEADER,
    PREFIX,
    SIGNATURE_HEADER,
    SIGNED_AS,
    name_at_source,
)
from bridge.dead_letters.replay_headers import (
    replay_count,
    replayed_identity,
    without_replay,
)
from bridge.dead_letters.signature import Signed, Signer
from bridge.record import Header, Record

FOREIGN: Final = "not_a_dead_letter"
"""Stands in the place of an error code where the record has not the bridge's headers."""

_DIGEST_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the record was that was set aside."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    fingerprint: str
    """Tells the record from another that has its offset, once the topic was made anew."""

    def __str__(self) -> str:
        return f"{self.topic}:{self.partition}:{self.offset}"

    @property
    def identity(self) -> str:
        """What names the record's event where its sender gave it no id."""
        return f"{self}:{self.fingerprint}"


@dataclass(frozen=True, slots=True)
class Letter:
    """One record of the dead-letter topic."""

    record: Record
    """As it stands there."""
    origin: Origin | None
    """None where the bridge's headers are missing or of another version: it can be shown, and not replayed."""
    stage: str
    error_code: str
    message: str
    attempts: str
    bridge_version: str
    is_pointer: bool
    """Whether the record itself was too large, and is still where it was."""

    @classmethod
    def from_record(cls, record: Record) -> Self:
        """Reads the headers that a bridge put on; docs/dead-letters.md lists them."""
        # The bridge renames every header of the source that begins as its own do, so each of these is its own.
        own = {name: (value or b"").decode("utf-8", "replace") for name, value in record.headers if _is_own(name)}
        origin = _origin(own)
        return cls(
            record=record,
            origin=origin,
            stage=own.get("dlq_stage", ""),
            error_code=own.get("dlq_error_code", FOREIGN) if origin else FOREIGN,
            message=own.get("dlq_message", "") if origin else "the headers of a dead letter are missing or unknown",
            attempts=own.get("dlq_attempts", ""),
            bridge_version=own.get("dlq_bridge_version", ""),
            is_pointer=own.get(POINTER_HEADER) == "true",
        )

    def signed_by(self, signer: Signer) -> Signed:
        """What the letter's signature says."""
        return signer.check(SIGNED_AS, self.record, SIGNATURE_HEADER)

    @property
    def at(self) -> str:
        """The letter's place in the dead-letter topic, as ``partition:offset``."""
        return f"{self.record.partition}:{self.record.offset}"

    @property
    def source_headers(self) -> tuple[Header, ...]:
        """The source record's headers, under the names that they had there."""
        return tuple((name_at_source(name), value) for name, value in self.record.headers if not _is_own(name))

    @property
    def renamed_headers(self) -> tuple[str, ...]:
        """Names, as the source had them, of those headers that looked like the bridge's own."""
        return tuple(name for name, _ in self.source_headers if name.startswith(PREFIX))

    @property
    def replay_count(self) -> int:
        """How often the record had been replayed before it was set aside."""
        return replay_count(self.source_headers)

    @property
    def first_identity(self) -> str | None:
        """Identity of the record that was set aside first, of which all later ones are replays.

        Where it is not the origin's, a header of the source says so, which anyone may have put on.
        """
        if self.origin is None:
            return None
        return replayed_identity(self.source_headers, self.origin.topic) or self.origin.identity

    @property
    def content_digest(self) -> bytes:
        """A digest of the source record without its replay headers: a replay has that of the record that it repeats.

        A pointer has neither value nor headers, so its digest says nothing.
        """
        digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)
        headers = [part for name, value in without_replay(self.source_headers) for part in (name.encode(), value)]
        for part in (self.record.key, self.record.value, *headers):
            # With its length, so that no byte counts for one part once and for another the next time.
            digest.update(b"-" if part is None else b"%d:" % len(part) + part)
        return digest.digest()


def _is_own(name: str) -> bool:
    return name.startswith(PREFIX)


def _origin(own: dict[str, str]) -> Origin | None:
    if own.get("dlq_version") != HEADER_FORMAT_VERSION:
        return None
    try:
        return Origin(
            own["dlq_source_topic"],
            int(own["dlq_source_partition"]),
            int(own["dlq_source_offset"]),
            int(own["dlq_source_timestamp_ms"]),
            own["dlq_source_fingerprint"],
        )
    except (KeyError, ValueError):
        return None
