"""The OpenAPI document: what FastAPI makes of the routes, with the bodies and problems that it cannot know of."""

from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from orders.web.api.bodies import body_schema
from orders.web.api.dead_letters import ReplayBody
from orders.web.api.decision_table import DECISIONS
from orders.web.identity import SECURITY_SCHEMES
from orders.web.problems import PROBLEM_TYPES

DESCRIPTION: Final = (
    "Starts, approves and cancels orders, sends them elsewhere, and tells where they are. A request that decides "
    "something is done once under its `Idempotency-Key`, and answered with 202 once Temporal has it; with "
    "`Prefer: wait=N` the answer is what became of it. Errors are problem documents (RFC 9457). A query "
    "parameter that an operation does not have is refused (422, `request_invalid`). Within version 1, fields, states "
    "and codes may be added: ignore what you do not know."
)
TAGS: Final = (
    {"name": "decisions", "description": "Requests that decide something, and what became of them."},
    {"name": "orders", "description": "Where orders are, and what is known of them."},
    {"name": "events", "description": "What has happened, and what happens now."},
    {"name": "dead letters", "description": "Records that were set aside: found, read and sent again."},
    {"name": "service", "description": "The API itself."},
)
_PROBLEM: Final[dict[str, Any]] = {
    "title": "Problem",
    "type": "object",
    "description": "What is wrong (RFC 9457).",
    "required": ["type", "title", "status", "code", "detail", "what_to_do"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference", "description": "Leads to what the code means."},
        "title": {"type": "string", "description": "What the code means, in a few words."},
        "status": {"type": "integer"},
        "code": {
            "type": "string",
            "description": "For a program. Later versions may add codes.",
            "x-extensible-enum": sorted(map(str, PROBLEM_TYPES)),
        },
        "detail": {"type": "string", "description": "What is wrong in this request."},
        "what_to_do": {"type": "string"},
        "instance": {"type": "string", "description": "Finds the occurrence in the service's log."},
        "errors": {
            "type": "array",
            "description": "Each thing that is wrong.",
            "items": {
                "type": "object",
                "required": ["detail"],
                "properties": {
                    "detail": {"type": "string"},
                    "pointer": {"type": "string", "description": "JSON pointer into the body."},
                    "parameter": {"type": "string", "description": "Of the path, the query or the headers."},
                    "code": {"type": "string", "description": "The message contract's code for the mistake."},
                },
            },
        },
    },
}


def describe_itself(app: FastAPI) -> None:
    """Has the application describe its API, whatever else it serves."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = openapi_document(app)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign] # FastAPI's own way to change it.


def openapi_document(app: FastAPI) -> dict[str, Any]:
    """The document of the application's API."""
    document = get_openapi(
        title=app.title,
        version=app.version,
        openapi_version=app.openapi_version,
        description=DESCRIPTION,
        routes=app.routes,
        tags=[dict(tag) for tag in TAGS],
    )
    schemas = document["components"]["schemas"]
    schemas["Problem"] = _PROBLEM
    schemas["ReplayBody"] = ReplayBody.model_json_schema(mode="validation")
    for decision in DECISIONS:
        body, parts = body_schema(decision.event_type)
        schemas[decision.component] = {**body, "title": decision.component}
        for name, part in parts.items():
            schemas.setdefault(name, {**part, "title": name})
    document["components"]["schemas"] = dict(sorted(schemas.items()))
    _say_who_may_ask(document)
    return document


def _say_who_may_ask(document: dict[str, Any]) -> None:
    """Adds to each operation that may answer 401 the ways in which a caller can authenticate."""
    document["components"]["securitySchemes"] = SECURITY_SCHEMES
    for methods in document["paths"].values():
        for operation in methods.values():
            if str(HTTPStatus.UNAUTHORIZED.value) in operation["responses"]:
                operation["security"] = [{name: []} for name in SECURITY_SCHEMES]
