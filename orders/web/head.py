"""HEAD: what GET would answer, without its body. FastAPI's routes know it no more than any other method."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class HeadAnswered:
    """Answers HEAD by what GET answers (RFC 9110, section 9.3.2): probes of load balancers and link checkers send it.

    A stream ends after its headers: to whoever writes it, its client has gone.

    Args:
        app: what serves the requests.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        async def send_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                await send(message)
                await send({"type": "http.response.body", "body": b"", "more_body": False})

        # In the scope itself, as whoever counts the request finds its route there afterwards.
        scope["method"] = "GET"
        try:
            await self._app(scope, receive, send_headers)
        finally:
            scope["method"] = "HEAD"
