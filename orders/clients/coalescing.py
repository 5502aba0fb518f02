"""One answer for all who ask at the same time."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Generic, TypeVar

Answer = TypeVar("Answer")


class Coalesced(Generic[Answer]):
    """Asks a question at most once in an interval, for everybody who has asked by then.

    Nobody is given an answer to a question that was put before they asked. So no clock decides whether an answer is
    fresh enough, and two machines whose clocks differ cannot be wrong about it.

    Args:
        ask: Puts the question.
        interval: From one question to the next, at least. The first of a while is put at once.
    """

    def __init__(self, ask: Callable[[], Awaitable[Answer]], interval: timedelta) -> None:
        self._ask = ask
        self._interval_seconds = interval.total_seconds()
        self._last: tuple[float, Answer] | None = None
        """When the last question was put that was answered, and its answer."""
        self._next: asyncio.Task[Answer] | None = None
        """The question that is not put yet; None where nobody waits for one."""
        self._may_ask_at = 0.0
        self._asking = asyncio.Lock()

    async def answer(self) -> Answer:
        """The answer to a question that is put after this call began.

        A cancelled call leaves the question to the others.
        """
        if self._next is None:
            self._next = asyncio.create_task(self._put(), name="coalesced question")
            self._next.add_done_callback(_take_note)
        return await asyncio.shield(self._next)

    async def recent_answer(self) -> Answer:
        """The last answer, where its question was put within the interval; else the next one.

        For who asks whether something has come true that stays true. It does not wait where others have just asked.
        """
        if self._last is not None and time.monotonic() - self._last[0] < self._interval_seconds:
            return self._last[1]
        return await self.answer()

    async def _put(self) -> Answer:
        async with self._asking:
            await asyncio.sleep(max(0.0, self._may_ask_at - time.monotonic()))
            # Whoever asks from here on waits for the next one.
            self._next = None
            put_at = time.monotonic()
            self._may_ask_at = put_at + self._interval_seconds
            answer = await self._ask()
            self._last = put_at, answer
            return answer


def _take_note(task: "asyncio.Task[Answer]") -> None:
    """Takes note of a failure that nobody waits for any more, of which Python would complain."""
    if not task.cancelled():
        task.exception()
