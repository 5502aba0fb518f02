"""From a JSON object to a checked model, or the first mistake in it, said in a sentence of ours."""

import re
from collections.abc import Mapping
from typing import Any, Final, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from pydantic_core.core_schema import ErrorType

from bridge.reading.envelopes import envelope_of
from bridge.refusal import Refusal, RefusalCode, RefusedError, Stage

ModelT = TypeVar("ModelT", bound=BaseModel)

_Said = tuple[str, str]
"""A code, and a sentence with the places of the limits left open: ``{max_length}``."""

_SAID: Final[Mapping[str, _Said]] = {
    "missing": (RefusalCode.FIELD_MISSING, "is missing: send it"),
    "string_too_long": (RefusalCode.FIELD_TOO_LONG, "has more than {max_length} characters: shorten it"),
    "too_long": (RefusalCode.FIELD_TOO_LONG, "has more than {max_length} elements: send fewer"),
    "string_too_short": (RefusalCode.FIELD_TOO_SHORT, "has fewer than {min_length} characters: send more"),
    "too_short": (RefusalCode.FIELD_TOO_SHORT, "has fewer than {min_length} elements: send more"),
    "string_pattern_mismatch": (
        RefusalCode.IDENTIFIER_INVALID,
        "has not the form of this field: send a text that its pattern in the published schema allows",
    ),
    "greater_than": (RefusalCode.FIELD_OUT_OF_RANGE, "is too small: send a number above {gt}"),
    "greater_than_equal": (RefusalCode.FIELD_OUT_OF_RANGE, "is too small: send a number of {ge} or more"),
    "less_than": (RefusalCode.FIELD_OUT_OF_RANGE, "is too large: send a number below {lt}"),
    "less_than_equal": (RefusalCode.FIELD_OUT_OF_RANGE, "is too large: send a number of {le} or less"),
    "literal_error": (RefusalCode.FIELD_INVALID, "is none of the values of this field: send {expected}"),
    "enum": (RefusalCode.FIELD_INVALID, "is none of the values of this field: send {expected}"),
}
"""What is said of pydantic's own types of error."""

_WANTED: Final[Mapping[str, str]] = {
    "string_type": "a text",
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "list_type": "an array",
    "tuple_type": "an array",
    "set_type": "an array",
    "dict_type": "an object",
    "model_type": "an object",
    "model_attributes_type": "an object",
    "dataclass_type": "an object",
    "none_required": "null",
}
"""What a field wants to be, by pydantic's type of the error that it is something else."""

_TYPES_OF_PYDANTIC: Final = frozenset(get_args(ErrorType))
_OF_THE_MODEL: Final = frozenset({"value_error", "assertion_error"})
"""Errors whose text is the model's own, behind a prefix of pydantic's."""
_PROPER_CODE: Final = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")


def read_model(model: type[ModelT], fields: dict[str, Any]) -> ModelT:
    """The fields as a model.

    A `PydanticCustomError` of the model's own validators gives the refusal its type as the code, and its text as the
    message, which has the field for its subject and must not quote the value: dead letters and logs show it.

    Args:
        model: The model. Strict ones refuse ``"7"`` for a number.
        fields: An object, as `read_event` has it.

    Raises:
        RefusedError: The fields break the model's rules; the message names the first that does by its path, and says
            how many more do. No word of the validator is in it.
    """
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        # `errors()` echoes input even with hide_input_in_errors: the input serves to name the mistake, never the text.
        first, *others = error.errors(include_url=False)
        raise RefusedError(_wrapped(first, fields) or _refusal(first, len(others))) from None


def _wrapped(details: ErrorDetails, fields: dict[str, Any]) -> Refusal | None:
    """The refusal of an envelope that nobody has taken off; None where the body itself lacks a field."""
    if details["type"] != "missing" or len(details["loc"]) != 1:
        return None
    missing = str(details["loc"][0])
    envelope = envelope_of(fields, missing)
    if envelope is None:
        return None
    message = f"{missing} is missing, as the body is wrapped in {envelope}"
    return Refusal(Stage.SCHEMA, RefusalCode.BODY_WRAPPED, message)


def _refusal(details: ErrorDetails, others: int) -> Refusal:
    path = ".".join(str(part) for part in details["loc"])
    more = f" (and {others} more)" if others else ""
    code, sentence = what_is_wrong(details)
    return Refusal(Stage.SCHEMA, code, f"{path or 'the body'} {sentence}{more}")


def what_is_wrong(details: ErrorDetails) -> tuple[str, str]:
    """The code of a mistake, and a sentence that says what is there, what is wanted and what to do.

    The sentence has the field for its subject, and shows no value.
    """
    error_type = details["type"]
    if error_type in _SAID:
        code, sentence = _SAID[error_type]
        return code, sentence.format_map(details.get("ctx", {}))
    if error_type not in _TYPES_OF_PYDANTIC:
        return (error_type if _PROPER_CODE.fullmatch(error_type) else RefusalCode.FIELD_INVALID), details["msg"]
    if error_type in _WANTED or error_type.endswith("_type"):
        return _wrong_type(details["input"], _WANTED.get(error_type, f"a {error_type.removesuffix('_type')}"))
    if error_type in _OF_THE_MODEL:
        _, _, said = details["msg"].partition(", ")
        return RefusalCode.FIELD_INVALID, said
    return RefusalCode.FIELD_INVALID, f"breaks a rule of this field ({error_type}): see the published schema"


def _wrong_type(there: Any, wanted: str) -> tuple[str, str]:
    if there is None:
        return RefusalCode.FIELD_MISSING, f"is null, which is no value: send {wanted}"
    if "number" in wanted:
        if isinstance(there, bool):
            return RefusalCode.FIELD_BOOLEAN_FOR_NUMBER, f"is true or false, where {wanted} is wanted: send a number"
        if isinstance(there, str):
            return RefusalCode.FIELD_TEXT_FOR_NUMBER, f"is a text, where {wanted} is wanted: send it without quotes"
        if isinstance(there, float):
            return RefusalCode.FIELD_NOT_WHOLE, "is a number with a point or an exponent: send a whole number"
    return RefusalCode.FIELD_WRONG_TYPE, f"is {_kind_of(there)}, where {wanted} is wanted: send {wanted}"


def _kind_of(value: Any) -> str:
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "a text"
    return "an object" if isinstance(value, dict) else "an array"
