"""States, reasons and events in words. The contract's own word stands beside a state: people search by it. Pure."""

from collections.abc import Mapping
from typing import Final

from schemas.event_types import EventType
from schemas.states import OrderState, PaymentStatus, ReasonCode

STATES: Final[Mapping[OrderState, str]] = {
    OrderState.RECEIVED: "received, being checked",
    OrderState.VALIDATED: "waits for approval",
    OrderState.REJECTED: "refused when it was checked",
    OrderState.APPROVED: "approved, the payment is being taken",
    OrderState.CANCELLED: "cancelled",
    OrderState.EXPIRED: "nobody approved it in time",
    OrderState.PAID: "paid, waits for its package",
    OrderState.PAYMENT_DECLINED: "the payment was declined",
    OrderState.PACKAGE_PREPARED: "packed, waits for the carrier",
    OrderState.CARRIER_DISPATCHED: "with the carrier",
    OrderState.SHIPPING_FAILED: "could not be shipped, the money is being given back",
    OrderState.REFUNDED: "could not be shipped, the money was given back",
    OrderState.SHIPPED: "shipped",
    OrderState.COMPLETED: "shipped and done",
}
"""Where an order in this state is, to be read after "the order is" or on its own."""

REASONS: Final[Mapping[ReasonCode, str]] = {
    ReasonCode.ALREADY_APPROVED: "it had been approved before",
    ReasonCode.ALREADY_CHARGED: "its payment had been taken already",
    ReasonCode.ALREADY_SHIPPING: "it was being shipped already",
    ReasonCode.DUPLICATE_ORDER: "an order with this id was there already",
    ReasonCode.EVENT_ID_REUSED: "its event id had been used for another event",
    ReasonCode.INVALID: "what was sent breaks the message contract",
    ReasonCode.ORDER_CHANGED: "it changed since you looked",
    ReasonCode.ORDER_CLOSED: "the order was over already",
    ReasonCode.STALE: "a newer address was there already",
    ReasonCode.UNKNOWN_ORDER: "no order with this id came in time",
    ReasonCode.AMOUNT_MISSING: "it does not say what it costs",
    ReasonCode.AMOUNT_OVER_LIMIT: "it costs more than is allowed",
    ReasonCode.APPROVAL_TIMED_OUT: "nobody approved it in time",
    ReasonCode.CANCELLED_BY_REQUEST: "it was asked for",
    ReasonCode.CARD_DECLINED: "the payment provider declined it",
    ReasonCode.PAYMENT_ID_CONFLICT: "its payment id belongs to another order, or to another amount",
    ReasonCode.PAYMENT_OUTCOME_UNKNOWN: "the payment provider did not say whether it took the money",
    ReasonCode.SHIPPING_ATTEMPTS_EXHAUSTED: "every attempt to ship it failed",
}
"""Why, to be read after "because"."""

EVENTS: Final[Mapping[EventType, str]] = {
    EventType.ORDER_CREATED: "order placed",
    EventType.ORDER_APPROVED: "approval",
    EventType.ORDER_CANCELLED: "cancellation",
    EventType.ORDER_ADDRESS_UPDATED: "new address",
}
"""What an inbound event is, as a noun; any other is called by its type."""

PAYMENTS: Final[Mapping[PaymentStatus, str]] = {
    PaymentStatus.PENDING: "asked for; the provider has not answered yet",
    PaymentStatus.CHARGED: "taken",
    PaymentStatus.DECLINED: "declined",
    PaymentStatus.REFUNDED: "taken and given back",
    PaymentStatus.VOIDED: "not taken, and cannot be any more",
}


def reason_words(code: str | None) -> str | None:
    """A reason in words; a word of a later version as it stands."""
    if code is None:
        return None
    return REASONS[ReasonCode(code)] if code in set(ReasonCode) else code


def event_words(event_type: str) -> str:
    """An inbound event type in words; one of a later version as it stands."""
    return EVENTS[EventType(event_type)] if event_type in set(EventType) else event_type


def counted(number: int, one: str, many: str | None = None) -> str:
    """A number with its noun: ``1 order``, ``12 orders``."""
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"
