"""Compares an order's events with their links, and with what else is said of them. Pure."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from activities.adapters.postgres.audit import AuditedEvent
from activities.audit_chain import entry, is_without_person, link, payload_digest
from orders.operations.audit.findings import Audit, Kind
from schemas.outbound import outbound_event_id


@dataclass(frozen=True, slots=True)
class Stretch:
    """Which events of an order are to be there."""

    order_id: str
    first: int
    last: int
    before: bytes | None
    """The link of the event before the first one; None where there is no such event, or it has no link."""
    before_is_known: bool = True
    may_be_erased: bool = True
    """Whether the order was forgotten, as far as is known."""


def check_events(audit: Audit, stretch: Stretch, events: Sequence[AuditedEvent]) -> bytes | None:
    """Notes what is wrong with events.

    Args:
        audit: notes it.
        stretch: what is to be there.
        events: what is there, by their numbers.

    Returns:
        The last one's link.
    """
    expected, before, is_known = stretch.first, stretch.before, stretch.before_is_known
    for event in events:
        audit.events += 1
        if not stretch.first <= event.sequence <= stretch.last:
            audit.note(stretch.order_id, event.sequence, Kind.UNEXPECTED, "the order's journal does not count it")
            continue
        if event.sequence > expected:
            _note_missing(audit, stretch.order_id, expected, event.sequence - 1)
            is_known = False
        wrong = _contradiction(stretch.order_id, event) or _wrong_hash(audit, stretch, event, before, is_known)
        if wrong:
            audit.note(stretch.order_id, event.sequence, Kind.CHANGED, wrong)
        expected, before, is_known = event.sequence + 1, event.link, True
    if expected <= stretch.last:
        _note_missing(audit, stretch.order_id, expected, stretch.last)
    return before


def _note_missing(audit: Audit, order_id: str, first: int, last: int) -> None:
    for sequence in range(first, last + 1):
        audit.note(order_id, sequence, Kind.MISSING, "the order's journal counts it, and it is not there")


def _contradiction(order_id: str, event: AuditedEvent) -> str | None:
    """What the row says otherwise than its payload, where that can be read as an event at all."""
    try:
        body = json.loads(event.payload)
        said = (body["order_id"], body["sequence"], body["type"], datetime.fromisoformat(body["occurred_at"]))
    except (ValueError, TypeError, KeyError):
        return "its payload is no event"
    if said != (order_id, event.sequence, event.type, event.at):
        return "its payload has another order, number, type or time than its row"
    if event.event_id != outbound_event_id(order_id, event.sequence):
        return "its id is not the one of this order and number"
    return None


def _wrong_hash(
    audit: Audit, stretch: Stretch, event: AuditedEvent, before: bytes | None, is_known: bool
) -> str | None:
    if event.link is None or event.payload_digest is None:
        audit.unhashed += 1
        if event.link is None and event.payload_digest is None and not (is_known and before is not None):
            return None
        return "it has no hash, though one is due: it was taken away, or a worker of an earlier version recorded it"
    if event.salt is None:
        audit.erased += 1
    wrong = _wrong_payload(event, event.payload_digest, may_be_erased=stretch.may_be_erased)
    if not wrong and is_known and link(before, _entry(event, event.payload_digest)) != event.link:
        return "its hash does not fit: it was changed, or the one before it, or one between them was taken out"
    return wrong


def _entry(event: AuditedEvent, digest: bytes) -> bytes:
    return entry(digest, event.payload, event.traceparent)


def _wrong_payload(event: AuditedEvent, digest: bytes, *, may_be_erased: bool) -> str | None:
    if event.salt is not None:
        same = payload_digest(event.salt, event.payload) == digest
        return None if same else "its published bytes are not those that were recorded"
    if not may_be_erased:
        return "its personal data was erased, and not by `orders forget`"
    if not is_without_person(event.payload):
        return "personal data was erased from it, and something else put in its place"
    return None
