"""Pages that stay up to date: what a stream sends, and what ends it."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from starlette.types import Message

from orders.web.console.live import PageStream, Pieces, frame, merged
from tests.helpers.system.waiting import patient_timeout


class Page:
    """A browser's page at the other end of a stream."""

    def __init__(self) -> None:
        self.sent: list[Message] = []
        self.leaves = asyncio.Event()

    async def receive(self) -> Message:
        await self.leaves.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        self.sent.append(message)

    @property
    def text(self) -> str:
        return b"".join(message.get("body", b"") for message in self.sent).decode()


async def never() -> None:
    await asyncio.Event().wait()


async def once(name: str, markup: str) -> Pieces:
    yield name, markup
    await never()


async def read(page: Page, stopping: asyncio.Event, refused: Callable[[], Coroutine[Any, Any, None]]) -> None:
    stream = PageStream(lambda: once("1", "<p>\n\none</p>"), stopping, refused)
    async with patient_timeout(30):
        await stream({"type": "http"}, page.receive, page.send)


async def test_a_stream_ends_when_its_reader_would_no_longer_be_let_in() -> None:
    page, refused = Page(), asyncio.Event()

    async def until_refused() -> None:
        await refused.wait()

    reading = asyncio.create_task(read(page, asyncio.Event(), until_refused))
    while "one</p>" not in page.text:
        assert not reading.done()
        await asyncio.sleep(0)
    refused.set()
    await reading
    assert page.sent[-1] == {"type": "http.response.body", "body": b"", "more_body": False}


async def test_a_stream_ends_with_its_page_and_with_its_server() -> None:
    for is_the_page in (True, False):
        page, stopping = Page(), asyncio.Event()
        (page.leaves if is_the_page else stopping).set()
        await read(page, stopping, never)
        assert page.sent[-1]["more_body"] is False


def test_a_piece_is_one_event_whatever_lines_it_has() -> None:
    assert frame("7", "<p>\n\none</p>") == b"id: 7\ndata: <p>\ndata: one</p>\n\n"
    assert frame("7", "") == b": \n\n"


async def test_pieces_of_several_sources_come_as_they_come() -> None:
    pieces = merged(once("a", "1"), once("b", "2"))
    assert {await anext(pieces), await anext(pieces)} == {("a", "1"), ("b", "2")}
    await pieces.aclose()  # type: ignore[attr-defined] # An async generator.


async def test_a_source_that_fails_ends_the_others() -> None:
    ended = asyncio.Event()

    async def goes_on() -> Pieces:
        try:
            await never()
        finally:
            ended.set()
        yield "never", ""

    async def fails() -> Pieces:
        yield "a", "1"
        raise ValueError("broken")

    pieces = merged(goes_on(), fails())
    assert await anext(pieces) == ("a", "1")
    with pytest.raises(ValueError, match="broken"):
        await anext(pieces)
    assert ended.is_set()
