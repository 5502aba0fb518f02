"""How fast records come and are handed over, from how far the bridges were at several moments. Pure."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from orders.operations.overview import PartitionOverview

WINDOW: Final = timedelta(seconds=60)
"""Long enough that a bridge's commits, a second or so apart, do not show; short enough to say what is so now."""
SHORTEST: Final = timedelta(seconds=4)
"""A pace over less time would be a matter of chance."""


@dataclass(frozen=True, slots=True)
class Pace:
    """What came and what was handed over within a while."""

    over: timedelta
    came: int
    """Records that were added to the inbound topics."""
    settled: int
    """Records that were handed over, or set aside."""


@dataclass(slots=True)
class Paces:
    """How far the bridges were lately, for as long as anybody looks."""

    _seen: deque[tuple[datetime, int, int]] = field(default_factory=deque)
    """When, the sum of the partitions' ends, and how many of these records were settled."""

    def note(self, at: datetime, partitions: Iterable[PartitionOverview]) -> None:
        """Takes in how far they are now."""
        ends = unsettled = 0
        for one in partitions:
            ends, unsettled = ends + one.end, unsettled + one.unsettled
        if self._seen and ends < self._seen[-1][1]:
            self._seen.clear()  # Topics were made anew: what was before says nothing.
        self._seen.append((at, ends, ends - unsettled))
        while len(self._seen) > 1 and self._seen[1][0] <= at - WINDOW:
            self._seen.popleft()
        if self._seen[0][0] < at - 2 * WINDOW:
            self._seen.popleft()  # Nobody looked for a while.

    @property
    def pace(self) -> Pace | None:
        """Of the last minute or less; None until there is enough to tell."""
        if not self._seen:
            return None
        (first_at, first_ends, first_settled), (at, ends, settled) = self._seen[0], self._seen[-1]
        if at - first_at < SHORTEST:
            return None
        return Pace(at - first_at, ends - first_ends, max(0, settled - first_settled))
