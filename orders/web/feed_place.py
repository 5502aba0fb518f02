"""How far the feed has read the log of events, and which transactions it must wait for. Pure.

A transaction draws an event's position when it writes the event, and the event can be seen once the transaction has
ended. So an event may be seen while one with a lower position cannot be seen yet: there is a hole. The feed therefore
keeps two places:

- `seen`, the last position that can be seen. Events up to it were offered to the streams of single orders, which go by
  each order's own sequence.
- `complete_until`, the position up to which no event can appear any more. Events up to it were offered to the stream of
  all orders, in the order of their positions.

Between the two there is a hole for as long as a transaction is open that may fill it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from activities.adapters.postgres.event_log import LoggedEvent, is_prepared


@dataclass(frozen=True, slots=True)
class Hole:
    """Positions that cannot be seen below one that can, and the transactions that may have drawn them."""

    until: int
    """The last position that could be seen when the hole was found."""
    drawers: frozenset[str]
    """The transactions that were open then and had drawn a position."""
    seen_at: float
    """On the loop's clock."""

    def may_be_filled_by(self, drawers: frozenset[str]) -> bool:
        """Whether one of the open transactions may belong to the hole.

        A prepared one (two-phase commit) always may: it has another name than it had before.
        """
        return any(one in self.drawers or is_prepared(one) for one in drawers)


class FeedPlace:
    """Keeps `seen` and `complete_until`, and the hole between them.

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
        """The position up to which no event can appear any more; None while an open transaction may fill the hole.

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
