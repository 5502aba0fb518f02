"""Waiting for work that may be slow, and must not be stuck."""

import asyncio
import re
from itertools import count

import pytest

from tests.helpers.system.waiting import (
    Patience,
    answered,
    assert_as_long_as_it_moves,
    assert_eventually,
    in_time,
    share_of_the_machine,
)

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
        is_done, lambda: seen, STILL_SECONDS, lambda: "all of it", clock=lambda: float(next(seconds)), share=lambda: 1.0
    )


async def test_work_that_moves_is_waited_for_however_long_it_takes_in_all() -> None:
    await wait([looked // 3 for looked in range(61)], until=20)


async def test_work_that_is_stuck_fails_and_says_how_far_it_was() -> None:
    with pytest.raises(AssertionError, match=re.escape("nothing has moved for 5 s: all of it; done so far: 7")):
        await wait([1, 4, 7], until=20)


@pytest.mark.parametrize(("share", "looks"), [(1.0, 10), (0.5, 20), (0.1, 100)])
def test_a_limit_is_of_a_machine_that_has_time(share: float, looks: int) -> None:
    seconds = count()
    patience = Patience(10.0, clock=lambda: float(next(seconds)), share=lambda: share)
    assert [patience.is_over() for _ in range(looks + 2)].index(True) == pytest.approx(looks, abs=1)


def test_what_is_promised_within_a_time_fails_beyond_it() -> None:
    with in_time(60.0):
        pass
    with pytest.raises(AssertionError, match="it took longer than 0 s"), in_time(0.0):
        pass
    with pytest.raises(ConnectionError), in_time(0.0):
        raise ConnectionError


def test_one_more_process_gets_a_part_of_the_machine_or_all_of_a_core() -> None:
    assert 0.0 < share_of_the_machine() <= 1.0


async def test_what_passes_is_asked_again_and_what_does_not_or_stays_is_passed_on() -> None:
    left = [ConnectionError("1"), ConnectionError("2")]

    async def call() -> str:
        if left:
            raise left.pop()
        return "answer"

    def passes(error: Exception) -> bool:
        return isinstance(error, ConnectionError)

    assert await answered(call, passes, within_seconds=60.0) == "answer"
    left.append(ConnectionError("stays"))
    with pytest.raises(TimeoutError, match="not within 0 s: stays"):
        await answered(call, passes, within_seconds=0.0)
    left.append(ConnectionError("another"))
    with pytest.raises(ConnectionError, match="another"):
        await answered(call, lambda _: False, within_seconds=60.0)


async def test_a_condition_that_comes_true_ends_the_wait_with_its_value() -> None:
    values = iter([None, 0, "", "there"])
    assert await assert_eventually(lambda: next(values), 5) == "there"


async def test_a_condition_made_of_assertions_may_fail_until_it_does_not() -> None:
    outcomes = iter([False, False, True])

    async def condition() -> bool:
        await asyncio.sleep(0)
        assert next(outcomes)
        return True

    assert await assert_eventually(condition, 5)


async def test_a_condition_that_stays_false_fails_with_what_was_awaited_and_the_last_reason() -> None:
    def condition() -> bool:
        raise AssertionError("only two of three")

    with pytest.raises(AssertionError, match=r"not within 0\.1 s: three orders") as caught:
        await assert_eventually(condition, 0.1, lambda: "three orders")
    assert str(caught.value.__cause__) == "only two of three"


async def test_any_other_exception_ends_the_wait_at_once() -> None:
    def condition() -> bool:
        raise KeyError("order")

    with pytest.raises(KeyError):
        await assert_eventually(condition, 60)
