"""Which offsets are settled beyond the committed one, as text for the commit's metadata. Pure.

Kafka keeps one offset for a partition and, beside it, a text of the consumer's own. While one record is stuck the
offset stands still, and the text tells the next owner which records need not be called again. It only ever saves
repeats: where it is missing, cut short or not understood, everything from the offset on is delivered to Temporal again,
and nothing is lost.

The text lists the offsets that are *not* settled, up to an end. There are at most as many as the bridge holds records,
however many are settled between them.
"""

import base64
import zlib
from bisect import bisect_left
from dataclasses import dataclass, field
from typing import Final, Protocol

from bridge.record import FINGERPRINT_BYTES

METADATA_CHARS_MAX: Final = 4_096
"""What a broker takes unless it is told otherwise (``offset.metadata.max.bytes``)."""

_PREFIX: Final = "settled-beyond/1 "
"""Names the format of what follows and its version; another version has another number, and is not read here."""
_PLAIN_BYTES_MAX: Final = 1 << 20
"""More than any writer writes: a text that unpacks to more is none of this format."""

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
    """The unsettled offsets of a partition up to an end: all other records that were delivered below it are settled.

    An offset between them that was never delivered (a transaction's marker, a record that compaction took) counts as
    settled. It does no harm: what Kafka did not deliver when it delivered what follows, it never will.
    """

    unsettled: tuple[int, ...]
    """Ascending. The first is the committed offset itself."""
    end: int
    """Nothing is known from here on."""
    fingerprint: bytes
    """The fingerprint of the record at the committed offset: a topic that was made anew has another record there."""
    _among: frozenset[int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Makes the set by which offsets are looked up."""
        object.__setattr__(self, "_among", frozenset(self.unsettled))

    @property
    def offset(self) -> int:
        """The committed offset that this belongs to."""
        return self.unsettled[0]

    def holds(self, offset: int) -> bool:
        """Whether the record at the offset is settled."""
        return self.offset < offset < self.end and offset not in self._among

    def is_of(self, first: Fingerprinted) -> bool:
        """Whether this was made for the topic in which `first` is the first record from the committed offset on."""
        return first.offset == self.offset and first.fingerprint == self.fingerprint

    def unsettled_from(self, offset: int) -> tuple[int, ...]:
        """The unsettled offsets from this one on."""
        return self.unsettled[bisect_left(self.unsettled, offset) :]


def encode(beyond: SettledBeyond, *, chars_max: int) -> str:
    """The text for a commit's metadata; empty where nothing is settled beyond its offset.

    Args:
        beyond: Which offsets are settled.
        chars_max: Longest text. What does not fit is left out from the end on: a beginning is true by itself.
    """
    unsettled, end = list(beyond.unsettled), beyond.end
    while unsettled and unsettled[-1] == end - 1:
        end = unsettled.pop()  # Nothing is settled from here on, so there is nothing to tell.
    if not unsettled:
        return ""
    steps = [_number(above - below) for below, above in zip(unsettled, [*unsettled[1:], end], strict=True)]
    head = _number(beyond.offset) + beyond.fingerprint
    text = _pack(head, steps)
    if len(text) <= chars_max:
        return text
    return _longest_beginning(head, steps, chars_max)


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
        *unsettled, end = _read_offsets(plain, position + FINGERPRINT_BYTES, first)
    except (ValueError, zlib.error, IndexError) as error:  # An error of base64 is a ValueError.
        raise UnreadableMetadataError(f"it is damaged ({type(error).__name__})") from None
    if first != offset:
        raise UnreadableMetadataError("it belongs to another offset")
    if not unsettled:
        raise UnreadableMetadataError("it is damaged (it has no end)")
    return SettledBeyond(tuple(unsettled), end, fingerprint)


def _read_offsets(data: bytes, position: int, first: int) -> list[int]:
    offsets = [first]
    while position < len(data):
        step, position = _read_number(data, position)
        if step == 0:
            raise ValueError("offsets rise")
        offsets.append(offsets[-1] + step)
    return offsets


def _longest_beginning(head: bytes, steps: list[bytes], chars_max: int) -> str:
    fits, count_min, count_max = "", 1, len(steps) - 1
    while count_min <= count_max:
        count = (count_min + count_max) // 2
        text = _pack(head, steps[:count])  # Its last step leads to an unsettled offset, which becomes the end.
        if len(text) <= chars_max:
            fits, count_min = text, count + 1
        else:
            count_max = count - 1
    return fits


def _pack(head: bytes, steps: list[bytes]) -> str:
    # The steps are mostly small and alike: packed they take a fraction, and the checksum of zlib finds damage.
    return _PREFIX + base64.b64encode(zlib.compress(head + b"".join(steps))).decode("ascii")


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
