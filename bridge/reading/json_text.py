r"""From bytes to a JSON object, more strictly than any parser: what two readers could read differently is refused.

Parsers keep the last of repeated names, turn integers above 2**64 into floats (orjson), accept NaN (the standard
library, pydantic) or nesting that later code cannot take, and all accept ``\u0000``, which Postgres refuses in text
and jsonb. Each of these would be another document than the sender meant, or one that many databases cannot hold.
"""

import json
import math
import re
from dataclasses import dataclass
from typing import Any, NoReturn

from bridge.refusal import Refusal, RefusalCode, RefusedError, Stage

DEPTH_MAX = 32
"""Deepest nesting, far above what messages need. The limit holds for fields that nobody reads as well."""

INTEGER_MAX_CHARS = 19
"""Longest integer in characters, sign included: nearly all that fit in 64 bits, which all readers read alike."""

_GZIP_MAGIC = b"\x1f\x8b"
_UTF_8_MARK = b"\xef\xbb\xbf"
_UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_SCHEMA_REGISTRY_PREFIX_BYTES = 5
_BLANKS = " \t\r\n"
_COMMENT_STARTS = ("//", "/*", "#")
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class ReadLimits:
    """How much of one record is read."""

    value_max_bytes: int = 512 * 1024
    """Longest value, and longest data within it. Well below the 2 MiB that Temporal takes as one payload, JSON escapes
    included."""
    value_max_setting: str = "value_max_bytes"
    """What the setting behind `value_max_bytes` is called, for whoever reads that a value was too large."""


def parse_object(value: bytes | None, limits: ReadLimits) -> dict[str, Any]:
    """The JSON object that the value is.

    Args:
        value: The record's value.
        limits: How much is read.

    Raises:
        RefusedError: The value is not exactly one JSON object in UTF-8, or is one that readers disagree on.
    """
    text = _text(value, limits)
    if (text.count("{") + text.count("[")) > DEPTH_MAX:
        # Only now is a walk worth its cost; and it comes first, so that no parser meets an abyss.
        _refuse_deep_nesting(text)
    try:
        document = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise _syntax_error(error) from None  # The original's message quotes the document.
    if not isinstance(document, dict):
        raise _json_error(RefusalCode.JSON_NOT_AN_OBJECT, _not_an_object(document))
    if "\\u" in text:
        # Only an escape can bring in a NUL or half a surrogate pair: raw ones are refused before this.
        _refuse_bad_characters(document)
    return document


def _text(value: bytes | None, limits: ReadLimits) -> str:
    """The value as text; what is known not to be text is named."""
    if value is None:
        raise _bytes_error(RefusalCode.VALUE_NULL, "the record has no value (a tombstone); send a JSON object")
    if not value:
        raise _bytes_error(RefusalCode.VALUE_EMPTY, "the value is empty; send a JSON object")
    if len(value) > limits.value_max_bytes:
        raise _bytes_error(
            RefusalCode.VALUE_TOO_LARGE,
            f"the value has {len(value)} bytes, more than the limit of {limits.value_max_bytes} "
            f"({limits.value_max_setting}); send less, or have the limit raised",
        )
    _refuse_known_encodings(value)
    try:
        text = value.decode()
    except UnicodeDecodeError as error:
        if value.lstrip()[:1] in (b"{", b"["):
            raise _bytes_error(
                RefusalCode.VALUE_NOT_UTF_8,
                f"byte {error.start} of the value is not UTF-8; encode the JSON as UTF-8",
            ) from None
        raise _bytes_error(
            RefusalCode.VALUE_BINARY, "the value is binary data, not text; send JSON encoded as UTF-8"
        ) from None
    if not text.strip(_BLANKS):
        raise _bytes_error(RefusalCode.VALUE_BLANK, "the value is blank; send a JSON object")
    return text


def _refuse_known_encodings(value: bytes) -> None:
    if value.startswith(_GZIP_MAGIC):
        raise _bytes_error(
            RefusalCode.VALUE_GZIP,
            "the value is compressed with gzip; leave compression to the Kafka client (compression.type)",
        )
    if value.startswith(_UTF_8_MARK):
        raise _bytes_error(
            RefusalCode.VALUE_BYTE_ORDER_MARK, "the value starts with a byte-order mark; send UTF-8 without one"
        )
    if value.startswith(_UTF_16_MARKS) or _UNMARKED_UTF_16.match(value):
        raise _bytes_error(RefusalCode.VALUE_UTF_16, "the value is UTF-16 or UTF-32; encode the JSON as UTF-8")
    if value[0] == 0 and len(value) >= _SCHEMA_REGISTRY_PREFIX_BYTES:
        raise _bytes_error(
            RefusalCode.VALUE_SCHEMA_REGISTRY,
            "the value starts with a schema registry's magic byte and schema id; use a plain JSON serializer",
        )


_UNMARKED_UTF_16 = re.compile(rb"[^\0]\0|\0[{\[]|\0\0\0[{\[]\0\0\0")
"""UTF-16 and UTF-32 without a mark show as NULs beside the first character, which no JSON in UTF-8 has. A value that
begins with two NULs is otherwise a schema registry's: its magic byte, and a small schema id."""


def _refuse_deep_nesting(text: str) -> None:
    """Counts brackets outside strings. May misjudge text that is not JSON, which is refused anyway."""
    depth = 0
    for token in _STRUCTURE.finditer(text):
        character = token[0]
        if character in "{[":
            depth += 1
            if depth > DEPTH_MAX:
                raise _json_error(
                    RefusalCode.JSON_TOO_DEEP,
                    f"objects and arrays are nested more than {DEPTH_MAX} deep; send fewer levels",
                )
        elif character in "}]":
            depth -= 1


