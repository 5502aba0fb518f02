"""What routes ask of the gate, as FastAPI's dependencies; the OpenAPI document has them as security schemes."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Final

from fastapi import Security
from fastapi.security import APIKeyCookie, HTTPAuthorizationCredentials, HTTPBearer
from starlette.requests import HTTPConnection

from orders.roles import Role
from orders.web.identity import refusals
from orders.web.identity.gate import Gate
from orders.web.identity.site import SESSION_COOKIE
from orders.web.identity.who import Identity

_bearer: Final = HTTPBearer(
    scheme_name="bearer",
    description="An API key (`ord_…`), or an access token of the OpenID provider.",
    auto_error=False,
)
_cookie: Final = APIKeyCookie(
    name=SESSION_COOKIE.name(secure=True),
    scheme_name="session",
    description="What the console keeps in a browser that is signed in.",
    auto_error=False,
)


def gate_of(connection: HTTPConnection) -> Gate:
    """The gate of the application that serves this request."""
    gate: Gate = connection.app.state.gate
    return gate


async def caller(
    connection: HTTPConnection,
    _bearer_token: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)] = None,
    _session: Annotated[str | None, Security(_cookie)] = None,
) -> Identity:
    """Dependency: who sends this request.

    Raises:
        Problem: 401, nobody who is known; 429, too often; 503, what would tell does not answer.
    """
    return await gate_of(connection).identity(connection)


def requires(role: Role) -> Callable[..., Awaitable[Identity]]:
    """Makes a dependency: who sends this request, and has the role or one that includes it.

    Its problems are those of `caller`, and 403.
    """

    async def checked(identity: Annotated[Identity, Security(caller)]) -> Identity:
        if role not in identity.roles:
            raise refusals.role_missing(identity, role)
        return identity

    return checked
