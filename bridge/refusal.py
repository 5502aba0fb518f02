"""Why a record is refused: a value, so that a record that waits for its dead letter keeps a sentence and no more."""

from dataclasses import dataclass
from enum import StrEnum


class Stage(StrEnum):
    """How far a record came before it was refused."""

    BYTES = "bytes"
    """The value is no text."""
    JSON = "json"
    """The text is no JSON object that every reader would read alike."""
    ENVELOPE = "envelope"
    """The CloudEvents attributes or the headers."""
    SCHEMA = "schema"
    """The fields of the body."""
    KEY = "key"
    """The record's key."""
    DISPATCH = "dispatch"
    """The call on Temporal."""


class RefusalCode(StrEnum):
    """The codes that the bridge itself refuses with. A mapping may use these, and codes of its own beside them."""

    VALUE_NULL = "value_null"
    VALUE_EMPTY = "value_empty"
    VALUE_BLANK = "value_blank"
    VALUE_TOO_LARGE = "value_too_large"
    VALUE_GZIP = "value_gzip"
    VALUE_SCHEMA_REGISTRY = "value_schema_registry"
    VALUE_BYTE_ORDER_MARK = "value_byte_order_mark"
    VALUE_UTF_16 = "value_utf_16"
    VALUE_NOT_UTF_8 = "value_not_utf_8"
    VALUE_BINARY = "value_binary"
    BATCH_UNREADABLE = "batch_unreadable"
    """The record stands for a batch of records that does not decompress: none of them is known."""
    BATCH_TOO_LARGE = "batch_too_large"
    """The record stands for a batch of records that unfolds beyond the bound: none of them is looked at."""

    JSON_INVALID = "json_invalid"
    JSON_QUOTES = "json_quotes"
    JSON_TRUNCATED = "json_truncated"
    JSON_SEVERAL_DOCUMENTS = "json_several_documents"
    JSON_COMMENT = "json_comment"
    JSON_TRAILING_COMMA = "json_trailing_comma"
    JSON_CONTROL_CHARACTER = "json_control_character"
    JSON_NOT_A_NUMBER = "json_not_a_number"
    JSON_NUMBER_TOO_LARGE = "json_number_too_large"
    JSON_INTEGER_TOO_LONG = "json_integer_too_long"
    JSON_TOO_DEEP = "json_too_deep"
    JSON_NOT_AN_OBJECT = "json_not_an_object"
    JSON_REPEATED_NAME = "json_repeated_name"
    JSON_NUL_CHARACTER = "json_nul_character"
    JSON_LONE_SURROGATE = "json_lone_surrogate"

    HEADER_REPEATED = "header_repeated"
    HEADER_NOT_UTF_8 = "header_not_utf_8"
    HEADER_NAME_NOT_UTF_8 = "header_name_not_utf_8"
    CONTENT_TYPE_UNSUPPORTED = "content_type_unsupported"
    SPECVERSION_UNSUPPORTED = "specversion_unsupported"
    ATTRIBUTE_MISSING = "attribute_missing"
    ATTRIBUTE_INVALID = "attribute_invalid"
    EVENT_TYPE_MISMATCH = "event_type_mismatch"
    """For mappings that compare the event's type with what the topic holds."""
    EVENT_TIME_INVALID = "event_time_invalid"
    """For mappings that read the event's time."""
    DATA_MISSING = "data_missing"

    BODY_WRAPPED = "body_wrapped"
    """The body is within an envelope that nobody has taken off."""
    FIELD_MISSING = "field_missing"
    FIELD_WRONG_TYPE = "field_wrong_type"
    FIELD_BOOLEAN_FOR_NUMBER = "field_boolean_for_number"
    FIELD_TEXT_FOR_NUMBER = "field_text_for_number"
    FIELD_NOT_WHOLE = "field_not_whole"
    FIELD_TOO_LONG = "field_too_long"
    FIELD_TOO_SHORT = "field_too_short"
    FIELD_OUT_OF_RANGE = "field_out_of_range"
    FIELD_INVALID = "field_invalid"
    IDENTIFIER_INVALID = "identifier_invalid"
    """A text that does not match its field's pattern."""

    KEY_NOT_UTF_8 = "key_not_utf_8"
    KEY_MISMATCH = "key_mismatch"

    DECODER_FAILED = "decoder_failed"
    """A mistake in the mapping, and none of the record: the mapping raised what is no refusal."""
    REFUSED_BY_TEMPORAL = "refused_by_temporal"
    """The mapping made a call of the record, and Temporal refuses that call as invalid."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a record can never be delivered, and belongs in the dead letters.

    Args:
        stage: How far the record came.
        code: The kind of mistake: a `RefusalCode`, or a code of the mapping's own in the same form.
        message: What is wrong, where (a field's path), and what to do. Never a value of the record: dead letters,
            logs and pages show it.
    """

    stage: Stage
    code: str
    message: str


class RefusedError(Exception):
    """Raised by a mapping for a record that it refuses.

    Args:
        refusal: Why. The bridge keeps this value alone, and lets the error go: an error holds the frames that it came
            through, and with them the record's text and document, many times the record's bytes (I11).
    """

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal
