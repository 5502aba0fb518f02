"""A set of offsets of one partition, in some bytes each: a million of them are two megabytes. Pure.

A plain set of a million offsets takes a hundred megabytes. This one keeps the lower 16 bits of each offset in arrays,
one array for each 65,536 offsets of the partition: two bytes an offset, wherever it is. Bits would take less where
offsets lie close together, and a hundred times more where they lie apart, as those of one lane among many do.
"""

from array import array
from bisect import bisect_left, insort
from collections.abc import Iterator
from typing import Final

_CHUNK_BITS: Final = 16
"""Bits of an offset within its chunk: as many as an entry of an array of type ``H`` has."""
_LOW: Final = (1 << _CHUNK_BITS) - 1


class OffsetSet:
    """Offsets, in ascending order. Fastest where they are added in that order, and discarded from the lowest on."""

    __slots__ = ("_chunks", "_count", "_numbers")

    def __init__(self) -> None:
        self._chunks: dict[int, array[int]] = {}
        """For each chunk's number the lower bits of its offsets, ascending. None of them is empty."""
        self._numbers: list[int] = []
        """The chunks' numbers, ascending: an offset's upper bits."""
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __contains__(self, offset: int) -> bool:
        chunk = self._chunks.get(offset >> _CHUNK_BITS)
        if chunk is None:
            return False
        low = offset & _LOW
        at = bisect_left(chunk, low)
        return at < len(chunk) and chunk[at] == low

    def __iter__(self) -> Iterator[int]:
        return self.iterate_from(0)

    @property
    def lowest(self) -> int | None:
        """The lowest offset; None where there is none."""
        if not self._numbers:
            return None
        number = self._numbers[0]
        return number << _CHUNK_BITS | self._chunks[number][0]

    def add(self, offset: int) -> bool:
        """Adds an offset; False where it is there already."""
        number, low = offset >> _CHUNK_BITS, offset & _LOW
        chunk = self._chunks.get(number)
        if chunk is None:
            self._chunks[number] = array("H", (low,))
            insort(self._numbers, number)
        elif low > chunk[-1]:
            chunk.append(low)
        else:
            at = bisect_left(chunk, low)
            if chunk[at] == low:
                return False
            chunk.insert(at, low)
        self._count += 1
        return True

    def discard(self, offset: int) -> bool:
        """Takes an offset out; False where it is not there."""
        number, low = offset >> _CHUNK_BITS, offset & _LOW
        chunk = self._chunks.get(number)
        if chunk is None:
            return False
        at = bisect_left(chunk, low)
        if at == len(chunk) or chunk[at] != low:
            return False
        del chunk[at]
        if not chunk:
            del self._chunks[number]
            del self._numbers[bisect_left(self._numbers, number)]
        self._count -= 1
        return True

    def discard_below(self, offset: int) -> int:
        """Takes out all offsets below this one; returns how many. Costs by the chunks, not by the offsets."""
        before, first, low = self._count, offset >> _CHUNK_BITS, offset & _LOW
        gone = bisect_left(self._numbers, first)
        for number in self._numbers[:gone]:
            self._count -= len(self._chunks.pop(number))
        del self._numbers[:gone]
        if (chunk := self._chunks.get(first)) is not None:
            at = bisect_left(chunk, low)
            self._count -= at
            del chunk[:at]
            if not chunk:
                del self._chunks[first]
                del self._numbers[0]
        return before - self._count

    def iterate_from(self, offset: int) -> Iterator[int]:
        """The offsets at or above this one, ascending. The set must not be changed meanwhile."""
        first, low = offset >> _CHUNK_BITS, offset & _LOW
        for at in range(bisect_left(self._numbers, first), len(self._numbers)):
            number = self._numbers[at]
            chunk, base = self._chunks[number], number << _CHUNK_BITS
            for entry in range(bisect_left(chunk, low) if number == first else 0, len(chunk)):
                yield base | chunk[entry]

    def runs(self) -> Iterator[tuple[int, int]]:
        """The offsets as runs without a gap, ascending: each its first offset, and the one after its last.

        Costs by the runs, whatever their lengths. The set must not be changed meanwhile.
        """
        begin = end = -1
        for number in self._numbers:
            base = number << _CHUNK_BITS
            for first, last in _runs_of(self._chunks[number]):
                if base + first == end:
                    end = base + last + 1
                    continue
                if end > begin:
                    yield begin, end
                begin, end = base + first, base + last + 1
        if end > begin:
            yield begin, end


def _runs_of(chunk: "array[int]") -> Iterator[tuple[int, int]]:
    """The runs of ascending numbers: the first and the last number of each."""
    begin, count = 0, len(chunk)
    while begin < count:
        first = chunk[begin]
        # In a run, numbers rise as their places do. Its end is looked for in steps that double, and then by halves.
        inside, step = begin, 1
        while inside + step < count and chunk[inside + step] - first == inside + step - begin:
            inside += step
            step *= 2
        outside = min(inside + step, count)
        while outside - inside > 1:
            middle = (inside + outside) // 2
            if chunk[middle] - first == middle - begin:
                inside = middle
            else:
                outside = middle
        yield first, chunk[inside]
        begin = inside + 1
