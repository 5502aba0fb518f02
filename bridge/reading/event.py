"""From a record to an event: the three encodings, and every rule of the message contract."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from bridge.dead_letters.replay_headers import replayed_coordinates
from bridge.reading.cloudevents import (
    Attributes,
    read_binary_attributes,
    read_structured_attributes,
    reads_as_structured,
)
from bridge.reading.json_text import parse_object
from bridge.reading.models import _validate
from bridge.record import Record
from bridge.refusal import DecodeError, DecodeErrorCode, DecodeStage
from schemas.base import parse_rfc_3339
from schemas.event_types import EventType
from schemas.inbound import InboundBody, InboundEvent


@dataclass(frozen=True, slots=True)
class DecodeLimits:
    """How much one record may be."""

    value_max_bytes: int = 512 * 1024
    """Well below the 2 MiB that Temporal takes as one payload, JSON escapes included."""


@dataclass(frozen=True, slots=True)
class DecodedRecord:
    """A record that follows the contract."""

    order_id: str
    event_type: EventType
    event: InboundEvent
    """The envelope that Temporal carries."""
    body: InboundBody


def decode(record: Record, topics: Mapping[str, EventType], limits: DecodeLimits) -> DecodedRecord:
    """Reads a record by the message contract. Pure: the same record always gives the same event.

    Args:
        record: The record.
        topics: The event type of each topic.
        limits: How much one record may be.

    Raises:
        DecodeError: The record breaks the contract. It is the only exception, whatever the bytes are.
    """
    try:
        return _decode(record, topics[record.topic], limits)
    except DecodeError:
        raise
    except Exception as error:  # No bytes may end the process (I10).
        raise DecodeError(
            DecodeErrorCode.DECODER_FAILED,
            f"the bridge failed to read the record ({type(error).__name__}): a mistake of the bridge; report it",
            DecodeStage.SCHEMA,
        ) from error


def _decode(record: Record, topic_type: EventType, limits: DecodeLimits) -> DecodedRecord:
    attributes = read_binary_attributes(record.headers)
    fields = parse_object(record.value, value_max_bytes=limits.value_max_bytes)
    if attributes.structured or reads_as_structured(attributes, fields):
        attributes, fields = read_structured_attributes(fields, value_max_bytes=limits.value_max_bytes)
    _check_event_type(attributes, topic_type)
    body = _validate(fields, topic_type)
    _check_key(record.key, body.order_id)
    event = InboundEvent(
        event_id=attributes.event_id or body.event_id or _coordinates(record),
        type=topic_type.value,
        occurred_at=_event_time(attributes) or body.occurred_at or record.produced_at,
        # Without the fields that are not given: the models fill them in again, and what is small is stored 3 times.
        body=body.model_dump(mode="json", exclude_none=True),
    )
    return DecodedRecord(body.order_id, topic_type, event, body)


def _coordinates(record: Record) -> str:
    """What names an event whose sender did not: where it was, also after it is replayed to somewhere else."""
    return replayed_coordinates(record.headers, record.topic) or record.coordinates


def _check_event_type(attributes: Attributes, topic_type: EventType) -> None:
    if attributes.type is not None and attributes.type != topic_type.value:
        raise DecodeError(
            DecodeErrorCode.EVENT_TYPE_MISMATCH,
            f"the CloudEvents type is not {topic_type.value}, which is what this topic holds",
            DecodeStage.ENVELOPE,
        )


def _event_time(attributes: Attributes) -> datetime | None:
    if attributes.time is None:
        return None
    try:
        return parse_rfc_3339(attributes.time)
    except ValueError as error:
        raise DecodeError(
            DecodeErrorCode.EVENT_TIME_INVALID, f"the CloudEvents time is no time: {error}", DecodeStage.ENVELOPE
        ) from None


def _check_key(key: bytes | None, order_id: str) -> None:
    """A key that is not the order's would let the order's records overtake each other in other partitions."""
    if key is None or key == order_id.encode():
        return
    try:
        key.decode()
    except UnicodeDecodeError:
        raise DecodeError(
            DecodeErrorCode.KEY_NOT_UTF_8, "the record's key is not UTF-8; use the order_id, or no key", DecodeStage.KEY
        ) from None
    raise DecodeError(
        DecodeErrorCode.KEY_MISMATCH,
        "the record's key is not its order_id; use the order_id, or no key",
        DecodeStage.KEY,
    )


# The body's fields ---------------------------------------------------------------------------------------------------
