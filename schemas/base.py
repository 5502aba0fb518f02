"""The base models and the scalar types that the whole contract shares."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Final

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    StringConstraints,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import CoreSchema, PydanticCustomError, PydanticUseDefault, core_schema

from schemas.currencies import ISO_4217_CODES

IDENTIFIER_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$"
"""Order and payment ids: safe as a Kafka key, a Temporal workflow id, a URL segment and a shell word."""

TEXT_MAX_CHARS = 1_000
"""Longest free text in a message (a note, a street); far above real ones, far below any store's limit."""

EVENT_ID_MAX_CHARS = 512
"""Longest event id: at four bytes a character still within what a Postgres index takes (2,704 bytes)."""

AMOUNT_MAX = 10**15
"""Largest amount in minor units: exact in JSON readers that use doubles (below 2**53), and in Postgres' bigint."""

_BLANKS: Final = r"\t\n\x0b\x0c\r \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"
"""What counts as blank, written out: engines of regular expressions differ in what they take for white space."""
BLANK_PATTERN: Final = f"^[{_BLANKS}]*$"
SAYS_SOMETHING_PATTERN: Final = rf"^[^\x00]*[^\x00{_BLANKS}][^\x00]*$"

_IDENTIFIER: Final = re.compile(IDENTIFIER_PATTERN)
_NOT_BLANK: Final = re.compile(f"[^{_BLANKS}]")

TIME_PATTERN: Final = (
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})$"
)
"""RFC 3339 section 5.6: date-time, whose offset is mandatory."""
_TIME: Final = re.compile(
    r"(?P<minute>.{16}):(?P<second>[0-9]{2})(?:\.(?P<fraction>[0-9]+))?(?P<offset>[Zz]|[+-][0-9:]{5})"
)
_TIME_FORM: Final = re.compile(TIME_PATTERN)
_LEAP_SECOND: Final = "60"

TAKEN: Final = {"taken": True}
"""Validation context of what was let in before: what a later table of currencies lacks is read all the same."""


class Model(BaseModel):
    """A wire model: immutable, strict (no ``"7"`` for ``7``), and indifferent to fields it does not know."""

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        strict=True,
        hide_input_in_errors=True,
        use_attribute_docstrings=True,  # They are the descriptions in the published contract.
    )


