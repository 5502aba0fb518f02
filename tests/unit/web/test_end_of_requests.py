"""What the server's end does to requests that go on: each is answered, unless its answer has begun."""

import asyncio

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from orders.settings import Settings
from orders.web.middleware import Guarded
from orders.web.server import address_of, listening_socket, serve


class NeverOver:
    """An application that goes on for ever, with an answer that has begun or has not."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        if scope["path"] == "/begun":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"a part", "more_body": True})
        self.asked.set()
        await asyncio.Event().wait()


async def answer_at_the_end(path: str) -> httpx.Response:
    """What becomes of a request that is under way when the server is ended."""
    settings, stopping, app = Settings(_env_file=None, api_port=0), asyncio.Event(), NeverOver()
    with listening_socket(settings) as listening:
        serving = asyncio.create_task(serve(Guarded(app, requests_max=1), settings, listening, stopping))
        async with httpx.AsyncClient(timeout=60) as http:
            asking = asyncio.create_task(http.get(f"{address_of(listening)}{path}"))
            await app.asked.wait()
            stopping.set()
            await serving
            return await asking


async def test_it_is_answered_that_it_was_given_up() -> None:
    answer = await answer_at_the_end("/")
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (503, "stopping"), problem
    assert "may have been done" in problem["detail"]
    assert answer.headers["retry-after"]
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_an_answer_that_has_begun_is_not_taken_for_whole() -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        await answer_at_the_end("/begun")
