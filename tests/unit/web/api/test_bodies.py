"""Bodies as they come: none, too long however that is told, and one whose sender goes away."""

from collections.abc import Sequence

import pytest
from starlette.requests import Request
from starlette.types import Message

from orders.web.api.bodies import read_bytes
from orders.web.context import WebContext
from orders.web.contract import unconnected_app
from orders.web.problems import Problem
from orders.web.waiting import ClientGoneError

BYTES_MAX = 100
IN_PARTS = {"transfer-encoding": "chunked", "content-type": "application/json"}


@pytest.fixture
def web() -> WebContext:
    context: WebContext = unconnected_app().state.context
    return context


class Sender:
    """Sends a body in parts, then its end or nothing more."""

    def __init__(self, *parts: bytes, goes_away: bool = False) -> None:
        last: Message = {"type": "http.disconnect"} if goes_away else {"type": "http.request", "body": b""}
        self.left: list[Message] = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
        self.left.append(last)

    async def receive(self) -> Message:
        return self.left.pop(0)


async def read(web: WebContext, sender: Sender, headers: dict[str, str]) -> bytes:
    encoded: Sequence[tuple[bytes, bytes]] = [(name.encode(), value.encode()) for name, value in headers.items()]
    request = Request({"type": "http", "method": "POST", "headers": encoded}, sender.receive)
    return await read_bytes(request, web, BYTES_MAX)


async def test_a_body_that_ends_before_its_first_byte_is_none_whatever_its_type(web: WebContext) -> None:
    assert await read(web, Sender(), {"transfer-encoding": "chunked"}) == b""


async def test_a_body_of_the_longest_that_is_taken_is_read_whole(web: WebContext) -> None:
    assert await read(web, Sender(b" " * 60, b" " * 40), IN_PARTS) == b" " * BYTES_MAX


@pytest.mark.parametrize(
    ("sender", "headers", "unread"),
    [
        (Sender(b" " * 101), IN_PARTS, 0),
        (Sender(*[b" " * 100] * 9), IN_PARTS, 5),
        (Sender(), {"content-length": "401", "content-type": "application/json"}, 1),
    ],
    ids=["a little too long", "without an end in sight", "by its own word"],
)
async def test_of_a_body_that_is_too_long_no_more_is_read_than_lets_the_answer_reach_its_sender(
    web: WebContext, sender: Sender, headers: dict[str, str], unread: int
) -> None:
    with pytest.raises(Problem, match="the body has more than 100 bytes") as refused:
        await read(web, sender, headers)
    assert (refused.value.code, refused.value.headers) == ("body_too_large", {"Connection": "close"})
    assert len(sender.left) == unread


async def test_a_sender_that_goes_away_before_the_end_has_sent_nothing(web: WebContext) -> None:
    with pytest.raises(ClientGoneError):
        await read(web, Sender(b"{", goes_away=True), IN_PARTS)