class Sent(Model):
    """A wire model that others write. A field that differs from a known one only in case and separators is refused.

    Ignored as an unknown field, ``shippingAddress`` would ship the order to nowhere, and ``orderId`` is no order's.
    """

    _misnamed: ClassVar[re.Pattern[str]]

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """Makes the pattern of the names that are none of the fields, and look like one."""
        cls._misnamed = re.compile(_misnamed_pattern(cls.model_fields).removeprefix("^").removesuffix("$"))

    @model_validator(mode="before")
    @classmethod
    def _no_field_is_misnamed(cls, value: Any) -> Any:
        if isinstance(value, dict) and not value.keys() <= cls.model_fields.keys():
            for name in value:
                if isinstance(name, str) and cls._misnamed.fullmatch(name):
                    raise _misnamed_error(name, cls.model_fields)
        return value

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Says the rule in the published schema, for senders: readers of ours never refuse a name."""
        made = handler(schema)
        if handler.mode == "validation":
            described = handler.resolve_ref_schema(made)
            described["propertyNames"] = {"not": {"pattern": _misnamed_pattern(cls.model_fields)}}
        return made


_SEPARATORS: Final = "[-_. ]*"


def _misnamed_pattern(fields: dict[str, Any]) -> str:
    loose = "|".join(
        _SEPARATORS.join(f"[{letter}{letter.upper()}]" for letter in name.replace("_", "")) for name in fields
    )
    return f"^(?!(?:{'|'.join(fields)})$){_SEPARATORS}(?:{loose}){_SEPARATORS}$"


_NAME_SHOWN_MAX_CHARS: Final = 60


def _misnamed_error(name: str, fields: dict[str, Any]) -> PydanticCustomError:
    letters = re.sub("[^a-z]", "", name.lower())
    meant = next(field for field in fields if field.replace("_", "") == letters)
    # The name holds the letters of one of ours and separators, so that it may be shown.
    shown = name if len(name) <= _NAME_SHOWN_MAX_CHARS else "a field with many separators"
    return PydanticCustomError(
        "field_misnamed", "has {shown}, which is not a field: send {meant}", {"shown": shown, "meant": meant}
    )


class NullIsAbsent:
    """Annotation of an optional field: null means the same as leaving the field out."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Takes the field's default for null."""
        return core_schema.no_info_before_validator_function(_default_for_null, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Allows null beside what the field is."""
        return {"anyOf": [handler(schema), {"type": "null"}]}


def _default_for_null(value: Any) -> Any:
    if value is None:
        raise PydanticUseDefault
    return value


# Texts ---------------------------------------------------------------------------------------------------------------


def is_blank(text: str) -> bool:
    """Whether a text is empty or holds nothing but blanks, which senders write where they have nothing to say."""
    return _NOT_BLANK.search(text) is None


def _given(text: str | None) -> str | None:
    return None if text is None or is_blank(text) else text


def _not_blank(text: str) -> str:
    if is_blank(text):
        raise PydanticCustomError("field_blank", "is blank: a text is needed here")
    return text


def _identifier(text: str) -> str:
    if not _IDENTIFIER.fullmatch(text):
        raise PydanticCustomError(
            "identifier_invalid",
            "is no id: an id begins with a letter or digit, then up to 127 of letters, digits and . _ : -",
        )
    return text


Identifier = Annotated[str, AfterValidator(_identifier), Field(json_schema_extra={"pattern": IDENTIFIER_PATTERN})]
"""An order or payment id: a letter or digit, then up to 127 of letters, digits and ``. _ : -``."""

Text = Annotated[str, StringConstraints(max_length=TEXT_MAX_CHARS, pattern=r"^[^\x00]*$")]
"""Free text without NUL characters, which Postgres refuses."""

OptionalText = Annotated[Text | None, AfterValidator(_given)]
"""Free text that may be left out; null and blank mean the same."""

NeededText = Annotated[Text, AfterValidator(_not_blank), Field(json_schema_extra={"pattern": SAYS_SOMETHING_PATTERN})]
"""Free text that says something."""

SHORT_TEXT_MAX_CHARS = 200
"""Longest text of which one message has many."""

ShortText = Annotated[str, StringConstraints(max_length=SHORT_TEXT_MAX_CHARS, pattern=r"^[^\x00]*$")]
"""A word or two."""

OptionalShortText = Annotated[ShortText | None, AfterValidator(_given)]
"""A word or two that may be left out; null and blank mean the same."""

NeededShortText = Annotated[
    ShortText, AfterValidator(_not_blank), Field(json_schema_extra={"pattern": SAYS_SOMETHING_PATTERN})
]
"""A word or two that say something."""

EventId = Annotated[str, StringConstraints(min_length=1, max_length=EVENT_ID_MAX_CHARS, pattern=r"^[^\x00]*$")]
"""What makes an event the same event: one of the same type seen before is a duplicate."""

OptionalEventId = Annotated[
    Annotated[str, StringConstraints(max_length=EVENT_ID_MAX_CHARS, pattern=r"^[^\x00]*$")] | None,
    AfterValidator(_given),
]
"""An event id that may be left out; null and blank mean the same."""


# Times ---------------------------------------------------------------------------------------------------------------


def parse_rfc_3339(value: Any) -> datetime:
    """Turns an RFC 3339 text into a datetime in UTC; an aware datetime is passed through.

    What Python cannot hold is cut to the last microsecond before it: digits of a second beyond the sixth, and a leap
    second, which is read as the last microsecond of its minute.

    Raises:
        ValueError: the value has no offset, is not RFC 3339, or names no real time.
    """
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise PydanticCustomError("time_form", "is a time without an offset: send one, as in 2026-01-31T12:00:00Z")
        return value
    match = _TIME.fullmatch(value) if isinstance(value, str) and _TIME_FORM.fullmatch(value) else None
    if match is None:
        raise PydanticCustomError(
            "time_form", "is no time: send one of RFC 3339 with an offset, as in 2026-01-31T12:00:00Z"
        )
    is_leap = match["second"] == _LEAP_SECOND
    second, fraction = ("59", "999999") if is_leap else (match["second"], (match["fraction"] or "")[:6].ljust(6, "0"))
    try:
        # In UTC, so that no later conversion can leave the range of years (9999-12-31T23:59:59-10:00 would).
        time = datetime.fromisoformat(
            f"{match['minute']}:{second}.{fraction}{match['offset']}".upper(),
        ).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise PydanticCustomError(
            "time_unknown", "is a time that does not exist, or is not within the years 1 to 9999: send one that is"
        ) from error
    if is_leap and (time.hour, time.minute) != (23, 59):
        raise PydanticCustomError(
            "time_unknown", "is a leap second at another time than 23:59:60 UTC: send a time that exists"
        )
    return time


Timestamp = Annotated[datetime, BeforeValidator(parse_rfc_3339)]
"""An aware time; RFC 3339 on the wire."""


def _no_time_for_blank(value: Any) -> Any:
    return None if isinstance(value, str) and is_blank(value) else value


OptionalTimestamp = Annotated[
    Timestamp | None,
    BeforeValidator(_no_time_for_blank),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "format": "date-time", "pattern": TIME_PATTERN},
                {"type": "string", "pattern": BLANK_PATTERN},
                {"type": "null"},
            ]
        },
        mode="validation",
    ),
]
"""A time that may be left out; null and blank mean the same."""


# Numbers and money ---------------------------------------------------------------------------------------------------


def _is_fraction(value: Any) -> bool:
    return isinstance(value, float) and not value.is_integer()


def whole(value: Any) -> Any:
    """A whole number is an integer however it is written: 1250.0 and 1.25e3 are 1250, as JSON Schema has it."""
    if _is_fraction(value):
        raise PydanticCustomError("field_not_whole", "is a number with a fraction: send a whole number")
    return int(value) if isinstance(value, float) else value


def _whole_amount(value: Any) -> Any:
    if _is_fraction(value):
        raise PydanticCustomError(
            "field_not_whole",
            "is a number with a fraction: amounts are whole numbers of minor units, such as cents; send 1250 for 12.50",
        )
    return whole(value)


def _known_currency(code: str, info: ValidationInfo) -> str:
    if code not in ISO_4217_CODES and info.context is not TAKEN:
        raise PydanticCustomError(
            "currency_unknown",
            "is no currency: send an alphabetic code of ISO 4217 in capitals, such as USD",
        )
    return code


def _default_for_blank(value: Any) -> Any:
    if value is None or (isinstance(value, str) and is_blank(value)):
        raise PydanticUseDefault
    return value


SignedMinorUnits = Annotated[int, Field(ge=-AMOUNT_MAX, le=AMOUNT_MAX), BeforeValidator(_whole_amount)]
"""Money in minor units, such as cents, of which something may be taken off."""

MinorUnits = Annotated[int, Field(ge=0, le=AMOUNT_MAX), BeforeValidator(_whole_amount)]
"""Money in minor units, such as cents; its currency stands beside it."""

Currency = Annotated[str, Field(json_schema_extra={"pattern": "^[A-Z]{3}$", "examples": ["USD", "EUR"]})]
"""A currency that was let in. What is stored is read whatever it is: a code may leave the table one day."""

KnownCurrency = Annotated[
    str,
    BeforeValidator(_default_for_blank),
    AfterValidator(_known_currency),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "enum": sorted(ISO_4217_CODES)},
                {"type": "string", "pattern": BLANK_PATTERN},
                {"type": "null"},
            ],
            "examples": ["USD", "EUR"],
        }
    ),
]
"""A currency at the door: an alphabetic code of ISO 4217; null and blank mean the field's default."""
