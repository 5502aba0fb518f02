"""Types of parameters and of answers' fields that several routes share."""

from collections.abc import Iterable
from typing import Annotated, Any, Final

from fastapi import Path
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from starlette.requests import Request

from schemas.base import IDENTIFIER_PATTERN
from schemas.outbound import OutboundType
from schemas.states import InboundOutcome, OrderState, OrderStep, ReasonCode

OrderId = Annotated[str, Path(pattern=IDENTIFIER_PATTERN, description="The order's id.", examples=["order-001"])]

_ORDER_ID: Final[TypeAdapter[str]] = TypeAdapter(OrderId)

MOST = "How many at most."


def order_id_of(request: Request) -> str:
    """The order's id in a request's path, read and refused as FastAPI does it.

    Raises:
        RequestValidationError: no order can be called that.
    """
    try:
        return _ORDER_ID.validate_python(request.path_params["order_id"])
    except ValidationError as error:
        raise RequestValidationError([{**one, "loc": ("path", "order_id")} for one in error.errors()]) from None


class Answer(BaseModel):
    """A model of what the API answers: each field is always there, as null where there is nothing to say."""

    model_config = ConfigDict(
        frozen=True, use_attribute_docstrings=True, json_schema_serialization_defaults_required=True
    )


def _open(values: Iterable[str]) -> dict[str, Any]:
    """A later version may add values: a client takes those that it does not know."""
    return {"x-extensible-enum": [str(value) for value in values]}


State = Annotated[str, Field(json_schema_extra=_open(OrderState), examples=["VALIDATED"])]
Step = Annotated[str, Field(json_schema_extra=_open(OrderStep), examples=["AWAITING_MANUAL_APPROVAL"])]
Reason = Annotated[str, Field(json_schema_extra=_open(ReasonCode), examples=["approval_timed_out"])]
PublishedType = Annotated[str, Field(json_schema_extra=_open(OutboundType), examples=["order.state_changed"])]
Outcome = Annotated[str, Field(json_schema_extra=_open(InboundOutcome), examples=["applied"])]


def etag(sequence: int) -> str:
    """An order's ETag: the number of the last thing that happened to it."""
    return f'"{sequence}"'
