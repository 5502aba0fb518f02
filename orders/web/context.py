"""What every route and page needs: settings, clients of the servers, and whether the process is about to stop."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Annotated, Final, TypeVar

from fastapi import Depends
from starlette.requests import HTTPConnection, Request

from orders.clients.opened import Clients
from orders.operations.reachability import Reachability
from orders.settings import Settings
from orders.web.problems import Problem
from orders.web.replays import ReplayDesk
from orders.web.streams import LiveFeed
from orders.web.waiting import while_wanted

SCANS_MAX: Final = 3
"""Topics of Kafka are read from end to end by so many requests at once."""
SCAN_WAIT_SECONDS: Final = 10.0

Found = TypeVar("Found")


@dataclass(slots=True)
class WebContext:
    """One for each process; `orders.web.app.make_app` keeps it as ``app.state.context``."""

    clients: Clients
    servers: Reachability
    feed: LiveFeed
    replays: ReplayDesk
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the process begins to stop. Whatever waits or streams ends then, at once."""
    _scans: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(SCANS_MAX))

    @property
    def settings(self) -> Settings:
        """The process's settings."""
        return self.clients.settings

    @asynccontextmanager
    async def scanning(self) -> AsyncIterator[None]:
        """Waits for one of `SCANS_MAX` turns to read whole topics of Kafka, and holds it while the block lasts.

        Raises:
            Problem: the others took too long.
        """
        try:
            async with asyncio.timeout(SCAN_WAIT_SECONDS):
                await self._scans.acquire()
        except TimeoutError:
            raise Problem("overloaded", "others are reading Kafka's topics") from None
        try:
            yield
        finally:
            self._scans.release()

    async def scan(self, request: Request, look: Callable[[], Awaitable[Found]]) -> Found:
        """Reads whole topics of Kafka for a client, when it is its turn; ends with the client, and with the process.

        Args:
            request: whose client waits; its body has been read.
            look: reads.

        Raises:
            Problem: the others took too long, or the process stops.
            ClientGoneError: the client went away first.
        """

        async def in_its_turn() -> Found:
            async with self.scanning():
                return await look()

        found = await while_wanted(request, self.stopping, in_its_turn())
        if found is None:
            raise Problem("stopping", "Kafka's topics were not read to their end")
        return found


def context_of(connection: HTTPConnection) -> WebContext:
    """The context of the application that serves this request."""
    context: WebContext = connection.app.state.context
    return context


async def _context(connection: HTTPConnection) -> WebContext:
    """Async although it awaits nothing: FastAPI runs other functions in a thread, which costs a fifth of a request."""
    return context_of(connection)


Web = Annotated[WebContext, Depends(_context)]
"""Parameter of a route: the process's context."""
