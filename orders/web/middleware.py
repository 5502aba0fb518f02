"""What happens around every request, as plain ASGI: bounds, headers, the log, and the last catch of errors."""

import asyncio
import time
from collections.abc import Iterable
from typing import Final

import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from orders.web.metrics import METHODS, REQUEST_SECONDS, REQUESTS, REQUESTS_IN_PROGRESS
from orders.web.problems import Problem, Respond, as_document, new_instance

_log = structlog.get_logger("orders.api")

HEADERS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
)
"""Of every answer, unless the route gives its own."""
_SERVER_ERROR: Final = 500


class Guarded:
    """Serves a bounded number of requests at once, and answers also what fails unforeseen, or is given up at the end.

    Not Starlette's BaseHTTPMiddleware, which keeps a route from hearing that its client has gone.

    Args:
        app: what serves the requests.
        requests_max: most at once, streams and waits included; more are answered with 503 at once.
        respond: makes the answer for a problem.
    """

    def __init__(self, app: ASGIApp, *, requests_max: int, respond: Respond = as_document) -> None:
        self._app = app
        self._requests_max = requests_max
        self._respond = respond
        self._requests = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        answer = _Answer(send)
        self._requests += 1
        REQUESTS_IN_PROGRESS.inc()
        try:
            if self._requests > self._requests_max:
                detail = f"{self._requests_max} requests are being served"
                refusal = await self._response(scope, receive, Problem("overloaded", detail))
                await refusal(scope, receive, answer.send)
                return
            await self._app(scope, receive, answer.send)
        except Exception:
            instance = new_instance()
            # The log has the trace; whoever sent the request has the instance that finds it.
            _log.exception("api.request.failed", instance=instance, method=scope["method"], route=_route_of(scope))
            if answer.status is not None:
                raise  # It has begun: the server closes the connection, so that nobody takes it for whole.
            failure = await self._response(scope, receive, Problem("internal_error", instance=instance))
            await failure(scope, receive, answer.send)
        except asyncio.CancelledError:
            # By `orders.web.server`, once the process has to end: nothing else cancels a request.
            if answer.status is not None:
                raise
            detail = "the request was not over when the API had to end, and what it asks for may have been done"
            given_up = await self._response(scope, receive, Problem("stopping", detail))
            await given_up(scope, receive, answer.send)
        finally:
            self._requests -= 1
            REQUESTS_IN_PROGRESS.dec()
            answer.count(scope)
            answer.log(scope)

    async def _response(self, scope: Scope, receive: Receive, problem: Problem) -> Response:
        try:
            return await self._respond(Request(scope, receive), problem)
        except Exception:  # noqa: BLE001 - what failed may be what makes pages; the document needs nothing
            _log.exception("api.answer.failed", code=problem.code)
            return problem.response()


class _Answer:
    """One answer on its way out."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._began = time.monotonic()
        self._answered: float | None = None
        self.status: int | None = None

    async def send(self, message: Message) -> None:
        """Sends a part of the answer; the first one gets our headers."""
        if message["type"] == "http.response.start":
            self.status, self._answered = message["status"], time.monotonic()
            message = {**message, "headers": [*message["headers"], *_missing(message["headers"])]}
        await self._send(message)

    def count(self, scope: Scope) -> None:
        """Counts the request, and how long it took until its answer began."""
        method, route = scope["method"], _route_of(scope)
        method = method if method in METHODS else "other"
        REQUESTS.labels(method, route, self.status or 0).inc()
        if self._answered is not None:
            REQUEST_SECONDS.labels(method, route).observe(self._answered - self._began)

    def log(self, scope: Scope) -> None:
        """A line for each request that changed something or failed; the others only for who looks closely."""
        status = self.status or 0
        say = _log.info if scope["method"] not in ("GET", "HEAD") or status >= _SERVER_ERROR else _log.debug
        took_ms = round((time.monotonic() - self._began) * 1_000)
        say("api.request.answered", method=scope["method"], route=_route_of(scope), status=status, took_ms=took_ms)


def _missing(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    there = {name.lower() for name, _ in headers}
    return [(name, value) for name, value in HEADERS if name not in there]


def _route_of(scope: Scope) -> str:
    """The route's template, not the path, which may hold what a customer typed."""
    return str(getattr(scope.get("route"), "path", "none"))
