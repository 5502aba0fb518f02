"""Decides how much goes into one call. Pure."""

from collections.abc import Callable
from typing import Final, TypeVar

from pydantic import BaseModel

Batch = TypeVar("Batch", bound=BaseModel)

BATCH_MAX: Final = 50
"""Events in one call, at most."""

BATCH_BYTES_MAX: Final = 2_000_000
"""Most bytes of one call's argument. Temporal terminates a run that sends more than 2 MiB, and the events that the run
has accepted are lost."""


def next_fitting(waiting: int, batch_of: Callable[[int], Batch]) -> tuple[Batch, int]:
    """The next call's argument: with as many as fit, `BATCH_MAX` at most, and one in any case.

    Args:
        waiting: how many wait; with none it is the empty one.
        batch_of: the call's argument with that many.

    Returns:
        The argument, and how many of the waiting it holds.
    """
    size = min(BATCH_MAX, waiting)
    batch = batch_of(size)
    while size > 1 and len(batch.model_dump_json().encode()) > BATCH_BYTES_MAX:
        size //= 2
        batch = batch_of(size)
    return batch, size
