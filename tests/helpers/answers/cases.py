"""What may happen to a request, and what is then answered."""

from dataclasses import dataclass
from enum import StrEnum


class Case(StrEnum):
    """What a request may meet."""

    GOOD = "good"
    REPEATED = "repeated with its key"
    OTHER_BODY = "its key with another body"
    EARLY = "too early"
    LATE = "too late"
    REFUSED = "refused"
    UNKNOWN = "of what nobody knows"
    INVALID = "a field or parameter is wrong"
    TOO_LARGE = "too large"
    WRONG_TYPE = "not sent as JSON"
    NO_IDENTITY = "of nobody"
    WRONG_ROLE = "of a role that may not"
    OVER_THE_LIMIT = "over the limit"
    NO_TEMPORAL = "Temporal is away"
    NO_POSTGRES = "Postgres is away"
    NO_KAFKA = "Kafka is away"
    CLIENT_GONE = "its client has gone"
    STOP_IN_WAIT = "the API is stopped while it waits"
    STOP_IN_STREAM = "the API is stopped while it streams"


@dataclass(frozen=True, slots=True)
class Says:
    """An answer: its status, and what is in it."""

    status: int
    code: str | None = None
    """The problem's code; None for an answer that is no problem."""
    has: tuple[str, object] | None = None
    """A member of the answer, and what it is."""


@dataclass(frozen=True, slots=True)
class Ends:
    """No answer that anybody reads: the work ends, and its place is free."""


@dataclass(frozen=True, slots=True)
class Never:
    """The case cannot happen to this request."""

    why: str


Cell = Says | Ends | Never
