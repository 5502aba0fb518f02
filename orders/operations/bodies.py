"""Message bodies from what a person gives on the command line, checked by the contract's own models."""

from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from bridge.reading.models import what_is_wrong
from orders.errors import UsageError
from schemas.event_types import INBOUND, EventType
from schemas.inbound import InboundBody


class RefusedBodyError(UsageError):
    """The message breaks the contract, so that the bridge would set it aside."""


def build_body(event_type: EventType, fields: dict[str, Any]) -> InboundBody:
    """The body of a message; fields that are None count as not given.

    Raises:
        RefusedBodyError: it breaks the contract; a line for each field.
    """
    given = {name: value for name, value in fields.items() if value is not None}
    try:
        return INBOUND[event_type].body.model_validate(given)
    except ValidationError as error:
        details = error.errors(include_url=False)
        raise RefusedBodyError("\n".join(_sentence(detail) for detail in details)) from None


def body_fields(body: InboundBody) -> dict[str, Any]:
    """The body as JSON values, with what was given and nothing else."""
    fields: dict[str, Any] = body.model_dump(mode="json", exclude_none=True, exclude_unset=True)
    return fields


def _sentence(detail: ErrorDetails) -> str:
    where = ".".join(str(part) for part in detail["loc"])
    if where == "order_id" and detail["type"] == "missing":
        return "ORDER_ID is missing: give the order's id"
    if where and detail["type"] == "missing":
        return f"{where} is missing: give --{where.replace('_', '-')}"
    _, sentence = what_is_wrong(detail)
    return f"{where or 'the message'} {sentence}"
