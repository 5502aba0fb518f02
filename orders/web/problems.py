"""Errors over HTTP: each is a problem document (RFC 9457) whose code says what is wrong, in every answer alike.

A code is a row of `PROBLEM_TYPES`. The page docs/rest-api.md lists the rows, and the API itself serves each of them
under the address that a problem document has as its ``type``.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final
from uuid import uuid4

import orjson
from starlette.requests import Request
from starlette.responses import Response

from schemas.states import ReasonCode

MEDIA_TYPE: Final = "application/problem+json"
TYPES_PATH: Final = "/problems"
"""Where the API tells about each code."""
RETRY_AFTER_SECONDS: Final = 5
"""When to ask again after a server of ours did not answer: our own processes have tried it again by then."""


@dataclass(frozen=True, slots=True)
class ProblemType:
    """What a code means, whatever request met it."""

    status: int
    title: str
    """What is wrong, in a few words; the same for every occurrence."""
    what_to_do: str
    """For the program or person that sent the request."""


def _refusals() -> dict[str, ProblemType]:
    """The reasons for which an order's workflow refuses an event."""
    return {
        ReasonCode.ALREADY_APPROVED: ProblemType(409, "The order is approved already", "Nothing: it goes on."),
        ReasonCode.ALREADY_CHARGED: ProblemType(
            409,
            "The payment is charged already",
            "Too late to cancel: look at the order, and refund it by other means.",
        ),
        ReasonCode.ALREADY_SHIPPING: ProblemType(
            409, "Shipping has begun", "Too late for another address: ask the carrier (tracking_id)."
        ),
        ReasonCode.DUPLICATE_ORDER: ProblemType(
            409, "The order exists already", "Look at the order; give a new order another id."
        ),
        ReasonCode.EVENT_ID_REUSED: ProblemType(
            409, "The Idempotency-Key was used for another kind of request", "Send the request with a new key."
        ),
        ReasonCode.INVALID: ProblemType(
            409, "The workflow takes the event for invalid", "Compare it with the contract."
        ),
        ReasonCode.ORDER_CLOSED: ProblemType(409, "The order is over", "Look at how it ended: its result says so."),
        ReasonCode.STALE: ProblemType(
            409,
            "A later address is known",
            "Leave occurred_at out, or send the time at which the address really changed.",
        ),
        ReasonCode.UNKNOWN_ORDER: ProblemType(
            409, "No order.created came in time", "Start the order, then send the request again with a new key."
        ),
    }


PROBLEM_TYPES: Final[dict[str, ProblemType]] = {
    "body_not_json": ProblemType(
        400, "The body is not one JSON object", "Send one JSON object in UTF-8; the detail says what is in its way."
    ),
    "precondition_invalid": ProblemType(
        400, "If-Match is no order's ETag", 'Send the ETag of the order as it was answered, such as "7".'
    ),
    "idempotency_key_invalid": ProblemType(
        400,
        "The Idempotency-Key cannot be one",
        "Send 1 to 255 printable ASCII characters without blanks, such as a UUID.",
    ),
    "not_signed_in": ProblemType(401, "Nobody is signed in", "Send an API key or a token: Authorization: Bearer …"),
    "not_allowed": ProblemType(403, "This identity may not do that", "Ask for the role that the detail names."),
    "cross_site_request": ProblemType(
        403, "A page of another site sent this", "Send it from this site's own pages, or from a program."
    ),
    "order_not_found": ProblemType(404, "There is no such order", "Check the id, or start the order."),
    "event_not_found": ProblemType(404, "The order has no such event", "Check the event id, and which order it is of."),
    "dead_letter_not_found": ProblemType(404, "There is no such dead letter", "List the dead letters again."),
    "replay_not_found": ProblemType(
        404, "There is no such replay", "A replay is known as long as the process that runs it lives: look at the list."
    ),
    "path_not_found": ProblemType(404, "Nothing is at this address", "See /docs, or /openapi.json."),
    "method_not_allowed": ProblemType(405, "This address is not asked in this way", "Use a method that Allow names."),
    "not_acceptable": ProblemType(
        406, "The answer has no form that Accept names", "Accept application/json, or text/event-stream for a stream."
    ),
    "body_too_slow": ProblemType(408, "The body did not come in time", "Send the request again."),
    "position_unknown": ProblemType(
        410, "There is no such place in the stream", "Look at the orders as they are now, and begin the stream anew."
    ),
    "event_refused": ProblemType(409, "The order's workflow refused it", "The detail says why; look at the order."),
    "order_changed": ProblemType(
        412, "The order has changed since it was looked at", "Look at the order again, then decide anew."
    ),
    "body_too_large": ProblemType(413, "The body is too large", "Send less; the detail names the limit."),
    "body_not_supported": ProblemType(
        415, "The body is not sent as JSON", "Send Content-Type: application/json, without a Content-Encoding."
    ),
    "host_not_local": ProblemType(
        421,
        "This host is not this machine",
        "Ask localhost or 127.0.0.1, or have everybody sign in: API_IDENTITY=required.",
    ),
    "request_invalid": ProblemType(
        422, "A field or parameter is wrong", "Correct what `errors` names, each by its JSON pointer or parameter."
    ),
    "idempotency_key_reused": ProblemType(
        422, "The Idempotency-Key was used with another body", "Send the first body again, or this one with a new key."
    ),
    "too_many_requests": ProblemType(429, "Too many requests", "Wait as long as Retry-After says."),
    "internal_error": ProblemType(
        500,
        "The service failed",
        "Send the request again with its key; tell an operator the `instance` if it fails again.",
    ),
    "server_unreachable": ProblemType(
        503, "A server behind the API does not answer", "Send the request again, with its key, after Retry-After."
    ),
    "overloaded": ProblemType(503, "The API has too much to do", "Send the request again after Retry-After."),
    "stopping": ProblemType(503, "The API is being stopped", "Send the request again, with its key."),
    **_refusals(),
}
"""Every code that an answer of ours may have."""


