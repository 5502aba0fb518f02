"""What becomes of errors that a route raises: every one of them is answered as a problem."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from bridge.reading.models import what_is_wrong
from orders.errors import NotFoundError, NotInTimeError, OrdersError, UnreachableError, UsageError
from orders.hints import as_typed
from orders.web.problems import FieldError, Problem, Respond, as_document, new_instance
from orders.web.waiting import ClientGoneError

_log = structlog.get_logger("orders.api")

_CLIENT_CLOSED_REQUEST: Final = 499
"""nginx's status for a client that has closed its connection; nobody reads the answer."""

_OF_THE_FRAMEWORK: Final = {400: "request_invalid", 404: "path_not_found", 405: "method_not_allowed"}
"""The code for each status that it raises by itself: 400 where a form has more fields than it takes, or is broken."""
_OF_KINDS: Final[dict[type[OrdersError], str]] = {
    NotFoundError: "order_not_found",
    UnreachableError: "server_unreachable",
    NotInTimeError: "server_unreachable",
    UsageError: "request_invalid",
}
"""The code for each kind of error of the operations; whatever else they raise is ours to mend."""


def answer_errors_as_problems(app: FastAPI, respond: Respond = as_document) -> None:
    """Has the application answer every error that it expects as a problem.

    Args:
        app: the application.
        respond: makes the answer for a problem.
    """

    def of(made: Callable[[Any], Problem]) -> Callable[[Request, Any], Awaitable[Response]]:
        async def answer(request: Request, error: Any) -> Response:
            return await respond(request, made(error))

        return answer

    app.add_exception_handler(Problem, of(lambda problem: problem))
    app.add_exception_handler(OrdersError, of(problem_of))
    app.add_exception_handler(RequestValidationError, of(_of_parameters))
    app.add_exception_handler(HTTPException, of(_of_framework))
    app.add_exception_handler(ClientGoneError, _of_nobody)


def problem_of(error: OrdersError) -> Problem:
    """The problem that tells of an operation's error.

    An error that the caller can do nothing about is logged, and answered as `internal_error` without its text.
    """
    for kind in type(error).__mro__:
        if kind in _OF_KINDS:
            return Problem(_OF_KINDS[kind], as_typed(str(error)))
    # A setting that is wrong, or a server that refuses what we sent.
    instance = new_instance()
    _log.error("api.request.failed", instance=instance, detail=str(error), kind=type(error).__name__)
    return Problem("internal_error", instance=instance)


def json_pointer(parts: Sequence[int | str]) -> str:
    """The JSON pointer (RFC 6901) of a place in a document."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)


def _of_parameters(error: RequestValidationError) -> Problem:
    errors = [_parameter_error(detail) for detail in error.errors()]
    return Problem("request_invalid", "; ".join(_said(one) for one in errors), errors=errors)


def _parameter_error(detail: Any) -> FieldError:
    where, *rest = detail["loc"]
    code, sentence = what_is_wrong(detail)
    if where == "body":
        return FieldError(sentence, pointer=json_pointer(rest), code=code)
    # Of a parameter that may be given several times, without the place of the value that is wrong.
    return FieldError(sentence, parameter=str(rest[0]), code=code)


def _said(error: FieldError) -> str:
    return f"{error.parameter or error.pointer or 'the body'} {error.detail}"


def _of_framework(error: HTTPException) -> Problem:
    code = _OF_THE_FRAMEWORK.get(error.status_code, "internal_error")
    detail = f"the form cannot be read: {error.detail}" if code == "request_invalid" else ""
    return Problem(code, detail, headers=_with_head(error.headers or {}))


def _with_head(headers: Mapping[str, str]) -> dict[str, str]:
    """Adds HEAD to Allow where GET is in it: `orders.web.head` answers HEAD there."""
    allowed = [method.strip() for method in headers.get("Allow", "").split(",")]
    return (
        {**headers, "Allow": ", ".join([*allowed, "HEAD"])}
        if "GET" in allowed and "HEAD" not in allowed
        else {**headers}
    )


async def _of_nobody(_request: Request, _error: Any) -> Response:
    return Response(status_code=_CLIENT_CLOSED_REQUEST)
