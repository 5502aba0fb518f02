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

from orders.web.identity import Identity
from orders.web.problems import Problem

WAIT_MAX: Final = timedelta(seconds=30)
"""The longest wait; a request may ask for less."""
KEY_MAX_CHARS: Final = 255
_KEY: Final = re.compile(rf"[!-~]{{1,{KEY_MAX_CHARS}}}")
_WAIT: Final = re.compile(r'wait\s*=\s*"?([0-9]{1,9})"?')
_ETAG: Final = re.compile(r'"?([0-9]{1,9})"?')
_SEQUENCE_MAX: Final = 2**31 - 1

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
        description="The order's ETag as it was looked at: decided only where the order has not changed since.",
        examples=['"2"'],
        json_schema_extra={"pattern": r'^\s*(\*|"?[0-9]{1,9}"?)\s*$'},
    ),
]
KeyHeader = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        description="Names the request: sent again with its key, it is done once. Up to 255 printable ASCII characters "
        "without blanks, with or without double quotes around them; made and returned where none is given.",
        examples=["8e03978e-40d5-43dd-bc93-6894a57f9324"],
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


def header_of(headers: Headers, name: str) -> str | None:
    """A request's header; None where it has none.

    One that is sent in several lines is the list of them (RFC 9110, section 5.3), so that what may be given once is
    refused: a proxy in between may have taken another one of the lines than we would.
    """
    lines = headers.getlist(name)
    return ", ".join(lines) if lines else None


def wait_of(prefer: str | None, unless_given: timedelta) -> timedelta:
    """How long the client wants to wait.

    Args:
        prefer: the header Prefer; what is malformed in it counts as not given (RFC 7240, section 2).
        unless_given: where it says nothing of it.
    """
    for preference in (prefer or "").split(","):
        name = preference.strip().lower()
        if name == "respond-async":
            return timedelta(0)
        match = _WAIT.fullmatch(name)
        if match is not None:
            return min(timedelta(seconds=int(match[1])), WAIT_MAX)
    return unless_given


def expected_sequence_of(if_match: str | None) -> int | None:
    """The sequence that the order must have; None where any will do.

    Raises:
        Problem: the header is no ETag of an order.
    """
    if if_match is None or if_match.strip() == "*":
        return None
    match = _ETAG.fullmatch(if_match.strip())
    if match is None or int(match[1]) > _SEQUENCE_MAX:
        raise Problem("precondition_invalid", "If-Match is one strong ETag of an order: a number in double quotes")
    return int(match[1])


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
    key = header.strip()
    if len(key) > 1 and key[0] == key[-1] == '"':  # A structured header's string, as the IETF's draft has it.
        key = key[1:-1]
    if _KEY.fullmatch(key) is None:
        raise Problem(
            "idempotency_key_invalid", f"Idempotency-Key is 1 to {KEY_MAX_CHARS} printable ASCII characters, no blanks"
        )
    return RequestKey(key, given=True)
