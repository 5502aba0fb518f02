"""Waiting for a condition with a deadline, so that no test sleeps and hopes."""

import asyncio
import inspect
import os
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TypeVar, overload

POLL_INTERVAL_SECONDS = 0.05
CORES = os.cpu_count() or 1

Value = TypeVar("Value")


def share_of_the_machine() -> float:
    """How much of it one more process gets: 1 where there is a core for it, less where others wait for one."""
    return min(1.0, CORES / max(os.getloadavg()[0], 1.0))


class Patience:
    """A limit in seconds of a machine that has time: where others wait for its cores, it takes as much longer.

    So no test fails for what else the machine does, and on an idle one what never comes is found soon.
    """

    def __init__(
        self,
        seconds: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        share: Callable[[], float] = share_of_the_machine,
    ) -> None:
        """Begins now.

        Args:
            seconds: The limit.
            clock: In seconds; another one is for tests of this class.
            share: How much of the machine there is at this moment, from 0 to 1.
        """
        self._seconds = seconds
        self._clock = clock
        self._share = share
        self._used = 0.0
        self._seen = clock()

    def is_over(self) -> bool:
        """Whether the limit is reached; to be asked often, as the share holds for the time since it was asked last."""
        now = self._clock()
        self._used += (now - self._seen) * self._share()
        self._seen = now
        return self._used >= self._seconds


def patient_seconds(seconds: float) -> float:
    """How long that many seconds of a machine that has time take on this one now."""
    return seconds / share_of_the_machine()


def patient_timeout(seconds: float) -> asyncio.Timeout:
    """``asyncio.timeout``, for seconds of a machine that has as much time as it has now."""
    return asyncio.timeout(patient_seconds(seconds))


@contextmanager
def in_time(seconds: float) -> Iterator[None]:
    """Fails where the block takes longer than is promised, in seconds of a machine that has time (see ``Patience``)."""
    patience = Patience(seconds)
    yield
    assert not patience.is_over(), f"it took longer than {seconds:g} s"


@overload
async def assert_eventually(
    condition: Callable[[], Awaitable[Value]],
    timeout: float | timedelta = ...,  # noqa: ASYNC109 -- as below
    message: str | Callable[[], str] = ...,
) -> Value: ...


@overload
async def assert_eventually(
    condition: Callable[[], Value],
    timeout: float | timedelta = ...,  # noqa: ASYNC109 -- as below
    message: str | Callable[[], str] = ...,
) -> Value: ...


async def assert_eventually(
    condition: Callable[[], Value | Awaitable[Value]],
    timeout: float | timedelta = 10.0,  # noqa: ASYNC109 -- it bounds many calls of the condition, and names what was missing
    message: str | Callable[[], str] = "the condition",
) -> Value:
    """Calls the condition until it gives something true.

    An ``AssertionError`` from the condition counts as "not yet", and is the cause of the failure in the end, so that a
    condition may itself be made of assertions (return True after them). Any other exception is passed on at once.

    Args:
        condition: A function, sync or async, called every 50 ms. A sync one must not block.
        timeout: How long to go on, in seconds of a machine that has time (see ``Patience``) or as a timedelta of them.
            The condition is called at least once, also after it.
        message: What was awaited, for the failure; a function where it should say what was seen last.

    Returns:
        What the condition gave.

    Raises:
        AssertionError: It did not come true in time.
    """
    limit = timeout.total_seconds() if isinstance(timeout, timedelta) else timeout
    patience = Patience(limit)
    last_failure: AssertionError | None = None
    while True:
        late = patience.is_over()
        try:
            outcome = condition()
            value: Value = await outcome if inspect.isawaitable(outcome) else outcome
        except AssertionError as failure:
            last_failure = failure
        else:
            last_failure = None
            if value:
                return value
        if late:
            text = message() if callable(message) else message
            raise AssertionError(f"not within {limit:g} s: {text}") from last_failure
        await asyncio.sleep(POLL_INTERVAL_SECONDS)


async def assert_as_long_as_it_moves(
    condition: Callable[[], Awaitable[bool]],
    progress: Callable[[], object],
    still_seconds: float,
    message: Callable[[], str],
    *,
    clock: Callable[[], float] = time.monotonic,
    share: Callable[[], float] = share_of_the_machine,
) -> None:
    """Calls the condition until it is true, for as long as something of the work moves.

    How long a piece of work takes depends on what else the machine does, and a limit for the whole of it fails on a
    busy one. That nothing of it moves any more does not: work that is stuck is found, and slow work is waited for.

    Args:
        condition: Called every 50 ms.
        progress: What has been done so far, as the condition found it. It must come to an end, as the work does.
        still_seconds: How long it may stay the same, of a machine that has time.
        message: What was awaited, for the failure.
        clock: In seconds; another one is for tests of this function.
        share: As for ``Patience``.

    Raises:
        AssertionError: Nothing has moved for too long.
    """
    seen, patience = progress(), Patience(still_seconds, clock=clock, share=share)
    while not await condition():
        if (now := progress()) != seen:
            seen, patience = now, Patience(still_seconds, clock=clock, share=share)
        elif patience.is_over():
            raise AssertionError(f"nothing has moved for {still_seconds:g} s: {message()}; done so far: {seen}")
        await asyncio.sleep(POLL_INTERVAL_SECONDS)


async def answered(
    call: Callable[[], Awaitable[Value]], passes: Callable[[Exception], bool], *, within_seconds: float
) -> Value:
    """Repeats a call, every 50 ms, as long as it fails in a way that passes.

    Args:
        call: Made anew for each attempt.
        passes: Whether a failure is one that is waited out; any other is passed on at once.
        within_seconds: How long to go on, of a machine that has time.

    Raises:
        TimeoutError: It did not pass in time; the last failure is its cause.
    """
    patience = Patience(within_seconds)
    while True:
        try:
            return await call()
        except Exception as error:
            if not passes(error):
                raise
            if patience.is_over():
                raise TimeoutError(f"not within {within_seconds:g} s: {error}") from error
        await asyncio.sleep(POLL_INTERVAL_SECONDS)
