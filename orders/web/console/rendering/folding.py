"""Long lists on a page: the newest lines are shown, and the earlier ones are folded away. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

RECENT_MAX: Final = 10
"""How many lines of a list are always shown: an order's whole life has eight events where nothing is in its way."""


@dataclass(frozen=True, slots=True)
class Folded:
    """A list in two parts, each in the list's own order."""

    earlier: Sequence[Any]
    """Folded away; empty where the list is short."""
    recent: Sequence[Any]


def folded(lines: Sequence[Any]) -> Folded:
    """Splits a list for a page.

    Args:
        lines: the oldest first.
    """
    at = max(0, len(lines) - RECENT_MAX)
    return Folded(lines[:at], lines[at:])
