"""What is published on ``order.events``: the registry of outbound event types, CloudEvents headers, event ids."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Final, Literal
from uuid import UUID, uuid5

from pydantic import ConfigDict, Field, TypeAdapter

from schemas.base import Currency, Identifier, MinorUnits, Model, Timestamp
from schemas.inbound import InboundBody, InboundEvent
from schemas.order import Address, Adjustment
from schemas.states import OrderState, ReasonCode


class OutboundType(StrEnum):
    """The name of each outbound event type, as ``ce_type`` carries it."""

    STATE_CHANGED = "order.state_changed"
    ADDRESS_CHANGED = "order.address_changed"
    EVENT_REJECTED = "order.event_rejected"


CLOUDEVENTS_SPEC_VERSION = "1.0"
CONTENT_TYPE = "application/json"

_EVENT_NAMESPACE = UUID("6f2b8a4e-5d0c-5d3a-9c67-0f5a2f6f1c11")
"""Fixed for ever: event ids are derived from this, so that a repeat has the id of the first."""


def outbound_event_id(order_id: str, sequence: int) -> str:
    """The id of an order's event: the same for the same order and sequence, whoever computes it and however often."""
    return str(uuid5(_EVENT_NAMESPACE, f"{order_id}:{sequence}"))


def _without_what_came_later(schema: dict[str, Any]) -> None:
    """Takes from the required fields those that events of an earlier version 1 lack: topics still hold such events."""
    schema["required"] = [name for name in schema["required"] if name != "verified_by"]


class Cause(Model):
    """The inbound event that led to an outbound one."""

    model_config = ConfigDict(
        json_schema_serialization_defaults_required=True, json_schema_extra=_without_what_came_later
    )

    event_id: str
    type: str
    by: str | None = None
    """Who decided, as the event says it: `approved_by` of an approval, `cancelled_by` of a cancel, `updated_by` of an
    address; where it says nothing and is signed, the id of the key."""
    note: str | None = None
    """What was said beside it: `note` of an approval, `reason` of a cancel."""
    verified_by: str | None = None
    """What vouches for `by`: `signature:` and the id of the key that the message was signed with, or `api`, which knew
    its caller. Null where nobody checked."""

    @classmethod
    def of(cls, event: InboundEvent, body: InboundBody | None) -> "Cause":
        """The event as the cause of another.

        Args:
            event: the inbound event.
            body: its body; None where that cannot be read, so that nobody is named.
        """
        by, note = (body.decided_by, body.remark) if body is not None else (None, None)
        by = by or event.signed_with
        return cls(event_id=event.event_id, type=event.type, by=by, note=note, verified_by=event.verified_by)


class OutboundBody(Model):
    """What every published event has."""

    # Every field is always written, as null where there is nothing to say: readers may count on it.
    model_config = ConfigDict(json_schema_serialization_defaults_required=True)

    order_id: Identifier
    sequence: Annotated[int, Field(ge=1)]
    """Position among this order's events: 1, 2, 3 ... without gaps."""
    previous_state: OrderState | None = None
    """State before the event; None where nothing had been recorded of the order."""
    state: OrderState | None = None
    """State after the event; equal to `previous_state` where the event does not change it."""
    occurred_at: Timestamp
    cause: Cause | None = None
    """None where time or our own work led to the event."""
    reason: ReasonCode | None = None


class OrderStateChanged(OutboundBody):
    """The order reached a new state."""

    type: Literal[OutboundType.STATE_CHANGED] = OutboundType.STATE_CHANGED
    state: OrderState
    payment_id: Identifier | None = None
    amount: MinorUnits | None = None
    """Total in minor units of `currency`, adjustments included."""
    adjustments: Annotated[tuple[Adjustment, ...], Field(strict=False)] = ()
    """What was added to the sum of the items or taken off it."""
    currency: Currency | None = None
    tracking_id: str | None = None
    """The carrier's, once dispatched."""
    approval_deadline: Timestamp | None = None
    """With VALIDATED: until when approval is awaited. Null with every other state."""


class OrderAddressChanged(OutboundBody):
    """The order goes elsewhere; its state stays."""

    type: Literal[OutboundType.ADDRESS_CHANGED] = OutboundType.ADDRESS_CHANGED
    address: Address
    """The whole address after the change."""


