"""The words of scripts and of the model: what is sent to an order, and what goes out of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Any

from schemas.event_types import EventType
from schemas.outbound import OrderAddressChanged, OrderStateChanged, OutboundEvent, OutboundType
from schemas.states import OrderState, ReasonCode

CREATED = EventType.ORDER_CREATED
APPROVED = EventType.ORDER_APPROVED
CANCELLED = EventType.ORDER_CANCELLED
ADDRESS = EventType.ORDER_ADDRESS_UPDATED


class Payment(StrEnum):
    """What the provider will say to a charge."""

    FINE = "fine"
    DECLINED = "decline"
    TAKEN = "taken"
    """The payment id is another order's."""
    LOST = "lost"
    """It charges, and is given up before it says so."""
    AWAY = "away"
    """It does not charge, and is given up."""


@dataclass(frozen=True, slots=True)
class Sent:
    """An inbound event, as far as the rules look at it."""

    id: str
    type: EventType
    valid: bool = True
    address: Mapping[str, str] = field(default_factory=dict)
    at: int | None = None
    over_limit: bool = False
    """Whether the amount is above the limit. Only an ``order.created`` says this, `is_priced` and `payment`."""
    is_priced: bool = True
    payment: Payment = Payment.FINE
    by: str | None = None
    """Who decides. Only an approval and a cancel say it."""
    expected: int | None = None
    """How many events the order has had, as its sender saw it."""

    def __str__(self) -> str:
        given = [*self.address.values(), *([f"at {self.at}"] if self.at else []), *([] if self.valid else ["invalid"])]
        given += [] if self.expected is None else [f"after {self.expected}"]
        given += [] if self.by is None else [f"by {self.by}"]
        if self.type is CREATED:
            given += [self.payment.value, *(["over limit"] if self.over_limit else [])]
            given += [] if self.is_priced else ["without an amount"]
        return f"{self.type.value.removeprefix('order.')} {self.id} ({' '.join(given)})"


@dataclass(frozen=True, slots=True)
class Out:
    """An outbound event, as far as the rules decide it; its sequence is its place."""

    type: OutboundType
    previous: OrderState | None
    state: OrderState | None
    cause: str | None
    reason: ReasonCode | None = None
    address: Mapping[str, str] | None = None
    by: str | None = None
    approval_minutes: int | None = None
    """How long approval is awaited from here on."""

    @classmethod
    def of(cls, event: OutboundEvent) -> "Out":
        """A published event; of an inbound one's id the last part."""
        return cls(
            type=event.type,
            previous=event.previous_state,
            state=event.state,
            cause=event.cause.event_id.rpartition("/")[2] if event.cause else None,
            reason=event.reason,
            address=event.address.model_dump(exclude_none=True) if isinstance(event, OrderAddressChanged) else None,
            by=event.cause.by if event.cause else None,
            approval_minutes=_approval_minutes(event),
        )

    def __str__(self) -> str:
        words = [self.type.value, self.previous, "->", self.state, "by", self.cause, self.reason, self.address, self.by]
        return " ".join(str(word) for word in words if word is not None)


def _approval_minutes(event: OutboundEvent) -> int | None:
    if not isinstance(event, OrderStateChanged) or event.approval_deadline is None:
        return None
    return round((event.approval_deadline - event.occurred_at) / timedelta(minutes=1))


def who_decides(event: Sent) -> str | None:
    """Who decided, as far as the event can be read and is a decision."""
    return event.by if event.valid and event.type in (APPROVED, CANCELLED) else None


def body_of(sent: Sent, order_id: str, *, payment_id: str, amount_max: int) -> dict[str, Any]:
    """The body of the message that is sent."""
    body: dict[str, Any] = {"order_id": order_id if sent.valid else "another"}
    if sent.type is CREATED:
        body["payment_id"] = payment_id
        if sent.is_priced:
            body["amount"] = amount_max + 1 if sent.over_limit else 1_500
        body["shipping_address"] = dict(sent.address)
    elif sent.type is ADDRESS:
        body["address"] = dict(sent.address)
    else:
        body["approved_by" if sent.type is APPROVED else "cancelled_by"] = sent.by
    return body
