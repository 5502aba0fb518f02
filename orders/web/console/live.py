"""Pages that stay up to date: what changed is sent to them as it happens, over one open answer for each page.

What is sent is the page's present content, and not the change: so a page that was cut off, or whose server was
started again, misses nothing, whatever happened meanwhile. The first thing that a page hears is how things are.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import aclosing, suppress
from datetime import timedelta
from functools import lru_cache, partial
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from orders.errors import OrdersError
from orders.web.console.rendering.templates import render
from orders.web.identity import Identity
from orders.web.identity.dependencies import gate_of
from orders.web.problems import Problem
from orders.web.subscriptions import News, Subscription
from orders.web.waiting import gone

PING_SECONDS: Final = 15.0
"""Below the idle time-outs of proxies (nginx: 60 s)."""
STREAM_SECONDS_MAX: Final = 900.0
"""A stream ends and its page comes again."""
GATHER_SECONDS: Final = 0.2
"""What happens within this time is sent together: a page is drawn at most so often."""
RETRY_SECONDS: Final = 2.0
_RECONNECT_MS: Final = 500

LOST: Final = (OrdersError, Problem)
"""Errors that hold a page up and pass by themselves: a server that is away, too many streams. The page is told, and
looks anew."""

Pieces = AsyncIterator[tuple[str, str]]
"""What is sent, each with its name: markup for the page; empty to show that the connection lives."""


class PageStream(Response):
    """Sends pieces of a page until its client goes, the process stops, or it has lasted long.

    Args:
        pieces: makes what is sent.
        stopping: ends the stream.
        refused: returns once who reads would no longer be let in, which ends the stream; see `Gate.until_refused`.
    """

    def __init__(
        self, pieces: Callable[[], Pieces], stopping: asyncio.Event, refused: Callable[[], Coroutine[Any, Any, None]]
    ) -> None:
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        super().__init__(media_type="text/event-stream", headers=headers)
        del self.headers["content-length"]
        self._pieces = pieces
        self._stopping = stopping
        self._refused = refused

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends until there is a reason to end."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await _send(send, b"retry: %d\n\n" % _RECONNECT_MS)
        tasks: list[asyncio.Task[Any]] = [
            asyncio.create_task(self._send_all(send), name="page's pieces"),
            asyncio.create_task(gone(Request(scope, receive)), name="page gone"),
            asyncio.create_task(self._stopping.wait(), name="page's server stopping"),
            asyncio.create_task(self._refused(), name="page's reader refused"),
            asyncio.create_task(asyncio.sleep(STREAM_SECONDS_MAX * random.uniform(0.8, 1.0)), name="page's time"),  # noqa: S311 - spreads reconnections
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if tasks[0].done():
                tasks[0].result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send_all(self, send: Send) -> None:
        async with aclosing(self._pieces()) as pieces:  # type: ignore[type-var] # An async generator in each case.
            async for name, markup in pieces:
                await _send(send, frame(name, markup))


def until_refused(request: Request, who: Identity) -> Callable[[], Coroutine[Any, Any, None]]:
    """Makes what waits until a page's reader would no longer be let in: the session is over, or the key is revoked."""
    return partial(gate_of(request).until_refused, request, who)


@lru_cache(maxsize=8)
def frame(name: str, markup: str) -> bytes:
    """A piece as it stands in the stream; a comment where there is nothing to say.

    It is cached, as many windows are sent the same piece.
    """
    if not markup:
        return b": \n\n"
    lines = "".join(f"data: {line}\n" for line in markup.split("\n") if line.strip())
    return f"id: {name}\n{lines}\n".encode("utf-8", "replace")


async def news(subscription: Subscription | News) -> bool:
    """Waits for the next event, and for what comes with it; False where none has come for long.

    Raises:
        UnreachableError: Postgres does not answer.
    """
    try:
        async with asyncio.timeout(PING_SECONDS):
            await subscription.next()
    except TimeoutError:
        return False
    await asyncio.sleep(GATHER_SECONDS)
    return True


async def wait_for(event: asyncio.Event, at_most: timedelta) -> None:
    """Waits until the event is set, or for so long."""
    with suppress(TimeoutError):
        async with asyncio.timeout(at_most.total_seconds()):
            await event.wait()


async def merged(*sources: Pieces) -> Pieces:
    """The pieces of several sources as they come; none of them ends by itself."""
    coming: asyncio.Queue[tuple[str, str] | Exception] = asyncio.Queue(maxsize=1)

    async def take(source: Pieces) -> None:
        try:
            async for piece in source:
                await coming.put(piece)
        except Exception as error:  # noqa: BLE001 - raised where the pieces are read
            await coming.put(error)

    taking = [asyncio.create_task(take(source), name="page's part") for source in sources]
    try:
        while True:
            piece = await coming.get()
            if isinstance(piece, Exception):
                raise piece
            yield piece
    finally:
        for task in taking:
            task.cancel()
        await asyncio.gather(*taking, return_exceptions=True)


def trouble(error: Exception) -> str:
    """The markup that tells a page why it cannot be kept up to date for now."""
    return render("_trouble.html", sentence=str(error))


async def _send(send: Send, body: bytes) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": True})