_STRUCTURE = re.compile(r'[{}\[\]]|"(?:[^"\\]|\\.)*"?', re.DOTALL)
"""Brackets, and whole strings so that brackets within them do not count."""


def _syntax_error(error: json.JSONDecodeError) -> RefusedError:
    """Names what is wrong with the text; says where, and shows none of it."""
    text, position = error.doc, error.pos
    rest = text[position : position + 64].lstrip(_BLANKS)
    where = f"at line {error.lineno}, column {error.colno}"
    if error.msg.startswith("Invalid control character"):
        code, what = (
            RefusalCode.JSON_CONTROL_CHARACTER,
            "a control character stands in a string; escape it, as \\n for a line end",
        )
    elif rest.startswith(_COMMENT_STARTS):
        code, what = RefusalCode.JSON_COMMENT, "JSON has no comments; leave it out"
    elif _has_wrong_quotes(error, rest):
        code, what = RefusalCode.JSON_QUOTES, 'names and texts stand in straight double quotes ("), and in no other'
    elif error.msg == "Extra data":
        code, what = RefusalCode.JSON_SEVERAL_DOCUMENTS, "more follows the JSON; send one object per record"
    elif _is_trailing_comma(text, position, rest):
        code, what = (
            RefusalCode.JSON_TRAILING_COMMA,
            "a comma stands before the end of an object or array; leave it out",
        )
    elif error.msg.startswith("Unterminated string") or not rest:
        code, what = RefusalCode.JSON_TRUNCATED, "the JSON ends too early; was it cut off?"
    else:
        code, what = RefusalCode.JSON_INVALID, "the value is no JSON; send one JSON object"
    return _json_error(code, f"{what} ({where})")


_OTHER_QUOTES = "'`\u00ab\u00bb\u2018\u2019\u201a\u201b\u201c\u201d\u201e\u201f\u2039\u203a\u300c\u300d\uff02\uff07"
"""What editors and mail programs make of a quote, and what other languages write for one."""


def _has_wrong_quotes(error: json.JSONDecodeError, rest: str) -> bool:
    """Whether another quote, or none, stands where a name or a text begins."""
    if rest[:1] in tuple(_OTHER_QUOTES):
        return True
    return error.msg.startswith("Expecting property name") and _BARE_NAME.match(rest) is not None


_BARE_NAME = re.compile(r"[A-Za-z_$][\w$]*\s*:")
"""A name without quotes, as programs write an object and JSON does not."""


def _not_an_object(document: Any) -> str:
    """What to say of a value that is JSON, and no object."""
    if isinstance(document, list):
        return "the value is an array; send its elements as records of their own"
    if isinstance(document, str) and document.lstrip(_BLANKS)[:1] == "{":
        return "the value is JSON within a text: it was encoded twice; send the object itself"
    kind = {str: "a text", bool: "true or false", type(None): "null"}.get(type(document), "a number")
    return f"the value is {kind}, and no object; send one JSON object per record"


def _is_trailing_comma(text: str, position: int, rest: str) -> bool:
    """Whether a comma closes a list: Python up to 3.12 reports the bracket's place, later ones the comma's."""
    if rest.startswith(","):
        return rest[1:].lstrip(_BLANKS)[:1] in ("}", "]")
    return rest[:1] in ("}", "]") and text[max(0, position - 64) : position].rstrip(_BLANKS).endswith(",")


def _unique_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _json_error(
            RefusalCode.JSON_REPEATED_NAME,
            "an object has the same name twice, and readers disagree on which one counts; send one",
        )
    return members


def _integer(digits: str) -> int:
    if len(digits) > INTEGER_MAX_CHARS:
        raise _json_error(
            RefusalCode.JSON_INTEGER_TOO_LONG,
            f"an integer has more than {INTEGER_MAX_CHARS} characters, and readers read different numbers; send a text",
        )
    return int(digits)


def _float(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise _json_error(
            RefusalCode.JSON_NUMBER_TOO_LARGE, "a number is beyond what a double can hold; send a smaller one"
        )
    return number


def _not_a_number(_constant: str) -> NoReturn:
    raise _json_error(
        RefusalCode.JSON_NOT_A_NUMBER, "JSON has no NaN and no Infinity; send a number, or leave the field out"
    )


def _refuse_bad_characters(document: dict[str, Any]) -> None:
    """Walks every name and string; nesting is bounded by now."""
    waiting: list[Any] = [document]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            waiting.extend(item.keys())
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)
        elif isinstance(item, str):
            if "\0" in item:
                raise _json_error(
                    RefusalCode.JSON_NUL_CHARACTER, "a string holds a NUL character (\\u0000); leave it out"
                )
            if _SURROGATE.search(item):
                raise _json_error(
                    RefusalCode.JSON_LONE_SURROGATE,
                    "a string holds half a surrogate pair (\\ud800 to \\udfff); encode the whole character",
                )


def _bytes_error(code: RefusalCode, message: str) -> RefusedError:
    return RefusedError(Refusal(Stage.BYTES, code, message))


def _json_error(code: RefusalCode, message: str) -> RefusedError:
    return RefusedError(Refusal(Stage.JSON, code, message))


_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique_names, parse_int=_integer, parse_float=_float, parse_constant=_not_a_number
)
