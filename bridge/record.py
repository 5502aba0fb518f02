"""A record as Kafka delivered it, free of the client library."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol

from bridge.refusal import Refusal, RefusalCode

FINGERPRINT_BYTES: Final = 8
"""Length of a `Record.fingerprint`."""

Header = tuple[str, bytes | None]
"""A header's name and value; Kafka allows a value of null, and the same name again."""

_OF_BATCHES: Final = frozenset({RefusalCode.BATCH_UNREADABLE, RefusalCode.BATCH_TOO_LARGE})
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class ConsumedRecord(Protocol):
    """The fields of the client library's record that a `Record` is made of."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[Header]
    checksum: Any


@dataclass(frozen=True, slots=True)
class Record:
    """A record with its coordinates; key, value and headers are bytes as they came."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    """As the producer or the broker set it; -1 where nobody did."""
    key: bytes | None
    value: bytes | None
    headers: tuple[Header, ...] = ()
    defect: Refusal | None = None
    """What was wrong with it already as Kafka delivered it; None for nearly all. A record with a defect is refused
    for it, and no mapping sees it."""

    @classmethod
    def from_consumed(cls, consumed: ConsumedRecord) -> "Record":
        """The record that the client library handed out."""
        checksum = consumed.checksum
        return cls(
            consumed.topic,
            consumed.partition,
            consumed.offset,
            consumed.timestamp,
            consumed.key,
            consumed.value,
            tuple(consumed.headers),
            checksum if isinstance(checksum, Refusal) else None,
        )

    @property
    def is_unread_batch(self) -> bool:
        """Whether it only stands for records that cannot be read, and so has neither key nor value nor headers."""
        return self.defect is not None and self.defect.code in _OF_BATCHES

    @property
    def is_tombstone(self) -> bool:
        """Whether it has no value: in a compacted topic, and from change-data-capture, it says that its key is gone."""
        return self.value is None and not self.is_unread_batch

    @property
    def coordinates(self) -> str:
        """``topic:partition:offset``: where it is."""
        return f"{self.topic}:{self.partition}:{self.offset}"

    @property
    def identity(self) -> str:
        """``topic:partition:offset:fingerprint``: what no other record has, on whatever cluster, ever.

        A cluster's id would not do in the place of the fingerprint: a topic that is made anew keeps it, and so do
        clusters that are set up from one file.
        """
        return f"{self.coordinates}:{self.fingerprint.hex()}"

    @property
    def size_bytes(self) -> int:
        """Bytes of key, value and headers: what the record costs to hold."""
        size = len(self.value or b"") + len(self.key or b"")
        for name, value in self.headers:
            size += len(name) + len(value or b"")
        return size

    @property
    def fingerprint(self) -> bytes:
        """Tells this record from the one that has its offset once the topic was deleted and made anew."""
        digest = hashlib.blake2b(str(self.timestamp_ms).encode(), digest_size=FINGERPRINT_BYTES)
        for part in (self.key, self.value):
            # With its length, so that no byte counts for the key once and for the value another time.
            digest.update(b"-" if part is None else b"%d:" % len(part) + part)
        return digest.digest()

    @property
    def produced_at(self) -> datetime | None:
        """The record's timestamp; None where there is none, or where it is beyond what a datetime can hold."""
        return moment_of(self.timestamp_ms)


def moment_of(timestamp_ms: int) -> datetime | None:
    """A record's timestamp, in milliseconds since 1970; None below 0, or beyond what a datetime can hold."""
    if timestamp_ms < 0:
        return None
    try:
        return _EPOCH + timedelta(milliseconds=timestamp_ms)
    except OverflowError:
        return None
