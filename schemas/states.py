"""The words of an order's life: event types, steps, states, outcomes and reasons."""

from enum import StrEnum


class OrderStep(StrEnum):
    """Where a running workflow is; the ``status`` query shows it as ``step``."""

    AWAITING_ORDER = "AWAITING_ORDER"
    RECEIVING = "RECEIVING"
    VALIDATING = "VALIDATING"
    AWAITING_MANUAL_APPROVAL = "AWAITING_MANUAL_APPROVAL"
    CHARGING_PAYMENT = "CHARGING_PAYMENT"
    SHIPPING = "SHIPPING"
    REFUNDING_PAYMENT = "REFUNDING_PAYMENT"
    MARKING_SHIPPED = "MARKING_SHIPPED"
    COMPLETED = "COMPLETED"
    REJECTED = "REJECTED"
    CANCELLED = "CANCELLED"
    EXPIRED = "EXPIRED"
    PAYMENT_DECLINED = "PAYMENT_DECLINED"
    REFUNDED = "REFUNDED"
    ORPHANED = "ORPHANED"


class OrderState(StrEnum):
    """How far an order is by its records: in `orders.state`, and published on ``order.events``."""

    RECEIVED = "RECEIVED"
    VALIDATED = "VALIDATED"
    REJECTED = "REJECTED"
    APPROVED = "APPROVED"
    CANCELLED = "CANCELLED"
    EXPIRED = "EXPIRED"
    PAID = "PAID"
    PAYMENT_DECLINED = "PAYMENT_DECLINED"
    PACKAGE_PREPARED = "PACKAGE_PREPARED"
    CARRIER_DISPATCHED = "CARRIER_DISPATCHED"
    SHIPPING_FAILED = "SHIPPING_FAILED"
    REFUNDED = "REFUNDED"
    SHIPPED = "SHIPPED"
    COMPLETED = "COMPLETED"

    @property
    def is_final(self) -> bool:
        """Whether the order's life is over: no other state follows."""
        return self in FINAL_STATES


FINAL_STATES = frozenset(
    {
        OrderState.REJECTED,
        OrderState.CANCELLED,
        OrderState.EXPIRED,
        OrderState.PAYMENT_DECLINED,
        OrderState.REFUNDED,
        OrderState.COMPLETED,
    }
)
"""The states in which an order's life ends."""


class InboundOutcome(StrEnum):
    """How an inbound event was decided, in `inbound_events.outcome`."""

    APPLIED = "applied"
    DUPLICATE = "duplicate"
    REJECTED = "rejected"


class ReasonCode(StrEnum):
    """Why an event was refused or an order ended as it did; part of the published contract."""

    # An event was refused (order.event_rejected).
    ALREADY_APPROVED = "already_approved"
    ALREADY_CHARGED = "already_charged"
    ALREADY_SHIPPING = "already_shipping"
    DUPLICATE_ORDER = "duplicate_order"
    EVENT_ID_REUSED = "event_id_reused"
    INVALID = "invalid"
    ORDER_CHANGED = "order_changed"
    ORDER_CLOSED = "order_closed"
    STALE = "stale"
    UNKNOWN_ORDER = "unknown_order"

    # An order took the branch it took (order.state_changed).
    AMOUNT_MISSING = "amount_missing"
    AMOUNT_OVER_LIMIT = "amount_over_limit"
    APPROVAL_TIMED_OUT = "approval_timed_out"
    CANCELLED_BY_REQUEST = "cancelled_by_request"
    CARD_DECLINED = "card_declined"
    PAYMENT_ID_CONFLICT = "payment_id_conflict"
    PAYMENT_OUTCOME_UNKNOWN = "payment_outcome_unknown"
    SHIPPING_ATTEMPTS_EXHAUSTED = "shipping_attempts_exhausted"


class PaymentStatus(StrEnum):
    """What is known of a payment, in `payments.status`."""

    PENDING = "pending"
    CHARGED = "charged"
    DECLINED = "declined"
    REFUNDED = "refunded"
    VOIDED = "voided"
