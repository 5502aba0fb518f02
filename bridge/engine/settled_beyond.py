"""Which offsets are settled beyond the committed one, as text for the commit's metadata. Pure.

Kafka keeps one offset for a partition and, beside it, a text of the consumer's own. While one record is stuck the
offset stands still, and the text tells the next owner which records need not be called again. It only ever saves
repeats: where it is missing, cut short or not understood, everything from the offset on is delivered to Temporal again,
and nothing is lost.

The text gives lengths: how many offsets are unsettled, how many behind them are settled, and so on in turn up to an
end. So a backlog of a million records of one lane, which lie beside each other, is one number.
"""

import base64
import zlib
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Protocol

from bridge.record import FINGERPRINT_BYTES

METADATA_CHARS_MAX: Final = 4_096
"""What a broker takes unless it is told otherwise (``offset.metadata.max.bytes``)."""

_PREFIX: Final = "settled-beyond/1 "
"""Names the format of what follows and its version; another version has another number, and is not read here."""
_PLAIN_BYTES_MAX: Final = 1 << 20
"""More than any writer writes: a text that unpacks to more is none of this format."""

RUNS_MAX: Final = 5_000
"""The most runs of unsettled offsets that are told of: making the text of so many takes some milliseconds of the loop.
`METADATA_CHARS_MAX` holds about 2,000 runs of uneven lengths, and more only of even ones (measured on 2026-11-25)."""

_OFFSET_BITS: Final = 63
"""Kafka's offsets are signed and of 64 bits."""


class UnreadableMetadataError(Exception):
    """The text is of another format or version, damaged, or does not belong to its offset."""


class Fingerprinted(Protocol):
    """A record, as far as this module looks at one."""

    @property
    def offset(self) -> int:
        """Its position."""
        ...

    @property
    def fingerprint(self) -> bytes:
        """`FINGERPRINT_BYTES` bytes that another record does not have."""
        ...


@dataclass(frozen=True, slots=True)
class SettledBeyond:
    """Which offsets of a partition are settled, from a committed one on and up to an end.

    An offset between them that was never delivered (a transaction's marker, a record that compaction took) counts as
    settled. It does no harm: what Kafka did not deliver when it delivered what follows, it never will.
    """

    bounds: tuple[int, ...]
    """Ascending, and an odd number of them. Unsettled are the offsets from the first bound on, settled those from the
    second on, unsettled those from the third on, and so on. From the last bound on, nothing is known."""
    fingerprint: bytes
    """The fingerprint of the record at the committed offset: a topic that was made anew has another record there."""

    @property
    def offset(self) -> int:
        """The committed offset that this belongs to; its record is unsettled."""
        return self.bounds[0]

    @property
    def end(self) -> int:
        """The offset from which on nothing is known."""
        return self.bounds[-1]

    def holds(self, offset: int) -> bool:
        """Whether the record at the offset is settled."""
        at = bisect_right(self.bounds, offset)
        return at > 0 and at % 2 == 0

    def is_of(self, first: Fingerprinted) -> bool:
        """Whether this was made for the topic in which `first` is the first record from the committed offset on."""
        return first.offset == self.offset and first.fingerprint == self.fingerprint

    def unsettled_from(self, offset: int) -> Iterator[tuple[int, int]]:
        """The runs of unsettled offsets, from this one on: each its first offset, and the one after its last."""
        for at in range(0, len(self.bounds) - 1, 2):
            begin, end = max(offset, self.bounds[at]), self.bounds[at + 1]
            if begin < end:
                yield begin, end


def settled_beyond(
    unsettled: Iterable[tuple[int, int]], end: int, fingerprint: bytes, *, runs_max: int = RUNS_MAX
) -> SettledBeyond | None:
    """What is settled between unsettled records; None where nothing is.

    Args:
        unsettled: Runs of unsettled offsets, ascending, that may touch: each its first offset, and the one after its
            last. Their lowest offset is the one that is committed.
        end: Everything that was delivered is below it.
        fingerprint: The fingerprint of the record at the lowest unsettled offset.
        runs_max: How many runs are told of. Where there are more, the end is at the first one that is left out.
    """
    bounds: list[int] = []
    for begin, after in unsettled:
        if bounds and begin <= bounds[-1]:
            bounds[-1] = max(after, bounds[-1])
        elif len(bounds) == 2 * runs_max:
            end = begin
            break
        else:
            bounds += begin, after
    if bounds and bounds[-1] >= end:
        end = bounds[-2]  # Nothing is settled behind the last run, so there is nothing to tell from there on.
        del bounds[-2:]
    return SettledBeyond((*bounds, end), fingerprint) if bounds else None


