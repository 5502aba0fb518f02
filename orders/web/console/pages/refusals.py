"""What a person is told whose request came to nothing: a page of the console's own, or a line in its page.

Programs get the problem's document instead: whoever asks for JSON, and everybody at the API's own addresses.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final
from uuid import uuid4

import structlog
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from orders.errors import NotFoundError, NotInTimeError, OrdersError, UnreachableError, UsageError
from orders.web.console.pages.answers import HEADERS, NOBODY, UNKNOWN, Person, go_to, is_partial, part
from orders.web.console.rendering.templates import render
from orders.web.header_fields import header_of, weight_of
from orders.web.identity import identify
from orders.web.identity.sign_in import sign_in_address
from orders.web.identity.site import CONSOLE_PATH
from orders.web.problems import PROBLEM_TYPES, Problem
from orders.web.waiting import ClientGoneError

_log = structlog.get_logger("orders.console")

_FAILED: Final[tuple[int, str]] = (500, "That did not work")
_KINDS: Final[dict[type[OrdersError], tuple[int, str]]] = {
    NotFoundError: (404, "That is not here"),
    UsageError: (422, "That cannot be done"),
    UnreachableError: (503, "A server does not answer"),
    NotInTimeError: (503, "A server does not answer"),
}
_SESSION_OVER: Final = (
    "Your session is over, or you signed out elsewhere. Load this page again to sign in. Nothing was done."
)
_WORDS: Final[dict[str, tuple[str, str]]] = {
    "path_not_found": (
        "There is no such page",
        "Nothing is at this address. It may be mistyped, or from an earlier version of the console.",
    ),
    "method_not_allowed": (
        "This address is no page",
        "It takes what a form of the console sends, and has nothing to show by itself. Nothing was done.",
    ),
    "not_allowed": ("Your role does not allow that", ""),
    "overloaded": ("The server has too much to do", "It serves as many requests as it can. Nothing was done."),
    "too_many_requests": (
        "Too many requests",
        "More was asked for than one may ask for in a minute. Nothing was done.",
    ),
    "stopping": ("The server is being stopped", "It is back in a moment, or another one is in its place."),
    "server_unreachable": ("A server does not answer", ""),
    "internal_error": (_FAILED[1], ""),
}
"""What a page says of a problem in other words than its document does: title, and sentence; "" for the problem's."""
_IDENTITY_NOT_ASKED: Final = frozenset({"overloaded", "too_many_requests", "host_not_local", "cross_site_request"})
"""Of these nobody is asked who it is: that would be one request more."""


class ConsoleRoute(APIRoute):
    """A route whose errors are answered as a page, or as a line in the page that is there."""

    def get_route_handler(self) -> Callable[[Request], Any]:
        """The handler, with its errors caught."""
        handler = super().get_route_handler()

        async def handle(request: Request) -> Response:
            try:
                return await handler(request)
            except (ClientGoneError, HTTPException):
                raise
            except Exception as error:
                if not reads_pages(request):
                    raise
                return await self._told(request, error)

        return handle

    async def _told(self, request: Request, error: Exception) -> Response:
        if isinstance(error, Problem):
            return await _of_problem(request, error)
        if isinstance(error, RequestValidationError):
            sentence = "The form or the address is not one of this page's: load the page again."
            return await _said(request, 422, "That cannot be read", sentence)
        if isinstance(error, OrdersError):
            return await _said(request, *_kind_of(error), str(error))
        instance = str(uuid4())
        _log.error("console.request.failed", instance=instance, method=request.method, route=self.path, exc_info=error)
        return await _said(request, *_FAILED, _found_by(instance))


def reads_pages(request: Request) -> bool:
    """Whether who asks reads a page rather than a document: at the console's addresses, who does not prefer JSON."""
    accept = header_of(request.headers, "accept")
    page, document = weight_of(accept, "text", "html"), weight_of(accept, "application", "json")
    if page[0] == 0 or document > page:
        return False
    # Elsewhere are the API's addresses: a page only for who asks for one by name, as browsers do.
    return _is_of_the_console(request) or page > document


def _is_of_the_console(request: Request) -> bool:
    return f"{request.url.path}/".startswith(f"{CONSOLE_PATH}/")


async def respond(request: Request, problem: Problem) -> Response:
    """The answer that tells of a problem that no route of the console has caught: a page, or the document."""
    is_nowhere = problem.code == "path_not_found" and request.scope.get("route") is None
    if (is_nowhere or _is_of_the_console(request)) and reads_pages(request):
        return await _of_problem(request, problem)
    return problem.response()


def _kind_of(error: OrdersError) -> tuple[int, str]:
    return next((_KINDS[kind] for kind in type(error).__mro__ if kind in _KINDS), _FAILED)


async def _of_problem(request: Request, problem: Problem) -> Response:
    kind = PROBLEM_TYPES[problem.code]
    if kind.status == HTTPStatus.UNAUTHORIZED:
        if request.method == "GET" and not is_partial(request):
            query = f"?{request.url.query}" if request.url.query else ""
            return go_to(sign_in_address(f"{request.url.path}{query}"))
        title, sentence = kind.title, _SESSION_OVER
    else:
        title, sentence = _WORDS.get(problem.code, (kind.title, ""))
        found = "" if problem.instance is None else _found_by(problem.instance)
        sentence = sentence or found or problem.detail or kind.what_to_do
    wait = problem.headers.get("Retry-After")
    if wait is not None and problem.status == HTTPStatus.TOO_MANY_REQUESTS:
        sentence = f"{sentence} Wait {wait} s, then try again."
    answer = await _said(request, problem.status, title, sentence, asks=problem.code not in _IDENTITY_NOT_ASKED)
    answer.headers.update({name: value for name, value in problem.headers.items() if name != "WWW-Authenticate"})
    return answer


def _found_by(instance: str) -> str:
    return f"An operator finds what happened in the server's log, by {instance.removeprefix('urn:uuid:')}."


async def _said(request: Request, status: int, title: str, sentence: str, *, asks: bool = True) -> Response:
    sentence = _whole(sentence)
    if is_partial(request):
        return part("_said.html", status=status, title=title, sentence=sentence)
    who = await _who(request) if asks else UNKNOWN
    again = str(request.url.path) if _may_be_tried_again(request, status) else None
    values = {"now": datetime.now(UTC), "caller": who, "here": "", "title": title, "sentence": sentence}
    sign_in = sign_in_address(request.url.path) if who is NOBODY else None
    home = None if again is not None and request.url.path.rstrip("/") == CONSOLE_PATH else f"{CONSOLE_PATH}/"
    page = render("message.html", try_again=again, sign_in=sign_in, home=home, **values)
    return HTMLResponse(page, status, HEADERS)


def _whole(sentence: str) -> str:
    """A detail or an error's text as a sentence of its own."""
    begun = f"{sentence[:1].upper()}{sentence[1:]}"
    return begun if begun.endswith((".", "!", "?", "…")) else f"{begun}."


def _may_be_tried_again(request: Request, status: int) -> bool:
    passes = status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.TOO_MANY_REQUESTS
    return request.method == "GET" and passes


async def _who(request: Request) -> Person:
    try:
        return Person.of(await identify(request))
    except Problem as problem:
        return NOBODY if problem.status == HTTPStatus.UNAUTHORIZED else UNKNOWN
    except OrdersError:
        return UNKNOWN
