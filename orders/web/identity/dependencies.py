"""What routes ask of the gate, as FastAPI's dependencies, and how the OpenAPI document says it.

The gate reads the headers itself. FastAPI's own dependencies for them would only describe them, and FastAPI takes some
30 us of the processor for each dependency of each request (measured on 2026-11-26, FastAPI 0.165): with them who is
there cost a tenth of a request.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Final

from starlette.requests import HTTPConnection

from orders.roles import Role
from orders.web.identity import refusals
from orders.web.identity.gate import Gate
from orders.web.identity.site import SESSION_COOKIE
from orders.web.identity.who import Identity

SECURITY_SCHEMES: Final[dict[str, dict[str, Any]]] = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key (`ord_…`), or an access token of the OpenID provider.",
    },
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": SESSION_COOKIE.name(secure=True),
        "description": "What the console keeps in a browser that is signed in.",
    },
}
"""The ways to show who one is, as OpenAPI describes them. One of them is enough."""
_KNOWN: Final = "orders.identity"
"""Where a request's scope keeps who sends it."""


def gate_of(connection: HTTPConnection) -> Gate:
    """The gate of the application that serves this request."""
    gate: Gate = connection.app.state.gate
    return gate


async def identify(connection: HTTPConnection) -> Identity:
    """Who sends this request: asked of the gate once, however many parts of the application want to know.

    Raises:
        Problem: 401, nobody who is known; 429, too often; 503, what would tell does not answer.
        UnreachableError: Postgres does not answer, and who it is is not remembered.
    """
    known: Identity | None = connection.scope.get(_KNOWN)
    if known is None:
        known = connection.scope[_KNOWN] = await gate_of(connection).identity(connection)
    return known


def requires(role: Role) -> Callable[..., Awaitable[Identity]]:
    """Makes a dependency that returns who sends a request, and refuses who lacks the role.

    A role includes those below it. The dependency's problems are those of `identify`, and 403.
    """

    async def checked(connection: HTTPConnection) -> Identity:
        identity = await identify(connection)
        if role not in identity.roles:
            raise refusals.role_missing(identity, role)
        return identity

    return checked
