"""How far the feed is in the log of events, and what it must wait for: pure, without a database or a loop.

Events are seen in the order in which their transactions end, and have numbers in the order in which they were begun.
So there are two places: whatever can be *seen* up to the one was offered to whoever follows single orders, whose events
come one after the other; up to the other the log is *complete*, and was offered to whoever follows all of them in the
order of their numbers. Between the two there is a hole, for as long as a transaction is open that may fill it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from activities.adapters.postgres.event_log import LoggedEvent, is_prepared


@dataclass(frozen=True, slots=True)
class Hole:
    """Positions that cannot be seen, before one that can, and who may yet bring them."""

    until: int
    """The last position that could be seen when the hole was."""
    drawers: frozenset[str]
    """The transactions that were open then and had drawn a position."""
    seen_at: float
    """On the loop's clock."""

    def may_be_filled_by(self, drawers: frozenset[str]) -> bool:
        """Whether one of the transactions is still open; in two-phase commit a prepared one has another name."""
        return any(one in self.drawers or is_prepared(one) for one in drawers)


class FeedPlace:
    """The two places, and the hole between them.

    Args:
        last: the last position that can be seen.
        drawers: the open transactions that had drawn a position after `last` was read.
        now: on the loop's clock.
    """

    def __init__(self, last: int, drawers: frozenset[str], now: float) -> None:
        self.seen = self.complete_until = last
        self.hole = Hole(last, drawers, now) if drawers else None
        self.is_whole = not drawers
        """Whether nothing before the beginning may come any more."""

    @property
    def is_behind(self) -> bool:
        """Whether something can be seen behind `complete_until`, or may be."""
        return self.complete_until < self.seen or self.hole is not None

    def see(self, found: Sequence[LoggedEvent]) -> Sequence[LoggedEvent]:
        """Takes the next events that can be seen behind `seen`; returns those up to where the log is complete."""
        complete_with_it = 0
        for event in found:
            if event.position != self.complete_until + 1:
                break
            self.complete_until = event.position
            complete_with_it += 1
        if found:
            self.seen = found[-1].position
        return found[:complete_with_it]

    def filled_until(self, drawers: frozenset[str], now: float) -> int | None:
        """Up to where whatever may ever come can be seen; None while that is no further than `complete_until`.

        Args:
            drawers: the open transactions that had drawn a position, asked for after what was seen last.
            now: on the loop's clock.
        """
        if self.hole is None:
            self.hole = Hole(self.seen, drawers, now)
        return None if self.hole.may_be_filled_by(drawers) else self.hole.until

    def pass_hole(self, due: Sequence[LoggedEvent], *, is_all: bool) -> None:
        """Notes that events behind `complete_until` were offered.

        Args:
            due: those up to where `filled_until` said, or as many of them as were read.
            is_all: whether there are no more of them.
        """
        if due:
            self.complete_until = due[-1].position
        if is_all and self.hole is not None:
            self.complete_until = max(self.complete_until, self.hole.until)
            self.hole = None
            self.is_whole = True
