"""What the console keeps in its process, and can do without after a restart."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Annotated, Final, Generic, TypeVar

from fastapi import Depends, FastAPI
from starlette.requests import HTTPConnection

from orders.operations.dead_letters.prospects import Prospect
from orders.web.console.views.pace import Paces
from orders.web.console.views.system import SystemPage
from orders.web.console.waiting_board import Boards

PLANS_MAX: Final = 100
"""Dry runs that are remembered beside their replays, the newest."""

Kept = TypeVar("Kept")


class Recent(Generic[Kept]):
    """Keeps the last answer to an expensive question, for all who ask soon after it.

    Args:
        seconds: how long an answer is kept.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._lock = asyncio.Lock()
        self._last: tuple[float, Kept] | None = None

    async def get(self, ask: Callable[[], Awaitable[Kept]]) -> Kept:
        """The last answer where it is recent; else the question is put, once for all who wait."""
        async with self._lock:
            if self._last is None or time.monotonic() - self._last[0] > self._seconds:
                answer = await ask()
                self._last = time.monotonic(), answer
            return self._last[1]


@dataclass(slots=True)
class ConsoleState:
    """One for each process."""

    system: Recent[SystemPage] = field(default_factory=lambda: Recent(2.0))
    """Pages ask every 5 s, and each look opens a connection to Kafka."""
    paces: Paces = field(default_factory=Paces)
    """How far the bridges were at the looks before."""
    boards: Boards = field(default_factory=Boards)
    """The lists of waiting orders that are open in windows."""
    plans: OrderedDict[str, tuple[Prospect, ...]] = field(default_factory=OrderedDict)
    """What each replay was expected to do, by the replay's id."""

    def keep_plan(self, replay_id: str, plan: tuple[Prospect, ...]) -> None:
        """Remembers a dry run, in the place of the oldest where there are many."""
        self.plans[replay_id] = plan
        while len(self.plans) > PLANS_MAX:
            self.plans.popitem(last=False)


def install(app: FastAPI) -> None:
    """Gives an application its state."""
    app.state.console = ConsoleState()


async def state_of(connection: HTTPConnection) -> ConsoleState:
    """The state of the application that serves this request; async, as FastAPI has a thread run what is not."""
    state: ConsoleState = connection.app.state.console
    return state


State = Annotated[ConsoleState, Depends(state_of)]
"""Parameter of a route."""
