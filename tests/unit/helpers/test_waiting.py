"""Waiting for work that may be slow, and must not be stuck."""

import re
from itertools import count

import pytest

from tests.helpers.system.waiting import assert_as_long_as_it_moves

STILL_SECONDS = 5.0


async def wait(done: list[int], *, until: int) -> None:
    """Waits by a clock of a second a look, for work of which the list has a count for each look."""
    seconds, looks = count(), count()
    seen = 0

    async def is_done() -> bool:
        nonlocal seen
        seen = done[min(next(looks), len(done) - 1)]
        return seen >= until

    await assert_as_long_as_it_moves(
        is_done, lambda: seen, STILL_SECONDS, lambda: "all of it", clock=lambda: float(next(seconds))
    )


async def test_work_that_moves_is_waited_for_however_long_it_takes_in_all() -> None:
    await wait([looked // 3 for looked in range(61)], until=20)


async def test_work_that_is_stuck_fails_and_says_how_far_it_was() -> None:
    with pytest.raises(AssertionError, match=re.escape("nothing has moved for 5 s: all of it; done so far: 7")):
        await wait([1, 4, 7], until=20)