class OrderEventRejected(OutboundBody):
    """An inbound event was refused; `cause` names it and `reason` says why."""

    type: Literal[OutboundType.EVENT_REJECTED] = OutboundType.EVENT_REJECTED
    cause: Cause
    reason: ReasonCode


OutboundEvent = Annotated[
    OrderStateChanged | OrderAddressChanged | OrderEventRejected,
    Field(discriminator="type"),
]
"""Any published event."""

OUTBOUND_EVENT: TypeAdapter[OrderStateChanged | OrderAddressChanged | OrderEventRejected] = TypeAdapter(OutboundEvent)
"""Parses and serialises any published event."""


@dataclass(frozen=True, slots=True)
class OutboundRow:
    """One row of the registry of outbound event types."""

    body: type[OutboundBody]
    """Model of the event's body."""
    example: Mapping[str, Any]
    """A body of the published contract; what is published looks to the byte like this."""


OUTBOUND: Final[Mapping[OutboundType, OutboundRow]] = {
    OutboundType.STATE_CHANGED: OutboundRow(
        body=OrderStateChanged,
        example={
            "order_id": "o-1001",
            "sequence": 3,
            "previous_state": "VALIDATED",
            "state": "APPROVED",
            "occurred_at": "2026-01-31T12:00:00Z",
            "cause": {
                "event_id": "order.approved:0:17:9f86d081884c7d65",
                "type": "order.approved",
                "by": "ops-7",
                "note": None,
                "verified_by": "signature:desk-1",
            },
            "reason": None,
            "type": "order.state_changed",
            "payment_id": "p-1001",
            "amount": 2740,
            "adjustments": [
                {"kind": "discount", "amount": -250, "description": "ten per cent"},
                {"kind": "shipping", "amount": 490, "description": None},
            ],
            "currency": "EUR",
            "tracking_id": None,
            "approval_deadline": None,
        },
    ),
    OutboundType.ADDRESS_CHANGED: OutboundRow(
        body=OrderAddressChanged,
        example={
            "order_id": "o-1001",
            "sequence": 4,
            "previous_state": "APPROVED",
            "state": "APPROVED",
            "occurred_at": "2026-01-31T12:00:01Z",
            "cause": {
                "event_id": "order.address_updated:0:9:9f86d081884c7d65",
                "type": "order.address_updated",
                "by": None,
                "note": None,
                "verified_by": None,
            },
            "reason": None,
            "type": "order.address_changed",
            "address": {
                "street": "2 Example Street",
                "city": "Utrecht",
                "state": None,
                "zip_code": "3511 AA",
                "country": "NL",
            },
        },
    ),
    OutboundType.EVENT_REJECTED: OutboundRow(
        body=OrderEventRejected,
        example={
            "order_id": "o-1001",
            "sequence": 10,
            "previous_state": "COMPLETED",
            "state": "COMPLETED",
            "occurred_at": "2026-01-31T12:05:00Z",
            "cause": {
                "event_id": "order.cancelled:0:3:9f86d081884c7d65",
                "type": "order.cancelled",
                "by": "c-42",
                "note": "ordered twice",
                "verified_by": None,
            },
            "reason": "order_closed",
            "type": "order.event_rejected",
        },
    ),
}
"""Every outbound event type with its model and the contract's example."""


def cloudevents_headers(event: OutboundBody, *, event_type: str, source: str) -> dict[str, str]:
    """The headers of an event in CloudEvents 1.0 binary mode (Kafka protocol binding, section 3.2).

    Args:
        event: the event's body.
        event_type: its `OutboundType`.
        source: the URI reference that names this installation.
    """
    return {
        "ce_specversion": CLOUDEVENTS_SPEC_VERSION,
        "ce_id": outbound_event_id(event.order_id, event.sequence),
        "ce_source": source,
        "ce_type": event_type,
        "ce_subject": event.order_id,
        "ce_time": event.occurred_at.isoformat(),
        # The sequence extension of CloudEvents wants texts that compare as the numbers do.
        "ce_sequence": f"{event.sequence:010}",
        "content-type": CONTENT_TYPE,
    }
