"""From a JSON object to a checked model, or the first mistake in it."""

import re
from typing import Any, Final, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from pydantic_core.core_schema import ErrorType

from bridge.refusal import Refusal, RefusalCode, RefusedError, Stage

ModelT = TypeVar("ModelT", bound=BaseModel)

_CODES: Final[dict[str, RefusalCode]] = {
    "missing": RefusalCode.FIELD_MISSING,
    "string_too_long": RefusalCode.FIELD_TOO_LONG,
    "too_long": RefusalCode.FIELD_TOO_LONG,
    "string_too_short": RefusalCode.FIELD_TOO_SHORT,
    "too_short": RefusalCode.FIELD_TOO_SHORT,
    "string_pattern_mismatch": RefusalCode.IDENTIFIER_INVALID,
    "greater_than": RefusalCode.FIELD_OUT_OF_RANGE,
    "greater_than_equal": RefusalCode.FIELD_OUT_OF_RANGE,
    "less_than": RefusalCode.FIELD_OUT_OF_RANGE,
    "less_than_equal": RefusalCode.FIELD_OUT_OF_RANGE,
}
"""For pydantic's own types of error; what is neither here nor a wrong type is FIELD_INVALID."""
_TYPES_OF_PYDANTIC: Final = frozenset(get_args(ErrorType))
_PROPER_CODE: Final = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")


def read_model(model: type[ModelT], fields: dict[str, Any]) -> ModelT:
    """The fields as a model.

    A `PydanticCustomError` of the model's own validators gives the refusal its type as the code, and its text as the
    message. Such a text must not quote the value: dead letters and logs show it.

    Args:
        model: The model. Strict ones refuse ``"7"`` for a number.
        fields: An object, as `read_event` has it.

    Raises:
        RefusedError: The fields break the model's rules; the message names the first that does by its path, and says
            how many more do.
    """
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        # `errors()` echoes input even with hide_input_in_errors: the input serves to name the mistake, never the text.
        first, *others = error.errors(include_url=False, include_context=False)
        raise RefusedError(_refusal(first, len(others))) from None


def _refusal(details: ErrorDetails, others: int) -> Refusal:
    path = ".".join(str(part) for part in details["loc"])
    more = f" (and {others} more)" if others else ""
    where = f"{path}: " if path else ""
    return Refusal(Stage.SCHEMA, _code(details), f"{where}{details['msg']}{more}")


def _code(details: ErrorDetails) -> str:
    error_type = details["type"]
    known = _CODES.get(error_type)
    if known is not None:
        return known
    if error_type not in _TYPES_OF_PYDANTIC:
        return error_type if _PROPER_CODE.fullmatch(error_type) else RefusalCode.FIELD_INVALID
    if error_type == "int_type":
        if isinstance(details["input"], bool):
            return RefusalCode.FIELD_BOOLEAN_FOR_NUMBER
        if isinstance(details["input"], str):
            return RefusalCode.FIELD_TEXT_FOR_NUMBER
    if error_type.endswith("_type"):
        return RefusalCode.FIELD_WRONG_TYPE
    return RefusalCode.FIELD_INVALID
