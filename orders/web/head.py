"""HEAD is answered as GET, without the body. FastAPI's routes refuse HEAD unless they are told of it one by one."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class HeadAnswered:
    """Answers HEAD by what GET answers (RFC 9110, section 9.3.2): probes of load balancers and link checkers send it.

    Of a stream only the headers are sent. The stream then ends as if its client had gone.

    Args:
        app: what serves the requests.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        if scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        async def send_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                await send(message)
                await send({"type": "http.response.body", "body": b"", "more_body": False})

        # The scope is changed and not copied: the middleware that counts requests reads the route from it afterwards.
        scope["method"] = "GET"
        try:
            await self._app(scope, receive, send_headers)
        finally:
            scope["method"] = "HEAD"
