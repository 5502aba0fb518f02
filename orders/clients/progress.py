"""How far the bridges are with a partition. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from aiokafka.structs import OffsetAndMetadata

from bridge.engine.settled_beyond import SettledBeyond, UnreadableMetadataError
from bridge.engine.settled_beyond import decode as decode_metadata


@dataclass(frozen=True, slots=True)
class OffsetRange:
    """Part of a partition: from ``start`` to before ``end``."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Progress:
    """What the bridges have committed for a partition."""

    offset: int
    """Everything below is settled."""
    beyond: SettledBeyond | None = None
    """What is settled beyond it, while an order before it is stuck."""

    @classmethod
    def of(cls, committed: OffsetAndMetadata | None) -> "Progress":
        """What a commit says; metadata that is not the bridges' says nothing."""
        if committed is None or committed.offset < 0:
            return NO_PROGRESS
        try:
            beyond = decode_metadata(committed.metadata or "", offset=committed.offset)
        except UnreadableMetadataError:
            beyond = None  # A bridge does not believe it either.
        return cls(committed.offset, beyond)

    def has_settled(self, offset: int) -> bool:
        """Whether the record at the offset is settled."""
        return offset < self.offset or (self.beyond is not None and self.beyond.holds(offset))

    def unsettled(self, begin: int, end: int) -> list[OffsetRange]:
        """The offsets from `begin` to before `end` that are not known to be settled, as ranges in ascending order."""
        return list(self._unsettled(max(begin, self.offset), end))

    def _unsettled(self, begin: int, end: int) -> Iterator[OffsetRange]:
        if self.beyond is not None:
            for first, behind in self.beyond.unsettled_from(begin):
                if first < end:
                    yield OffsetRange(first, min(behind, end))
            begin = max(begin, self.beyond.end)
        if begin < end:
            yield OffsetRange(begin, end)


NO_PROGRESS: Final = Progress(0)
"""Nothing was ever committed."""