def encode(beyond: SettledBeyond | None, *, chars_max: int) -> str:
    """The text for a commit's metadata; empty for None.

    Args:
        beyond: Which offsets are settled.
        chars_max: Longest text. What does not fit is left out from the end on: a beginning is true by itself.
    """
    if beyond is None:
        return ""
    bounds = beyond.bounds
    lengths = [_number(above - below) for below, above in pairwise(bounds)]
    head = _number(beyond.offset) + beyond.fingerprint
    text = _pack(head, lengths)
    if len(text) <= chars_max:
        return text
    return _longest_beginning(head, lengths, chars_max)


def decode(text: str, *, offset: int) -> SettledBeyond | None:
    """The settled offsets that a text tells of; None where the text is empty.

    Args:
        text: The metadata of a commit, whoever wrote it.
        offset: The committed offset that it came with.

    Raises:
        UnreadableMetadataError: The text says nothing. Everything from the offset on has to be delivered again.
    """
    if not text:
        return None
    if not text.startswith(_PREFIX):
        raise UnreadableMetadataError("it is of another format or version")
    try:
        plain = _unpack(text.removeprefix(_PREFIX))
        first, position = _read_number(plain, 0)
        fingerprint = plain[position : position + FINGERPRINT_BYTES]
        bounds = _read_bounds(plain, position + FINGERPRINT_BYTES, first)
    except (ValueError, zlib.error, IndexError) as error:  # An error of base64 is a ValueError.
        raise UnreadableMetadataError(f"it is damaged ({type(error).__name__})") from None
    if first != offset:
        raise UnreadableMetadataError("it belongs to another offset")
    if len(bounds) == 1 or len(bounds) % 2 == 0:
        raise UnreadableMetadataError("it is damaged (it has no end)")
    return SettledBeyond(tuple(bounds), fingerprint)


def _read_bounds(data: bytes, position: int, first: int) -> list[int]:
    bounds = [first]
    while position < len(data):
        length, position = _read_number(data, position)
        if length == 0:
            raise ValueError("bounds rise")
        bounds.append(bounds[-1] + length)
    return bounds


def _longest_beginning(head: bytes, lengths: list[bytes], chars_max: int) -> str:
    fits, pairs_min, pairs_max = "", 1, len(lengths) // 2 - 1
    while pairs_min <= pairs_max:
        pairs = (pairs_min + pairs_max) // 2
        text = _pack(head, lengths[: 2 * pairs])  # A beginning ends behind settled offsets, as the whole does.
        if len(text) <= chars_max:
            fits, pairs_min = text, pairs + 1
        else:
            pairs_max = pairs - 1
    return fits


def _pack(head: bytes, lengths: list[bytes]) -> str:
    # The lengths are mostly small and alike: packed they take a fraction, and the checksum of zlib finds damage.
    return _PREFIX + base64.b64encode(zlib.compress(head + b"".join(lengths))).decode("ascii")


def _unpack(packed: str) -> bytes:
    unpacking = zlib.decompressobj()
    plain = unpacking.decompress(base64.b64decode(packed, validate=True), _PLAIN_BYTES_MAX)
    if not unpacking.eof or unpacking.unused_data:
        raise zlib.error("cut short, too long, or followed by something else")
    return plain


_MORE: Final = 0x80
"""The bit of a byte that says that another one follows; the other seven are the number's, the lowest first."""
_SMALL_NUMBERS: Final = [bytes([value]) for value in range(_MORE)]


def _number(value: int) -> bytes:
    if value < _MORE:
        return _SMALL_NUMBERS[value]
    digits = bytearray()
    while value >= _MORE:
        digits.append(value % _MORE | _MORE)
        value //= _MORE
    digits.append(value)
    return bytes(digits)


def _read_number(data: bytes, position: int) -> tuple[int, int]:
    """The number at the position, and the position after it.

    Raises:
        IndexError: The data end within it.
        ValueError: It is longer than an offset can be.
    """
    value = shift = 0
    while shift < _OFFSET_BITS:
        digit = data[position]
        value |= digit % _MORE << shift
        position, shift = position + 1, shift + 7
        if digit < _MORE:
            return value, position
    raise ValueError("no offset is so large")