@dataclass(frozen=True, slots=True)
class FieldError:
    """One thing that is wrong with a request."""

    detail: str
    """A sentence with the field for its subject; never the value."""
    pointer: str | None = None
    """JSON pointer (RFC 6901) into the body; "" is the body as a whole."""
    parameter: str | None = None
    """Name of the path's, query's or header's parameter."""
    code: str | None = None
    """For a program, where the message contract has one for the mistake."""

    def document(self) -> dict[str, str]:
        """The error as a member of ``errors``."""
        members = {"detail": self.detail, "pointer": self.pointer, "parameter": self.parameter, "code": self.code}
        return {name: value for name, value in members.items() if value is not None}


class Problem(Exception):  # noqa: N818 - the word of RFC 9457
    """An answer that says what is wrong: raise it anywhere in a request.

    Args:
        code: a row of `PROBLEM_TYPES`.
        detail: what is wrong in this request, for a person; "" where the title says it all. Never a secret.
        status: None for the row's.
        title: None for the row's.
        pointer: the body's field that is wrong; None for none, or several, which `errors` names.
        what_to_do: None for the row's.
        headers: further headers of the answer.
        errors: each thing that is wrong.
        instance: a URI by which an operator finds the occurrence in the log.
    """

    def __init__(
        self,
        code: str,
        detail: str = "",
        *,
        status: int | None = None,
        title: str | None = None,
        pointer: str | None = None,
        what_to_do: str | None = None,
        headers: Mapping[str, str] | None = None,
        errors: Sequence[FieldError] = (),
        instance: str | None = None,
    ) -> None:
        kind = PROBLEM_TYPES[code]
        super().__init__(detail or kind.title)
        self.code = str(code)
        self.status = status or kind.status
        self.title = title or kind.title
        self.detail = detail
        self.pointer = pointer
        self.what_to_do = what_to_do or kind.what_to_do
        self.headers = dict(headers or {})
        if self.status == HTTPStatus.SERVICE_UNAVAILABLE:
            self.headers.setdefault("Retry-After", str(RETRY_AFTER_SECONDS))
        self.errors = tuple(errors) or (() if pointer is None else (FieldError(detail, pointer=pointer),))
        self.instance = instance

    def document(self) -> dict[str, Any]:
        """The problem document."""
        document: dict[str, Any] = {
            "type": f"{TYPES_PATH}/{self.code}",
            "title": self.title,
            "status": self.status,
            "code": self.code,
            "detail": self.detail or self.title,
            "what_to_do": self.what_to_do,
        }
        if self.errors:
            document["errors"] = [error.document() for error in self.errors]
        if self.instance is not None:
            document["instance"] = self.instance
        return document

    def response(self) -> Response:
        """The answer."""
        headers = {"Cache-Control": "no-store", **self.headers}
        return Response(orjson.dumps(self.document()), status_code=self.status, headers=headers, media_type=MEDIA_TYPE)


def new_instance() -> str:
    """A URI for one occurrence of a problem, which its answer and the log both have."""
    return f"urn:uuid:{uuid4()}"


Respond = Callable[[Request, Problem], Awaitable[Response]]
"""Makes the answer that tells of a problem: its document, or for a person a page."""


async def as_document(_request: Request, problem: Problem) -> Response:
    """The problem's document, for whoever asks."""
    return problem.response()
