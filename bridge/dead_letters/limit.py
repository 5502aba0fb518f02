"""The limit of dead letters: a bad deployment must not empty a topic into them. Pure."""

from collections import deque
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class DeadLetterLimits:
    """How many records may be set aside before the bridge stops, failing closed."""

    in_a_row_max: int | None = 500
    """Most of them without one good record between; None lifts the limit."""
    share_max: float | None = 0.5
    """Largest share of the last `share_window` records, from 0 to 1; None lifts the limit."""
    share_window: int = 1_000
    """Records over which the share is taken; the share does not count before so many are settled."""
    in_a_row_setting: str = "in_a_row_max"
    """What an operator knows `in_a_row_max` as; messages tell them to raise it."""
    share_setting: str = "share_max"
    """What an operator knows `share_max` as."""
    reasons: str = "headers dlq_error_code and dlq_message"
    """Where an operator sees why records were set aside: a command, for instance."""

    def __post_init__(self) -> None:
        """Refuses limits that say nothing.

        Raises:
            ValueError: One is out of its range.
        """
        if self.in_a_row_max is not None and self.in_a_row_max < 0:
            raise ValueError("dead letters: in_a_row_max must not be negative")
        if self.share_max is not None and not 0 <= self.share_max <= 1:
            raise ValueError("dead letters: share_max must be between 0 and 1")
        if self.share_window < 1:
            raise ValueError("dead letters: share_window must be at least 1")


_COUNTED_MAX: Final = 100_000
"""The records that are remembered as counted: more than a bridge holds by default, at some 150 bytes each."""


class DeadLetterLimitError(Exception):
    """Too many records in a row, or too large a share of them, would be set aside.

    The bridge stops before that. A new one begins to count anew, so a person should look before one is started.
    """


class DeadLetterGuard:
    """Counts records, each once, and refuses to set aside one more than the limits allow.

    A record that is delivered again after a rebalance is no further mistake of anybody: counted again, an outage of the
    dead-letter topic and a few rebalances would end the bridge.

    Args:
        limits: How many may be set aside.
    """

    def __init__(self, limits: DeadLetterLimits) -> None:
        self._limits = limits
        self._in_a_row = 0
        self._last: deque[bool] = deque(maxlen=limits.share_window)
        """Of the last records, whether each was set aside."""
        self._dead_in_window = 0
        self._counted: dict[str, None] = {}
        """The coordinates of records that were counted as set aside; a dict keeps their order."""

    def admit(self, coordinates: str) -> None:
        """Counts a record that is to be set aside, before its dead letter is produced.

        Args:
            coordinates: The record's; one that was counted before is admitted, and not counted again.

        Raises:
            DeadLetterLimitError: It would be one too many. Nothing is to be set aside any more.
        """
        if coordinates in self._counted:
            return
        limit = self._limits.in_a_row_max
        if limit is not None and self._in_a_row >= limit:
            raise DeadLetterLimitError(
                f"{limit} records in a row could not be read, so the bridge stops rather than set aside one more. "
                f"Look at the reasons ({self._limits.reasons}): either a sender or the bridge itself is at "
                f"fault. To let them all pass, raise {self._limits.in_a_row_setting}"
            )
        share = self._limits.share_max
        if share is not None and len(self._last) == self._last.maxlen:
            oldest_leaves = self._last[0]
            dead = self._dead_in_window + 1 - oldest_leaves
            if dead > share * len(self._last):
                raise DeadLetterLimitError(
                    f"more than {share:.0%} of the last {len(self._last)} records could not be read, so the bridge "
                    "stops rather than set aside one more. Look at the reasons "
                    f"({self._limits.reasons}). To let them all pass, raise {self._limits.share_setting}"
                )
        self._in_a_row += 1
        self._note(dead=True)
        self._counted[coordinates] = None
        if len(self._counted) > _COUNTED_MAX:
            del self._counted[next(iter(self._counted))]

    def note_delivered(self) -> None:
        """Counts a record that Temporal has acknowledged."""
        self._in_a_row = 0
        self._note(dead=False)

    def _note(self, *, dead: bool) -> None:
        if len(self._last) == self._last.maxlen:
            self._dead_in_window -= self._last[0]
        self._last.append(dead)
        self._dead_in_window += dead
