"""One question for all who ask at the same time, and never an answer that is older than the asking."""

import asyncio
import time
from datetime import timedelta

import pytest

from orders.clients.coalescing import Coalesced


class Questions:
    """Counts questions; each is answered by its number, once it is let through."""

    def __init__(self) -> None:
        self.put = 0
        self.let_through = asyncio.Event()
        self.let_through.set()
        self.was_put = asyncio.Event()
        self.put_at: list[float] = []
        self.failure: Exception | None = None

    async def __call__(self) -> int:
        self.put += 1
        number = self.put
        self.put_at.append(time.monotonic())
        self.was_put.set()
        await self.let_through.wait()
        if self.failure is not None:
            raise self.failure
        return number


async def test_all_who_ask_in_one_moment_share_one_question() -> None:
    questions = Questions()
    coalesced = Coalesced(questions, timedelta(milliseconds=10))

    answers = await asyncio.gather(*(coalesced.answer() for _ in range(100)))

    assert set(answers) == {1}


async def test_who_asks_after_a_question_was_put_waits_for_the_next() -> None:
    questions = Questions()
    questions.let_through.clear()
    coalesced = Coalesced(questions, timedelta(0))
    first = asyncio.create_task(coalesced.answer())
    await questions.was_put.wait()

    later = [asyncio.create_task(coalesced.answer()) for _ in range(10)]
    await asyncio.sleep(0)
    questions.let_through.set()

    assert await first == 1
    assert set(await asyncio.gather(*later)) == {2}


async def test_an_answer_is_never_used_twice() -> None:
    coalesced = Coalesced(Questions(), timedelta(0))

    assert [await coalesced.answer() for _ in range(3)] == [1, 2, 3]


async def test_a_recent_answer_is_taken_without_a_wait_and_an_old_one_is_not() -> None:
    questions = Questions()
    coalesced = Coalesced(questions, timedelta(seconds=0.5))

    assert [await coalesced.recent_answer() for _ in range(3)] == [1, 1, 1]
    await asyncio.sleep(0.6)

    assert await coalesced.recent_answer() == 2


async def test_questions_keep_their_distance() -> None:
    questions = Questions()
    coalesced = Coalesced(questions, timedelta(milliseconds=50))

    for _ in range(3):
        await coalesced.answer()

    first, second, third = questions.put_at
    assert min(second - first, third - second) >= 0.049


async def test_who_gives_up_takes_the_question_from_nobody() -> None:
    questions = Questions()
    questions.let_through.clear()
    coalesced = Coalesced(questions, timedelta(0))
    impatient, patient = (asyncio.create_task(coalesced.answer()) for _ in range(2))
    await asyncio.sleep(0)

    impatient.cancel()
    questions.let_through.set()

    assert await patient == 1


async def test_a_failure_is_everybodys_and_the_next_question_is_put_all_the_same() -> None:
    questions = Questions()
    questions.failure = OSError("away")
    coalesced = Coalesced(questions, timedelta(0))

    answers = await asyncio.gather(coalesced.answer(), coalesced.answer(), return_exceptions=True)

    assert [type(answer) for answer in answers] == [OSError, OSError]
    questions.failure = None
    assert await coalesced.answer() == 2


async def test_a_failure_that_nobody_waits_for_is_no_complaint() -> None:
    questions = Questions()
    questions.failure = OSError("away")
    coalesced = Coalesced(questions, timedelta(0))
    asking = asyncio.create_task(coalesced.answer())
    await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    await questions.was_put.wait()
    await asyncio.sleep(0)  # An exception that is never retrieved would fail this test, by `filterwarnings = error`.
    assert questions.put == 1
