"""Server-sent events: an answer that goes on until its client goes, the process stops, or it has lasted long."""

import asyncio
import random
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from activities.adapters.postgres.event_log import LoggedEvent
from orders.errors import OrdersError
from orders.web.subscriptions import Subscription
from orders.web.waiting import gone

MEDIA_TYPE: Final = "text/event-stream"
PING_SECONDS: Final = 15.0
"""Below the idle time-outs of proxies (nginx: 60 s)."""
STREAM_SECONDS_MAX: Final = 900.0
"""How long a stream lasts. Its client then comes again with the last id, and has to show anew who it is."""
_RECONNECT_MS: Final = 1_000
_RETRY_SECONDS: Final = 1.0

Frame = Callable[[LoggedEvent, str], bytes]
"""What a stream sends for an event under an id, which the client gives back as ``Last-Event-ID``; nothing where the
event does not concern it."""


def event_frame(event: LoggedEvent, position: str) -> bytes:
    """An event as it was published."""
    # The payload is JSON on one line: the line ends within its texts are escaped.
    return f"id: {position}\nevent: {event.type}\ndata: {event.payload_json}\n\n".encode()


class EventStream(Response):
    """Sends what a subscription brings. Made by `open`; it ends its subscription when it ends.

    Args:
        subscription: what is sent.
        resources: closed at the end.
        frame: makes of an event what is sent.
        stopping: ends the stream.
        refused: returns once the caller would no longer be let in, which ends the stream.
    """

    def __init__(
        self,
        subscription: Subscription,
        resources: AsyncExitStack,
        frame: Frame,
        stopping: asyncio.Event,
        *,
        refused: Callable[[], Coroutine[Any, Any, None]] | None = None,
    ) -> None:
        super().__init__(media_type=MEDIA_TYPE, headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._subscription = subscription
        self._resources = resources
        self._frame = frame
        self._stopping = stopping
        self._refused = refused

    @classmethod
    async def open(
        cls,
        subscribing: AbstractAsyncContextManager[Subscription],
        stopping: asyncio.Event,
        *,
        frame: Frame = event_frame,
        refused: Callable[[], Coroutine[Any, Any, None]] | None = None,
    ) -> "EventStream":
        """Subscribes, and makes the stream. What is wrong is raised here, while the answer can still have its status.

        Args:
            subscribing: to what; see `LiveFeed`.
            stopping: ends the stream.
            frame: makes of an event what is sent.
            refused: returns once the caller would no longer be let in; see `Gate.until_refused`.

        Raises:
            Problem: `LiveFeed` says why.
            UnreachableError: Postgres does not answer.
        """
        async with AsyncExitStack() as resources:
            subscription = await resources.enter_async_context(subscribing)
            return cls(subscription, resources.pop_all(), frame, stopping, refused=refused)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends until there is a reason to end."""
        async with self._resources:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            # The id comes first: a client that is cut off before the first event comes again with this position.
            began = f"retry: {_RECONNECT_MS}\nid: {self._subscription.position}\n\n".encode()
            await send({"type": "http.response.body", "body": began, "more_body": True})
            lasts = STREAM_SECONDS_MAX * random.uniform(0.8, 1.0)  # noqa: S311 - so that not all come again at once
            ends: list[asyncio.Task[Any]] = [
                asyncio.create_task(gone(Request(scope, receive)), name="stream's client gone"),
                asyncio.create_task(self._stopping.wait(), name="stream stopping"),
                asyncio.create_task(asyncio.sleep(lasts), name="stream's time"),
            ]
            if self._refused is not None:
                ends.append(asyncio.create_task(self._refused(), name="stream's caller refused"))
            try:
                await self._send_until(ends, send)
            finally:
                for task in ends:
                    task.cancel()
                await asyncio.gather(*ends, return_exceptions=True)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send_until(self, ends: Sequence[asyncio.Task[Any]], send: Send) -> None:
        coming = asyncio.create_task(self._next(), name="stream's next events")
        try:
            while True:
                await asyncio.wait((coming, *ends), timeout=PING_SECONDS, return_when=asyncio.FIRST_COMPLETED)
                if any(task.done() for task in ends):
                    return
                if not coming.done():
                    await send({"type": "http.response.body", "body": self._comment(), "more_body": True})
                    continue
                frames = b"".join(self._frame(one, self._subscription.position_of(one)) for one in coming.result())
                coming = asyncio.create_task(self._next(), name="stream's next events")
                if frames:
                    await send({"type": "http.response.body", "body": frames, "more_body": True})
        finally:
            coming.cancel()
            await asyncio.gather(coming, return_exceptions=True)

    def _comment(self) -> bytes:
        """A comment that keeps the connection alive. It says what holds the stream up, for a person who looks."""
        return f": {self._subscription.held_up_by or ''}\n\n".encode()

    async def _next(self) -> Sequence[LoggedEvent]:
        """The next events; waits while Postgres is away, as the client would have to."""
        while True:
            try:
                return await self._subscription.next()
            except OrdersError:
                await asyncio.sleep(_RETRY_SECONDS)
