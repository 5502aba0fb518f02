"""From a JSON object to a checked model, or the first mistake in it."""

from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from bridge.refusal import DecodeError, DecodeErrorCode, DecodeStage
from schemas.event_types import INBOUND, EventType
from schemas.inbound import InboundBody


def _validate(fields: dict[str, Any], event_type: EventType) -> InboundBody:
    try:
        return INBOUND[event_type].body.model_validate(fields)
    except ValidationError as error:
        # `errors()` echoes input even with hide_input_in_errors: the input serves to name the mistake, never the text.
        first, *others = error.errors(include_url=False, include_context=False)
        raise _schema_error(first, len(others)) from None


_CODES_BY_PYDANTIC_TYPE: dict[str, DecodeErrorCode] = {
    "missing": DecodeErrorCode.FIELD_MISSING,
    "string_too_long": DecodeErrorCode.FIELD_TOO_LONG,
    "too_long": DecodeErrorCode.FIELD_TOO_LONG,
    "string_too_short": DecodeErrorCode.FIELD_TOO_SHORT,
    "too_short": DecodeErrorCode.FIELD_TOO_SHORT,
    "string_pattern_mismatch": DecodeErrorCode.IDENTIFIER_INVALID,
    "greater_than": DecodeErrorCode.FIELD_OUT_OF_RANGE,
    "greater_than_equal": DecodeErrorCode.FIELD_OUT_OF_RANGE,
    "less_than": DecodeErrorCode.FIELD_OUT_OF_RANGE,
    "less_than_equal": DecodeErrorCode.FIELD_OUT_OF_RANGE,
    "amount_mismatch": DecodeErrorCode.AMOUNT_MISMATCH,
    "amount_too_large": DecodeErrorCode.AMOUNT_TOO_LARGE,
    "currency_unknown": DecodeErrorCode.CURRENCY_UNKNOWN,
    "time_form": DecodeErrorCode.TIME_FORM,
    "time_unknown": DecodeErrorCode.TIME_UNKNOWN,
    "address_empty": DecodeErrorCode.ADDRESS_EMPTY,
}


def _schema_error(details: ErrorDetails, others: int) -> DecodeError:
    path = ".".join(str(part) for part in details["loc"])
    more = f" (and {others} more)" if others else ""
    where = f"{path}: " if path else ""
    return DecodeError(_schema_code(details), f"{where}{details['msg']}{more}", DecodeStage.SCHEMA)


def _schema_code(details: ErrorDetails) -> DecodeErrorCode:
    known = _CODES_BY_PYDANTIC_TYPE.get(details["type"])
    if known is not None:
        return known
    if details["type"] == "int_type":
        if isinstance(details["input"], bool):
            return DecodeErrorCode.FIELD_BOOLEAN_FOR_NUMBER
        if isinstance(details["input"], str):
            return DecodeErrorCode.FIELD_TEXT_FOR_NUMBER
    if details["type"].endswith("_type"):
        return DecodeErrorCode.FIELD_WRONG_TYPE
    return DecodeErrorCode.FIELD_INVALID
