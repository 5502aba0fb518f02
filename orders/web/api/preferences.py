"""What a request's headers ask for: how long to wait, at which state of the order, and under which key. Pure."""

import re
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from typing import Annotated, Any, Final, get_args
from urllib.parse import quote
from uuid import uuid4

from fastapi import Header
from pydantic import TypeAdapter
from starlette.datastructures import Headers

from orders.web.header_fields import EntityTag, entity_tags, header_of, preferences
from orders.web.identity import Identity
from orders.web.problems import Problem

WAIT_MAX: Final = timedelta(seconds=30)
"""The longest wait; a request may ask for less."""
KEY_MAX_CHARS: Final = 255
_KEY: Final = re.compile(rf"[!-~]{{1,{KEY_MAX_CHARS}}}")
_BARE_KEY: Final = re.compile(r"[!#-~]+")
_QUOTED_KEY: Final = re.compile(r'"((?:[!#-\[\]-~]|\\["\\])+)"')
"""A string of RFC 9651, section 3.3.3, as the IETF's draft of this header has it."""
_SECONDS: Final = re.compile(r"[0-9]{1,9}")
_SEQUENCE: Final = re.compile(r"0|[1-9][0-9]{0,9}")
_SEQUENCE_MAX: Final = 2**31 - 1
_PRECONDITIONS: Final = ("if-none-match", "if-unmodified-since")
"""Conditions that are not looked at here. A request with one of them is refused, or it could do what the condition
forbids. If-Modified-Since is not among them: it counts for GET alone (RFC 9110, section 13.1.3)."""

PreferHeader = Annotated[
    str | None,
    Header(
        alias="Prefer",
        description="`wait=N`: how many seconds the answer may take, 30 at most; `respond-async`: none (RFC 7240).",
        examples=["wait=10"],
    ),
]
IfMatchHeader = Annotated[
    str | None,
    Header(
        alias="If-Match",
        description="The order's ETag as it was looked at: decided only where the order has not changed since. Of a "
        "list one must be the order's (RFC 9110); `*` is any order that there is.",
        examples=['"2"'],
    ),
]
KeyHeader = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        description="Names the request: sent again with its key, it is done once. Up to 255 printable ASCII characters "
        "without blanks, with or without double quotes around them; made and returned where none is given.",
        examples=["8e03978e-40d5-43dd-bc93-6894a57f9324"],
        # What it cannot be; a double quote may stand at both ends only, or behind a backslash between them.
        json_schema_extra={"pattern": r'^\s*([!-~]{1,255}|"[!-~]{1,255}")\s*$'},
    ),
]


def described(*headers: Any) -> list[dict[str, Any]]:
    """How headers are described, for the ``openapi_extra`` of a route that reads them itself.

    That spares FastAPI from putting each through a validator which would let everything pass: 15 us of the processor a
    header and request (measured on 2026-11-26, FastAPI 0.165).

    Args:
        headers: of those above.
    """
    return [_described(header, get_args(header)[1]) for header in headers]


def _described(header: Any, field: Any) -> dict[str, Any]:
    schema = {**TypeAdapter(header).json_schema(), "title": field.alias}
    return {"name": field.alias, "in": "header", "required": False, "schema": schema, "description": field.description}


def wait_of(prefer: str | None, unless_given: timedelta) -> timedelta:
    """How long the client wants to wait.

    Args:
        prefer: the header Prefer; what is malformed in it counts as not given (RFC 7240, section 2).
        unless_given: where it says nothing of it.
    """
    for name, value in preferences(prefer):
        if name == "respond-async":
            return timedelta(0)
        if name == "wait" and _SECONDS.fullmatch(value) is not None:
            return min(timedelta(seconds=int(value)), WAIT_MAX)
    return unless_given


@dataclass(frozen=True, slots=True)
class Precondition:
    """What If-Match asks of an order. With no sequence and without `any_order`, no order can meet it."""

    sequences: frozenset[int] = frozenset()
    """The order must have one of them."""
    any_order: bool = False
    """Whether any will do, as long as there is the order."""


def precondition_of(headers: Headers) -> Precondition | None:
    """What the request asks of the order; None where it asks nothing.

    An ETag of ours is strong, and If-Match compares strongly: a weak one, or one that we never gave, is no order's
    (RFC 9110, sections 8.8.3.2 and 13.1.1).

    Raises:
        Problem: the header is no list of ETags, or the request has a precondition that is not looked at here.
    """
    for name in _PRECONDITIONS:
        if name in headers:
            raise Problem(
                "precondition_invalid",
                f"{name.title()} is not looked at here: send If-Match with the order's ETag, or no precondition",
                title="The request has a precondition that is not looked at",
            )
    field = header_of(headers, "If-Match")
    if field is None:
        return None
    field = field.strip("\t ")
    if field == "*":
        return Precondition(any_order=True)
    # Without its quotes it is no ETag, but what a person types; nothing else could be meant.
    tags = [EntityTag(field)] if _SEQUENCE.fullmatch(field) else entity_tags(field)
    if tags is None:
        raise Problem("precondition_invalid", "If-Match is a list of ETags, each a number in double quotes, or *")
    given = [int(tag.opaque) for tag in tags if not tag.is_weak and _SEQUENCE.fullmatch(tag.opaque)]
    return Precondition(frozenset(sequence for sequence in given if sequence <= _SEQUENCE_MAX))


@dataclass(frozen=True, slots=True)
class RequestKey:
    """Under which key a request is done once."""

    key: str
    given: bool
    """Whether the client gave it; else nobody can have sent it before."""

    def event_id(self, identity: Identity) -> str:
        """The event's id: two callers' equal keys are different events."""
        caller = quote(identity.caller_id, safe="", errors="surrogatepass")
        if len(caller) > _CALLER_MAX_CHARS:
            caller = sha256(caller.encode()).hexdigest()
        return f"api:{caller}:{self.key}"


_CALLER_MAX_CHARS: Final = 200
"""With the longest key still a valid event id (512 characters)."""


def key_of(header: str | None) -> RequestKey:
    """The request's key, made where the client gave none.

    Raises:
        Problem: what the client gave can be no key.
    """
    if header is None:
        return RequestKey(str(uuid4()), given=False)
    key = header.strip("\t ")
    quoted = _QUOTED_KEY.fullmatch(key)
    if quoted is not None:
        key = re.sub(r"\\(.)", r"\1", quoted[1])
    elif _BARE_KEY.fullmatch(key) is None:
        raise _no_key()
    if _KEY.fullmatch(key) is None:
        raise _no_key()
    return RequestKey(key, given=True)


def _no_key() -> Problem:
    return Problem(
        "idempotency_key_invalid",
        f"Idempotency-Key is 1 to {KEY_MAX_CHARS} printable ASCII characters without blanks, without double quotes or "
        "between two of them",
    )
