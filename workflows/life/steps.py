"""The table of steps: where a run can be, one row for each step. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final, Literal

from schemas.event_types import EventType
from schemas.states import OrderState, OrderStep, ReasonCode


class Verdict(Enum):
    """What is done with an inbound event."""

    APPLY = auto()
    HOLD = auto()
    """The event came too early: it is looked at again later, in its turn."""
    DUPLICATE = auto()
    """The event was decided before: nothing happens again."""
    REJECT = auto()


Rule = Verdict | ReasonCode
"""What a step does with a type of event: applies it, holds it, or refuses it for this reason."""

_APPLY, _HOLD = Verdict.APPLY, Verdict.HOLD


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One row of the table: all that is said of a step, but for the work done there."""

    rules: Mapping[EventType, Rule]
    """For each type of event, what happens here to a valid event that was not seen before."""
    method: str | None = None
    """The method of `workflows.walk.Walk` that does the step's work; None where there is none to do."""
    transitions: Mapping[OrderState | None, tuple[OrderState, ...]] = field(default_factory=dict)
    """From each state that the order can be in at this step, the states that it may come to here.

    No other transition is ever made. A run that finds its order in one of the states of the left side, left there by a
    run that did not finish, goes on at this step: see `NEXT_STEPS`.
    """
    waits_for: str | None = None
    """What has to happen here, for a person; None at an end."""
    deadline: Literal["order_deadline", "approval_deadline"] | None = None
    """The field of `OrderRunState` that says until when the step waits; None where it waits without limit."""
    saved_by: tuple[EventType, ...] = ()
    """Events that would decide the order otherwise than its deadline does.

    An event that was in Kafka at the deadline is in time, whatever was away since. So the deadline is acted upon only
    after everything of these types that was in Kafka by then has been handed over.
    """
    publishes_first: bool = False
    """Whether the step begins only after every transition so far is recorded and published.

    A run that recovers the order goes on from the records. Were the charge made before APPROVED is recorded, the next
    run could let the order expire, or be cancelled, and the money would stay taken. Until the step begins the order is
    at the step before it, whose rules decide what arrives: a window closes when the effect is scheduled.
    """
    is_end: bool = False
    """Whether nothing is left to do here but to answer and to publish."""

    @property
    def holds_everything(self) -> bool:
        """Whether no event is even looked at here: a duplicate or an invalid event waits as all others do."""
        return all(rule is Verdict.HOLD for rule in self.rules.values())


def _rules(created: Rule, approved: Rule, cancelled: Rule, address_updated: Rule) -> Mapping[EventType, Rule]:
    """The columns of the table: one for each inbound event type."""
    return {
        EventType.ORDER_CREATED: created,
        EventType.ORDER_APPROVED: approved,
        EventType.ORDER_CANCELLED: cancelled,
        EventType.ORDER_ADDRESS_UPDATED: address_updated,
    }


_PAID_FOR: Final = _rules(
    ReasonCode.DUPLICATE_ORDER, ReasonCode.ALREADY_APPROVED, ReasonCode.ALREADY_CHARGED, ReasonCode.ALREADY_SHIPPING
)
_END: Final = Step(rules=dict.fromkeys(EventType, ReasonCode.ORDER_CLOSED), is_end=True)


STEPS: Final[Mapping[OrderStep, Step]] = {
    OrderStep.AWAITING_ORDER: Step(
        method="await_order",
        rules=_rules(_APPLY, _HOLD, _HOLD, _HOLD),
        waits_for="order.created",
        deadline="order_deadline",
        saved_by=(EventType.ORDER_CREATED,),
    ),
    OrderStep.RECEIVING: Step(
        method="receive",
        # Everything waits until the order is received, so that its first event is the one that says so.
        rules=_rules(_HOLD, _HOLD, _HOLD, _HOLD),
        transitions={None: (OrderState.RECEIVED,)},
        waits_for="the database to keep the order",
    ),
    OrderStep.VALIDATING: Step(
        method="validate",
        rules=_rules(ReasonCode.DUPLICATE_ORDER, _HOLD, _APPLY, _APPLY),
        transitions={OrderState.RECEIVED: (OrderState.VALIDATED, OrderState.REJECTED, OrderState.CANCELLED)},
        waits_for="the order to be validated",
    ),
    OrderStep.AWAITING_MANUAL_APPROVAL: Step(
        method="await_approval",
        rules=_rules(ReasonCode.DUPLICATE_ORDER, _APPLY, _APPLY, _APPLY),
        transitions={
            OrderState.VALIDATED: (OrderState.APPROVED, OrderState.CANCELLED, OrderState.EXPIRED),
            # A cancel that arrives while the approval is being recorded and published: the charge is not scheduled yet.
            OrderState.APPROVED: (OrderState.CANCELLED,),
        },
        waits_for="a person to approve or cancel the order",
        deadline="approval_deadline",
        saved_by=(EventType.ORDER_APPROVED, EventType.ORDER_CANCELLED),
    ),
    OrderStep.CHARGING_PAYMENT: Step(
        method="charge",
        rules=_rules(ReasonCode.DUPLICATE_ORDER, ReasonCode.ALREADY_APPROVED, ReasonCode.ALREADY_CHARGED, _APPLY),
        transitions={OrderState.APPROVED: (OrderState.PAID, OrderState.PAYMENT_DECLINED)},
        waits_for="the payment provider",
        publishes_first=True,
    ),
    OrderStep.SHIPPING: Step(
        method="ship",
        rules=_PAID_FOR,
        transitions={
            OrderState.PAID: (OrderState.PACKAGE_PREPARED, OrderState.SHIPPING_FAILED),
            OrderState.PACKAGE_PREPARED: (OrderState.CARRIER_DISPATCHED, OrderState.SHIPPING_FAILED),
        },
        waits_for="the carrier",
        publishes_first=True,
    ),
    OrderStep.REFUNDING_PAYMENT: Step(
        method="refund",
        rules=_PAID_FOR,
        transitions={OrderState.SHIPPING_FAILED: (OrderState.REFUNDED,)},
        waits_for="the payment provider to give the money back",
        publishes_first=True,
    ),
    OrderStep.MARKING_SHIPPED: Step(
        method="mark_shipped",
        rules=_PAID_FOR,
        transitions={
            OrderState.CARRIER_DISPATCHED: (OrderState.SHIPPED,),
            OrderState.SHIPPED: (OrderState.COMPLETED,),
        },
        waits_for="the database to mark the order as shipped",
    ),
    OrderStep.COMPLETED: _END,
    OrderStep.REJECTED: _END,
    OrderStep.CANCELLED: _END,
    OrderStep.EXPIRED: _END,
    OrderStep.PAYMENT_DECLINED: _END,
    OrderStep.REFUNDED: _END,
    OrderStep.ORPHANED: Step(
        method="stay_orphaned",
        # Until the run has failed its order may still come.
        rules=_rules(_APPLY, ReasonCode.UNKNOWN_ORDER, ReasonCode.UNKNOWN_ORDER, ReasonCode.UNKNOWN_ORDER),
        is_end=True,
    ),
}
"""Every step. Rules, recovery, views and the walk read this table, and no other says anything of a step."""


NEXT_STEPS: Final[Mapping[OrderState, OrderStep]] = {
    state: step for step, row in STEPS.items() for state in row.transitions if state is not None
}
"""Where a run goes on that finds its order in this recorded state, left there by a run that did not finish.

Of two steps that know a state the later one counts: the ended run may have scheduled what the later step does, so the
windows of the earlier one are shut.
"""
