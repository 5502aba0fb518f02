"""The base model and the scalar types that the whole contract shares."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints
from pydantic_core import PydanticCustomError

from schemas.currencies import ISO_4217_CODES

IDENTIFIER_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$"
"""Order and payment ids: safe as a Kafka key, a Temporal workflow id, a URL segment and a shell word."""

TEXT_MAX_CHARS = 1_000
"""Longest free text in a message (a note, a street); far above real ones, far below any store's limit."""

AMOUNT_MAX = 10**15
"""Largest amount in minor units: exact in JSON readers that use doubles (below 2**53), and in Postgres' bigint."""

# RFC 3339 section 5.6: date-time with a mandatory offset. A leap second (:60) is not a time Python can hold.
_RFC_3339 = re.compile(
    r"\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d{1,9})?([Zz]|[+-]\d{2}:\d{2})",
    re.ASCII,
)


class Model(BaseModel):
    """A wire model: immutable, strict (no ``"7"`` for ``7``), and indifferent to fields it does not know."""

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        strict=True,
        hide_input_in_errors=True,
        use_attribute_docstrings=True,  # They are the descriptions in the published contract.
    )


def parse_rfc_3339(value: Any) -> datetime:
    """Turns an RFC 3339 text into a datetime in UTC; an aware datetime is passed through.

    Raises:
        ValueError: the value has no offset, is not RFC 3339, or names no real time.
    """
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise PydanticCustomError("time_form", "a time needs an offset, as in 2026-01-31T12:00:00Z")
        return value
    if not isinstance(value, str) or not _RFC_3339.fullmatch(value):
        raise PydanticCustomError("time_form", "a time is RFC 3339 with an offset, as in 2026-01-31T12:00:00Z")
    seconds, fraction, rest = _split_fraction(value.upper())
    try:
        # In UTC, so that no later conversion can leave the range of years (9999-12-31T23:59:59-10:00 would).
        return datetime.fromisoformat(f"{seconds}.{fraction}{rest}").astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise PydanticCustomError("time_unknown", "there is no such time") from error


def _split_fraction(value: str) -> tuple[str, str, str]:
    """Splits at the fraction of a second, cut or padded to the microseconds that Python can hold."""
    seconds, rest = value[:19], value[19:]
    match = re.match(r"\.(\d+)", rest)
    if match is None:
        return seconds, "000000", rest
    return seconds, match[1][:6].ljust(6, "0"), rest[match.end() :]


def _known_currency(code: str) -> str:
    if code not in ISO_4217_CODES:
        raise PydanticCustomError("currency_unknown", "not a currency code of ISO 4217, such as USD")
    return code


Identifier = Annotated[str, StringConstraints(pattern=IDENTIFIER_PATTERN)]
"""An order or payment id: a letter or digit, then up to 127 of letters, digits and ``. _ : -``."""

Text = Annotated[str, StringConstraints(max_length=TEXT_MAX_CHARS, pattern=r"^[^\x00]*$")]
"""Free text without NUL characters, which Postgres refuses."""

EVENT_ID_MAX_CHARS = 512
"""Longest event id: at four bytes a character still within what a Postgres index takes (2,704 bytes)."""

EventId = Annotated[str, StringConstraints(min_length=1, max_length=EVENT_ID_MAX_CHARS, pattern=r"^[^\x00]*$")]
"""What makes an event the same event: one seen before is a duplicate."""

Timestamp = Annotated[datetime, BeforeValidator(parse_rfc_3339)]
"""An aware time; RFC 3339 on the wire."""

MinorUnits = Annotated[int, Field(ge=0, le=AMOUNT_MAX)]
"""Money in minor units, such as cents; its currency stands beside it."""

Currency = Annotated[
    str,
    AfterValidator(_known_currency),
    Field(json_schema_extra={"pattern": "^[A-Z]{3}$", "examples": ["USD", "EUR"]}),
]
"""An alphabetic currency code of ISO 4217."""
