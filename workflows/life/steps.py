"""The table of steps: where a run can be, and what each event does there. Pure."""

from collections.abc import Mapping
from enum import Enum, auto
from typing import Final

from schemas.event_types import EventType
from schemas.states import FINAL_STATES, OrderState, OrderStep, ReasonCode

END_STEPS: Final = frozenset({OrderStep(state.value) for state in FINAL_STATES} | {OrderStep.ORPHANED})
"""The steps in which a run has nothing more to do than to answer and to publish."""


class Verdict(Enum):
    """What is done with an inbound event."""

    APPLY = auto()
    HOLD = auto()
    """It came too early: it is looked at again later, in its turn."""
    DUPLICATE = auto()
    """It was decided before: nothing happens again."""
    REJECT = auto()


Rule = Verdict | ReasonCode
"""What a step does with a type of event: applies it, holds it, or refuses it for this reason."""


def _row(created: Rule, approved: Rule, cancelled: Rule, address_updated: Rule) -> Mapping[EventType, Rule]:
    return {
        EventType.ORDER_CREATED: created,
        EventType.ORDER_APPROVED: approved,
        EventType.ORDER_CANCELLED: cancelled,
        EventType.ORDER_ADDRESS_UPDATED: address_updated,
    }


_APPLY, _HOLD = Verdict.APPLY, Verdict.HOLD


_SHIPPED = _row(
    ReasonCode.DUPLICATE_ORDER, ReasonCode.ALREADY_APPROVED, ReasonCode.ALREADY_CHARGED, ReasonCode.ALREADY_SHIPPING
)


_CLOSED = _row(ReasonCode.ORDER_CLOSED, ReasonCode.ORDER_CLOSED, ReasonCode.ORDER_CLOSED, ReasonCode.ORDER_CLOSED)


RULES: Final[Mapping[OrderStep, Mapping[EventType, Rule]]] = {
    OrderStep.AWAITING_ORDER: _row(_APPLY, _HOLD, _HOLD, _HOLD),
    # Everything waits until the order is received, so that its first event is the one that says so.
    OrderStep.RECEIVING: _row(_HOLD, _HOLD, _HOLD, _HOLD),
    OrderStep.VALIDATING: _row(ReasonCode.DUPLICATE_ORDER, _HOLD, _APPLY, _APPLY),
    OrderStep.AWAITING_MANUAL_APPROVAL: _row(ReasonCode.DUPLICATE_ORDER, _APPLY, _APPLY, _APPLY),
    OrderStep.CHARGING_PAYMENT: _row(
        ReasonCode.DUPLICATE_ORDER, ReasonCode.ALREADY_APPROVED, ReasonCode.ALREADY_CHARGED, _APPLY
    ),
    OrderStep.SHIPPING: _SHIPPED,
    OrderStep.REFUNDING_PAYMENT: _SHIPPED,
    OrderStep.MARKING_SHIPPED: _SHIPPED,
    OrderStep.COMPLETED: _CLOSED,
    OrderStep.REJECTED: _CLOSED,
    OrderStep.CANCELLED: _CLOSED,
    OrderStep.EXPIRED: _CLOSED,
    OrderStep.PAYMENT_DECLINED: _CLOSED,
    OrderStep.REFUNDED: _CLOSED,
    # Until the run has failed its order may still come.
    OrderStep.ORPHANED: _row(_APPLY, ReasonCode.UNKNOWN_ORDER, ReasonCode.UNKNOWN_ORDER, ReasonCode.UNKNOWN_ORDER),
}
"""For each step and each type of event, what happens to a valid event that was not seen before."""


NEXT_STEPS: Final[dict[OrderState, OrderStep]] = {
    OrderState.RECEIVED: OrderStep.VALIDATING,
    OrderState.VALIDATED: OrderStep.AWAITING_MANUAL_APPROVAL,
    # The ended run may have scheduled the charge, or the first shipping attempt: from here on its windows are shut.
    OrderState.APPROVED: OrderStep.CHARGING_PAYMENT,
    OrderState.PAID: OrderStep.SHIPPING,
    OrderState.PACKAGE_PREPARED: OrderStep.SHIPPING,
    OrderState.CARRIER_DISPATCHED: OrderStep.MARKING_SHIPPED,
    OrderState.SHIPPED: OrderStep.MARKING_SHIPPED,
    OrderState.SHIPPING_FAILED: OrderStep.REFUNDING_PAYMENT,
}
"""Where a run goes on that finds its order in this recorded state, left there by a run that did not finish."""


_WAITS_FOR: Final[dict[OrderStep, str]] = {
    OrderStep.AWAITING_ORDER: "order.created",
    OrderStep.RECEIVING: "the database to keep the order",
    OrderStep.VALIDATING: "the order to be validated",
    OrderStep.AWAITING_MANUAL_APPROVAL: "a person to approve or cancel the order",
    OrderStep.CHARGING_PAYMENT: "the payment provider",
    OrderStep.SHIPPING: "the carrier",
    OrderStep.REFUNDING_PAYMENT: "the payment provider to give the money back",
    OrderStep.MARKING_SHIPPED: "the database to mark the order as shipped",
}


_AFTER_THE_RECORDS: Final = (OrderStep.CHARGING_PAYMENT, OrderStep.SHIPPING, OrderStep.REFUNDING_PAYMENT)
