"""Who sends a request, as every route and page sees it. Pure."""

from dataclasses import dataclass
from typing import Literal

from orders.roles import Role
from schemas.inbound import VERIFIED_BY_API

Via = Literal["development", "api_key", "token", "session"]
"""How somebody showed who he is."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who sends a request, and what he may do."""

    name: str
    """By which journals and pages name him."""
    roles: frozenset[Role]
    """With all that the highest of them includes; none of somebody who is known and may do nothing."""
    via: Via
    caller_id: str = ""
    """Tells callers apart, however they call themselves, and stays the same when a key is replaced or a browser signs
    in anew: idempotency keys and limits are counted by it."""

    def __post_init__(self) -> None:
        if not self.caller_id:
            object.__setattr__(self, "caller_id", f"{self.via}:{self.name}")

    @property
    def verified_by(self) -> str | None:
        """What vouches for the name in the journal; None where nobody had to show who he is."""
        return None if self.via == "development" else VERIFIED_BY_API

    @property
    def role(self) -> Role | None:
        """The highest role; None where he has none."""
        return next((role for role in reversed(Role) if role in self.roles), None)


DEVELOPMENT = Identity("development", Role.OPERATOR.included, "development", "development")
"""Everybody, where nobody has to show who he is."""
