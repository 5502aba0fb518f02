"""Waiting for what becomes of inbound events: however many wait, each look is one statement for all of them."""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from collections.abc import Set as AbstractSet
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from orders.errors import UnreachableError

if TYPE_CHECKING:
    from activities.adapters.postgres.reader import InboundKey
    from schemas.activity_io import EventOutcome

FIRST_PAUSE: Final = timedelta(milliseconds=50)
"""Between the first two looks for an event; doubled from each to the next. An outcome takes 100 to 300 ms."""
LONGEST_PAUSE: Final = timedelta(milliseconds=500)
TURN: Final = timedelta(milliseconds=25)
"""From one statement to the next, at least. Whoever is to be looked for within it goes along."""
GRACE: Final = timedelta(seconds=1)
"""How long a look that is under way at the end of somebody's wait may still take. One that hangs takes longer."""

Look = Callable[[AbstractSet["InboundKey"]], Awaitable[Mapping["InboundKey", "EventOutcome"]]]
"""Asks the database which of these events are decided, and how. It raises `UnreachableError`."""


@dataclass(eq=False, slots=True)
class _Waiter:
    key: "InboundKey"
    until: float
    look_at: float
    pause: float = FIRST_PAUSE.total_seconds()
    failure: UnreachableError | None = None
    """Why the last look failed; None where it did not, or there was none."""
    is_answered: bool = False
    """Whether the database has ever answered."""
    found: "asyncio.Future[EventOutcome | None]" = field(default_factory=asyncio.Future)


class OutcomeWatch:
    """Waits for outcomes. Make one with `outcome_watch`, for all tasks of a process.

    Args:
        look: Asks the database.
    """

    def __init__(self, look: Look) -> None:
        self._look = look
        self._waiting: set[_Waiter] = set()
        self._has_more = asyncio.Event()

    async def outcome(self, key: "InboundKey", within: timedelta) -> "EventOutcome | None":
        """What became of an event, as soon as that is recorded.

        It is looked for at once, and then less and less often; at the end of the wait a last time. A database that is
        away in between is asked again.

        Args:
            key: Which event.
            within: The longest wait. With 0 there is one look.

        Returns:
            The outcome; None where none was recorded in time.

        Raises:
            UnreachableError: The database did not answer when it was asked last.
        """
        now = time.monotonic()
        waiter = _Waiter(key, until=now + within.total_seconds(), look_at=now)
        self._waiting.add(waiter)
        self._has_more.set()
        try:
            async with asyncio.timeout((within + GRACE).total_seconds()):
                return await waiter.found
        except TimeoutError:
            if waiter.is_answered and waiter.failure is None:
                return None
            raise waiter.failure or UnreachableError("Postgres does not answer in time") from None
        finally:
            self._waiting.discard(waiter)

    async def run(self) -> None:
        """Looks for whoever waits, for ever."""
        while True:
            until_next = min((one.look_at for one in self._waiting), default=math.inf) - time.monotonic()
            if until_next > 0:
                self._has_more.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(None if until_next == math.inf else until_next):
                        await self._has_more.wait()
                continue
            await self._take_a_turn()
            await asyncio.sleep(TURN.total_seconds())

    async def _take_a_turn(self) -> None:
        now = time.monotonic()
        due = [one for one in self._waiting if one.look_at <= now + TURN.total_seconds() and not one.found.done()]
        try:
            found = await self._look({one.key for one in due})
        except UnreachableError as error:
            for one in due:
                one.failure = error
                _answer_or_go_on(one, None)
        except Exception as error:  # noqa: BLE001 -- whatever it is, it is theirs who wait; the next look is others'
            for one in due:
                if not one.found.done():
                    one.found.set_exception(error)
        else:
            for one in due:
                one.failure, one.is_answered = None, True
                _answer_or_go_on(one, found.get(one.key))


def _answer_or_go_on(waiter: _Waiter, outcome: "EventOutcome | None") -> None:
    now = time.monotonic()
    if waiter.found.done():
        return  # Whoever waited has gone.
    if outcome is not None:
        waiter.found.set_result(outcome)
    elif now < waiter.until:
        waiter.look_at = min(now + waiter.pause, waiter.until)
        waiter.pause = min(2 * waiter.pause, LONGEST_PAUSE.total_seconds())
    elif waiter.failure is not None:
        waiter.found.set_exception(waiter.failure)
    else:
        waiter.found.set_result(None)


@asynccontextmanager
async def outcome_watch(look: Look) -> AsyncIterator[OutcomeWatch]:
    """A watch that looks for as long as the block lasts; without anybody who waits it asks nothing.

    Args:
        look: Asks the database.
    """
    watch = OutcomeWatch(look)
    task = asyncio.create_task(watch.run(), name="outcome watch")
    try:
        yield watch
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
