"""Why a record cannot be read: one code for each kind of mistake that a sender can make."""

from enum import StrEnum


class DecodeStage(StrEnum):
    """How far decoding came."""

    BYTES = "bytes"
    """The value is no text."""
    JSON = "json"
    """The text is no JSON object that every reader would read alike."""
    ENVELOPE = "envelope"
    """The CloudEvents attributes or the headers."""
    SCHEMA = "schema"
    """The body's fields."""
    KEY = "key"
    """The record's key."""


class DecodeErrorCode(StrEnum):
    """Part of the published contract: docs/dead-letters.md explains each, and a test holds the two together."""

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
    """Not one record but a batch of them, which does not decompress: none of them is known."""

    JSON_INVALID = "json_invalid"
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
    EVENT_TIME_INVALID = "event_time_invalid"
    DATA_MISSING = "data_missing"

    FIELD_MISSING = "field_missing"
    FIELD_WRONG_TYPE = "field_wrong_type"
    FIELD_BOOLEAN_FOR_NUMBER = "field_boolean_for_number"
    FIELD_TEXT_FOR_NUMBER = "field_text_for_number"
    FIELD_TOO_LONG = "field_too_long"
    FIELD_TOO_SHORT = "field_too_short"
    FIELD_OUT_OF_RANGE = "field_out_of_range"
    FIELD_INVALID = "field_invalid"
    IDENTIFIER_INVALID = "identifier_invalid"
    AMOUNT_MISMATCH = "amount_mismatch"
    AMOUNT_TOO_LARGE = "amount_too_large"
    CURRENCY_UNKNOWN = "currency_unknown"
    TIME_FORM = "time_form"
    TIME_UNKNOWN = "time_unknown"
    ADDRESS_EMPTY = "address_empty"

    KEY_NOT_UTF_8 = "key_not_utf_8"
    KEY_MISMATCH = "key_mismatch"

    DECODER_FAILED = "decoder_failed"
    """Our own mistake: the decoder met something that it has no answer to."""


class DecodeError(Exception):
    """The record cannot be read, and never will be: it belongs in the dead letters.

    Args:
        code: The kind of mistake.
        message: What is wrong, where (a field's path), and what to do; never a value of the record.
        stage: How far decoding came.
    """

    def __init__(self, code: DecodeErrorCode, message: str, stage: DecodeStage) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.stage = stage
