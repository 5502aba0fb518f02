"""Who sends a request, and what that identity may do."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from starlette.requests import HTTPConnection


class Role(StrEnum):
    """What an identity may do; each role may do what the ones before it may."""

    VIEWER = "viewer"
    """Read."""
    APPROVER = "approver"
    """Start, approve and cancel orders, and send them elsewhere."""
    OPERATOR = "operator"
    """Send dead letters again."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who sends a request."""

    name: str
    roles: frozenset[Role]
    via: Literal["development", "api_key", "token", "session"]


_DEVELOPMENT = Identity("development", frozenset(Role), "development")


async def caller(_connection: HTTPConnection) -> Identity:
    """Dependency: who sends this request."""
    return _DEVELOPMENT


def requires(_role: Role) -> Callable[[HTTPConnection], Awaitable[Identity]]:
    """Dependency: who sends this request, and has the role."""
    return caller
