"""Answers of the console: pages with their headers, parts of pages, and errors as pages."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Final
from urllib.parse import quote
from uuid import uuid4

import structlog
from fastapi import Depends
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from orders.errors import NotFoundError, NotInTimeError, OrdersError, UnreachableError, UsageError
from orders.web.console.rendering.templates import render
from orders.web.identity import Identity, Role, identify, requires
from orders.web.identity.sign_in import SIGN_IN_PATH, SIGN_OUT_PATH
from orders.web.problems import PROBLEM_TYPES, Problem
from orders.web.waiting import ClientGoneError

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
"""What a page of ours may do in a browser: run our files and talk to us."""
HEADERS: Final = {"Content-Security-Policy": POLICY, "Cache-Control": "no-store", "Vary": "HX-Request"}

Viewer = Annotated[Identity, Depends(requires(Role.VIEWER))]
Approver = Annotated[Identity, Depends(requires(Role.APPROVER))]
Operator = Annotated[Identity, Depends(requires(Role.OPERATOR))]


@dataclass(frozen=True, slots=True)
class Person:
    """Who looks at a page, as the page says it."""

    name: str
    roles_in_words: str
    sign_out: str | None
    """Where a form leads that signs out; None for who is not signed in by a session."""

    @classmethod
    def of(cls, identity: Identity) -> "Person":
        """The person of an identity."""
        highest = next((role.value for role in reversed(Role) if role in identity.roles), "no role")
        return cls(identity.name, highest, SIGN_OUT_PATH if identity.via == "session" else None)


NOBODY: Final = Person("nobody", "not signed in", None)


def is_partial(request: Request) -> bool:
    """Whether the page's script asks, which puts the answer into the page that is there."""
    return request.headers.get("HX-Request") == "true"


def page(template: str, identity: Identity, *, here: str = "", status: int = 200, **values: Any) -> HTMLResponse:
    """A whole page.

    Args:
        template: the file's name.
        identity: who looks at it.
        here: which entry of the menu it belongs to.
        status: of HTTP.
        values: what the page shows.
    """
    values = {"now": datetime.now(UTC), "caller": Person.of(identity), "here": here, **values}
    return HTMLResponse(render(template, **values), status, HEADERS)


def part(template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
    """A part of a page, for the page's script."""
    return HTMLResponse(render(template, **{"now": datetime.now(UTC), **values}), status, HEADERS)


def go_to(path: str) -> RedirectResponse:
    """Has the browser load another page, also after a form."""
    return RedirectResponse(path, 303, HEADERS)


class ConsoleRoute(APIRoute):
    """A route whose errors are answered as a page, or as a line in the page that is there."""

    def get_route_handler(self) -> Callable[[Request], Any]:
        """The handler, with its errors caught."""
        handler = super().get_route_handler()

        async def handle(request: Request) -> Response:
            try:
                return await handler(request)
            except Problem as problem:
                return await _of_problem(request, problem)
            except RequestValidationError:
                return await _said(
                    request,
                    422,
                    "That cannot be read",
                    "The form or the address is not one of this page's: load the page again.",
                )
            except OrdersError as error:
                return await _said(request, *_kind_of(error), str(error))
            except (ClientGoneError, HTTPException):
                raise
            except Exception:  # noqa: BLE001 - a person gets a page, the log has the trace
                instance = str(uuid4())
                _log.exception("console.request.failed", instance=instance, method=request.method, route=self.path)
                return await _said(
                    request, *_FAILED, f"An operator finds what happened in the server's log, by {instance}."
                )

        return handle


_log = structlog.get_logger("orders.console")

_FAILED: Final = (500, "That did not work")
_KINDS: Final[dict[type[OrdersError], tuple[int, str]]] = {
    NotFoundError: (404, "That is not here"),
    UsageError: (422, "That cannot be done"),
    UnreachableError: (503, "A server does not answer"),
    NotInTimeError: (503, "A server does not answer"),
}


def _kind_of(error: OrdersError) -> tuple[int, str]:
    return next((_KINDS[kind] for kind in type(error).__mro__ if kind in _KINDS), _FAILED)


async def _of_problem(request: Request, problem: Problem) -> Response:
    kind = PROBLEM_TYPES[problem.code]
    if kind.status == 401 and request.method == "GET" and not is_partial(request):  # noqa: PLR2004 - the status
        return go_to(f"{SIGN_IN_PATH}?next={quote(request.url.path)}")
    sentence = problem.detail or kind.what_to_do
    if kind.status == 401:  # noqa: PLR2004 - the status
        sentence = (
            "Your session is over, or you signed out elsewhere. Load this page again to sign in. Nothing was done."
        )
    answer = await _said(request, kind.status, kind.title, sentence)
    answer.headers.update(
        {name: value for name, value in (problem.headers or {}).items() if name != "WWW-Authenticate"}
    )
    return answer


async def _said(request: Request, status: int, title: str, sentence: str) -> Response:
    if is_partial(request):
        return part("_said.html", status=status, title=title, sentence=sentence)
    try:
        who = Person.of(await identify(request))
    except Problem:
        who = NOBODY
    again = str(request.url.path) if request.method == "GET" and status >= 500 else None  # noqa: PLR2004 - ours
    values = {"now": datetime.now(UTC), "caller": who, "here": "", "title": title, "sentence": sentence}
    return HTMLResponse(render("message.html", try_again=again, **values), status, HEADERS)
