"""From a record to an event: bare JSON and CloudEvents in both modes, told apart record by record."""

from typing import Any, Final, NamedTuple

from bridge.dead_letters.replay_headers import replayed_identity
from bridge.reading.cloudevents import (
    read_binary_attributes,
    read_structured_attributes,
    reads_as_structured,
    without_json_quotes,
)
from bridge.reading.json_text import ReadLimits, parse_object
from bridge.record import Record
from bridge.refusal import Refusal, RefusalCode, RefusedError, Stage

_DEFAULT_LIMITS: Final = ReadLimits()


class Event(NamedTuple):
    """What a record says: an event's identity, and the fields of its body. A tuple, as one is made for every record."""

    id: str
    """What makes this event the same event when it comes again: CloudEvents' source and id as ``source|id``, else the
    record's own identity, also after a replay."""
    has_own_id: bool
    """Whether the sender gave the id; False where it is made of the record itself."""
    type: str | None
    """The CloudEvents type; None where the sender gave none."""
    time: str | None
    """The CloudEvents time as the sender wrote it, which nobody has checked; None where the sender gave none."""
    fields: dict[str, Any]
    """The body: a JSON object."""
    traceparent: str | None = None
    """The sender's trace as the value of a structured CloudEvent has it, which nobody has checked; None elsewhere, as
    headers need no reading."""


def read_event(record: Record, limits: ReadLimits = _DEFAULT_LIMITS, *, bare_member: str | None = None) -> Event:
    """Reads a record's value and headers. Pure: the same record always gives the same event.

    The value is a JSON object. It is a CloudEvent where its headers say so (binary mode ``ce_…``, structured mode
    ``content-type``), or where it has no such headers and its members are a CloudEvent's; else it is the body itself.

    Args:
        record: The record.
        limits: How much of it is read.
        bare_member: A member that every bare body has, where there is one: a body with a field `specversion` of its own
            is then not taken for a CloudEvent, and a CloudEvent is recognised without its required attributes.

    Raises:
        RefusedError: The value is no JSON object that all readers read alike, or breaks the CloudEvents specification.
    """
    attributes = read_binary_attributes(record.headers)
    fields = parse_object(record.value, limits)
    if attributes.structured or reads_as_structured(attributes, fields, bare_member):
        attributes, fields = read_structured_attributes(fields, limits)
    event_id = attributes.event_id
    if event_id is None:
        event_id = replayed_identity(record.headers, record.topic) or record.identity
    return Event(
        event_id, attributes.event_id is not None, attributes.type, attributes.time, fields, attributes.traceparent
    )


def check_key(record: Record, key: str, *, name: str = "id") -> None:
    """Refuses a record whose key is not the one that keeps its records in order. No key, or an empty one, is fine.

    Records with different keys are in different partitions, where those of one thing would overtake each other. One
    pair of JSON quotes is taken off a key first.

    Args:
        record: The record.
        key: What its key has to be, if it has one.
        name: What the sender calls that: the name of a field.

    Raises:
        RefusedError: The record has another key.
    """
    if not record.key or record.key == key.encode():
        return
    remedy = f"send the bare {name} as the key, or no key"
    try:
        found = without_json_quotes(record.key.decode())
    except UnicodeDecodeError:
        raise _key_error(RefusalCode.KEY_NOT_UTF_8, f"the record's key is not UTF-8; {remedy}") from None
    if found and found != key:
        raise _key_error(RefusalCode.KEY_MISMATCH, f"the record's key {_habit(found, key)} {name}; {remedy}")


def _habit(found: str, key: str) -> str:
    """What a key is that is not the right one, in words to which what it should be is added."""
    if found.startswith("\0"):
        return "begins with a schema registry's magic byte: it is not its"
    if found.lstrip()[:1] in ("{", "["):
        return "is a JSON object or array, and not its"
    if key in found:
        return (
            "has other characters around it (quotes, of which only one pair of JSON's is taken off, or blanks) than its"
        )
    return "is not its"


def _key_error(code: RefusalCode, message: str) -> RefusedError:
    return RefusedError(Refusal(Stage.KEY, code, message))
