"""What became of a message that was sent, for a person and for a program."""

from typing import Any, Final

from bridge import CallOutcome
from orders.operations.decide import Decision, Outcome, OutcomeStatus
from schemas.event_types import EventType
from schemas.states import ReasonCode

MEANS: Final[dict[ReasonCode, str]] = {
    ReasonCode.ALREADY_APPROVED: "the order is approved already",
    ReasonCode.ALREADY_CHARGED: "the charge is under way or done",
    ReasonCode.ALREADY_SHIPPING: "the package is being shipped",
    ReasonCode.DUPLICATE_ORDER: "the order is known, and the first order.created counts",
    ReasonCode.EVENT_ID_REUSED: "a message of another type had this event id before",
    ReasonCode.INVALID: "it is no valid message",
    ReasonCode.ORDER_CHANGED: "the order has changed since you looked at it: look again, and decide again",
    ReasonCode.ORDER_CLOSED: "the order is over",
    ReasonCode.STALE: "an address of a later time was applied before",
    ReasonCode.UNKNOWN_ORDER: "no order.created has come for it",
}
"""Each reason for which a message is refused, in a few words; docs/reasons.md says more."""


def outcome_line(event_type: EventType, order_id: str, decision: Decision, waited_seconds: float) -> str:
    """What became of a message, as a sentence."""
    outcome = decision.outcome
    see = f"See: `orders status {order_id}`"
    if outcome.status is OutcomeStatus.APPLIED:
        return f"{order_id}: {event_type.value} applied. {see}"
    if outcome.status is OutcomeStatus.REJECTED:
        reason = f"{outcome.reason}: {MEANS[outcome.reason]}" if outcome.reason in MEANS else str(outcome.reason)
        return f"{order_id}: {event_type.value} refused as {reason}. {see}"
    waits = f" It waits for {outcome.waits_for}." if outcome.waits_for else ""
    if outcome.status is OutcomeStatus.HELD:
        return f"{order_id}: {event_type.value} held, as it came too early: it is decided in its turn.{waits} {see}"
    return (
        f"{order_id}: {event_type.value} delivered, and not decided within {waited_seconds:g} s.{waits} "
        f"The same again with --event-id {decision.event_id} asks once more"
    )


def delivered_line(event_type: EventType, order_id: str, delivery: CallOutcome) -> str:
    """Where a message is that is not waited for, as a sentence."""
    says = {
        CallOutcome.DELIVERED: "delivered to the order's workflow, which decides it",
        CallOutcome.LATE: "delivered; the order is over, and an order.event_rejected will say why it was refused",
        CallOutcome.DUPLICATE: "not delivered again: the order is over, and this event has been answered before",
    }
    return f"{order_id}: {event_type.value} {says[delivery]}. See: `orders status {order_id}`"


def outcome_json(order_id: str, event_id: str, delivery: CallOutcome, outcome: Outcome | None) -> dict[str, Any]:
    """What became of a message, for a program; `outcome` is null where it was not waited for."""
    known: dict[str, Any] = dict.fromkeys(("outcome", "reason", "sequence", "decided_at", "waits_for", "waits_until"))
    if outcome is not None:
        known = {
            "outcome": outcome.status.value,
            "reason": outcome.reason,
            "sequence": outcome.sequence,
            "decided_at": outcome.decided_at.isoformat() if outcome.decided_at else None,
            "waits_for": outcome.waits_for,
            "waits_until": outcome.waits_until.isoformat() if outcome.waits_until else None,
        }
    return {"order_id": order_id, "event_id": event_id, "delivery": delivery.value, **known}
