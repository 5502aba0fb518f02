"""Answers of the console: pages with their headers, and parts of pages."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from fastapi import Depends
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse

from orders.web.console.rendering.templates import render
from orders.web.identity import Identity, Role, requires
from orders.web.identity.sign_in import SIGN_OUT_PATH

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
UNKNOWN: Final = Person("", "", None)
"""Who looks at a page that tells of an error, where that error keeps us from asking who it is."""


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
