"""A span for each request, which the events that it sends belong to."""

import random
from typing import Final

from opentelemetry import context
from opentelemetry.context import Context
from opentelemetry.trace import SpanKind, Status, StatusCode, Tracer, get_current_span, set_span_in_context
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from orders.telemetry.spans import context_of
from orders.web.metrics import METHODS

_SERVER_ERROR: Final = 500


class TracedRequests:
    """Traces requests: one that comes with a trace as its sender has decided, of the others a share.

    Args:
        app: what serves the requests.
        tracer: makes the spans.
        ratio: which share of the requests that come without a trace begins one, from 0 to 1.
    """

    def __init__(self, app: ASGIApp, *, tracer: Tracer, ratio: float) -> None:
        self._app = app
        self._tracer = tracer
        self._ratio = ratio

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        parent = self._parent(scope)
        if parent is None:
            await self._app(scope, receive, send)
            return
        method = scope["method"] if scope["method"] in METHODS else "other"
        span = self._tracer.start_span(
            method, parent, kind=SpanKind.SERVER, attributes={"http.request.method": method}
        )  # fmt: skip
        status: list[int] = []

        async def noting(message: Message) -> None:
            if message["type"] == "http.response.start":
                status.append(message["status"])
            await send(message)

        token = context.attach(set_span_in_context(span))
        try:
            await self._app(scope, receive, noting)
        finally:
            context.detach(token)
            # The route's template, not the path, which may hold what a customer typed.
            route = str(getattr(scope.get("route"), "path", "none"))
            span.update_name(f"{method} {route}")
            span.set_attribute("http.route", route)
            if status:
                span.set_attribute("http.response.status_code", status[0])
            if not status or status[0] >= _SERVER_ERROR:
                span.set_status(Status(StatusCode.ERROR))
            span.end()

    def _parent(self, scope: Scope) -> Context | None:
        """What the request's span follows; None where there is to be no span."""
        names = {b"traceparent", b"tracestate"}
        carrier = {name.decode(): value.decode("latin-1") for name, value in scope["headers"] if name in names}
        found = context_of(carrier)
        sender = get_current_span(found).get_span_context()
        if sender.is_valid:
            return found if sender.trace_flags.sampled else None
        # A share, not a secret.
        return Context() if random.random() < self._ratio else None  # noqa: S311
