"""How much goes into one call. Pure."""

from collections.abc import Callable
from typing import Final

from pydantic import BaseModel

BATCH_MAX: Final = 50
"""Events in one call, at most."""

BATCH_BYTES_MAX: Final = 2_000_000
"""Bytes of one call's argument. Temporal terminates a run that sends more than 2 MiB; all it has accepted is lost."""


def batch_size(waiting: int, batch_of: Callable[[int], BaseModel]) -> int:
    """How many of those that wait go into the next call: `BATCH_MAX`, or what fits; one goes in any case.

    Args:
        waiting: how many wait; at least one.
        batch_of: the call's argument with that many.
    """
    size = min(BATCH_MAX, waiting)
    while size > 1 and len(batch_of(size).model_dump_json().encode()) > BATCH_BYTES_MAX:
        size //= 2
    return size
