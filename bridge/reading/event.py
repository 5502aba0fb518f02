"""From a record to an event: bare JSON and CloudEvents in both modes, told apart record by record."""

from typing import Any, Final, NamedTuple

from bridge.dead_letters.replay_headers import replayed_coordinates
from bridge.reading.cloudevents import read_binary_attributes, read_structured_attributes, reads_as_structured
from bridge.reading.json_text import ReadLimits, parse_object
from bridge.record import Record
from bridge.refusal import Refusal, RefusalCode, RefusedError, Stage

_DEFAULT_LIMITS: Final = ReadLimits()


class Event(NamedTuple):
    """What a record says: an event's identity, and the fields of its body. A tuple, as one is made for every record."""

    id: str
    """What makes this event the same event when it comes again: CloudEvents' source and id as ``source|id``, else the
    record's coordinates, also after a replay."""
    has_own_id: bool
    """Whether the sender gave the id; False where it is made of the record's coordinates."""
    type: str | None
    """The CloudEvents type; None where the sender gave none."""
    time: str | None
    """The CloudEvents time as the sender wrote it, which nobody has checked; None where the sender gave none."""
    fields: dict[str, Any]
    """The body: a JSON object."""


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
        event_id = replayed_coordinates(record.headers, record.topic) or record.coordinates
    return Event(event_id, attributes.event_id is not None, attributes.type, attributes.time, fields)


def check_key(record: Record, key: str, *, name: str = "id") -> None:
    """Refuses a record whose key is not the one that keeps its records in order. No key at all is fine.

    Records with different keys are in different partitions, where those of one thing would overtake each other.

    Args:
        record: The record.
        key: What its key has to be, if it has one.
        name: What the sender calls that: the name of a field.

    Raises:
        RefusedError: The record has another key.
    """
    if record.key is None or record.key == key.encode():
        return
    try:
        record.key.decode()
    except UnicodeDecodeError:
        message = f"the record's key is not UTF-8; use the {name}, or no key"
        raise RefusedError(Refusal(Stage.KEY, RefusalCode.KEY_NOT_UTF_8, message)) from None
    message = f"the record's key is not its {name}; use the {name}, or no key"
    raise RefusedError(Refusal(Stage.KEY, RefusalCode.KEY_MISMATCH, message))
