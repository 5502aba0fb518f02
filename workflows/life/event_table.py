"""The page docs/contract/state-event-table.md, computed by asking the rules."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from schemas.event_types import INBOUND, EventType
from schemas.inbound import InboundEvent
from schemas.order import OrderDetails
from schemas.states import OrderStep
from workflows.life.rules import decide
from workflows.life.state import OrderRunState
from workflows.life.steps import STEPS, Verdict

_ORDER_ID: Final = "o-1"
_NOW: Final = datetime(2026, 1, 1, tzinfo=UTC)

_BEFORE: Final = """\
# What an event does at each step

For every step of an order (the `status` query's `step`) and every inbound event, what happens to a valid event that
was not seen before. This file is computed from the rules: `make contract` writes it, and a test compares.

- **applied**: the event has its effect, and a transition or `order.address_changed` names it as its cause.
- **held**: it came too early. It waits in the inbox and is decided in its turn, in order of arrival, once the order has
  been received (an approval: once approval is awaited). An order that ends before answers it as `order_closed`.
- a reason code: it is refused. An `order.event_rejected` with this reason names it as its cause.

"""

_AFTER: Final = """
Before the table, and in this order:

1. While the order is being received everything is held, so that `RECEIVED` is an order's first transition.
2. An event whose id and type were decided before, or are held, is a duplicate, at every step: nothing is published.
3. An event whose id was used before, on a message of another type, is refused as `event_id_reused`, at every step.
4. An event that is not valid, names another order or is no event at all is refused as `invalid`, at every step.

And beside it:

- An address update whose event time is before that of the last one applied is refused as `stale`; without an event time
  it counts as happening on arrival.
- An event may say which sequence of the order its sender saw (`expected_sequence` of the envelope: the REST API's
  `If-Match`, the command line's `--expected-sequence`; no message in Kafka has it). Where the event would be applied,
  and the order has another sequence by then, it is refused as `order_changed`. One that is held is judged when its turn
  comes.
- An approval, a payment and a failed shipment are recorded and published before anything follows from them, however
  long Postgres or Kafka is away. Until then the order is at the step before, and the charge, the shipment or the refund
  is not scheduled: after an approval a cancel is applied (and a second approval refused as `already_approved`), after
  the payment an address.
- What arrives in the moment a deadline passes counts as in time.
- Approval is awaited until the `approval_deadline` that was published with VALIDATED, also by a run that recovers the
  order; what such a run begins with counts as in time.
- Without `order.created` within the time to live the held events are refused as `unknown_order`, and the run fails, so
  that a later `order.created` starts the order. Of more than 500 events that wait for one order, the rest is refused at
  once with the same reason.
- A run that recovers an interrupted order at `APPROVED` or later no longer cancels it, and at `PAID` or later no longer
  changes its address: the run before it may have scheduled the charge, or started to ship.
- After an order's life each event is answered from the database: a duplicate changes nothing, any other is refused as
  `order_closed`, as `invalid`, or as `event_id_reused`.
"""


def render() -> str:
    """The whole page, as it stands in docs."""
    head = ["step", *(f"`{event_type}`" for event_type in EventType)]
    rows = [head, ["---"] * len(head)]
    rows += [[str(step), *(_cell(step, event_type) for event_type in EventType)] for step in STEPS]
    table = "".join(f"| {' | '.join(row)} |\n" for row in rows)
    return f"{_BEFORE}{table}{_AFTER}"


def state_at(step: OrderStep) -> OrderRunState:
    """The state of a run at a step, as far as the rules look at it."""
    state = OrderRunState(order_id=_ORDER_ID, step=step, is_looked_up=True)
    state.state = next(iter(STEPS[step].transitions), None)
    if step not in (OrderStep.AWAITING_ORDER, OrderStep.ORPHANED):
        state.details = OrderDetails(payment_id="p-1")
    return state


def valid_event(event_type: EventType, event_id: str = "e-1") -> InboundEvent:
    """A valid event of a type: the contract's example, for the order `o-1`."""
    body = {**INBOUND[event_type].example, "order_id": _ORDER_ID}
    return InboundEvent(event_id=event_id, type=event_type.value, body=body)


def _cell(step: OrderStep, event_type: EventType) -> str:
    decision = decide(state_at(step), valid_event(event_type), _NOW)
    if decision.reason is not None:
        return f"`{decision.reason}`"
    return {Verdict.APPLY: "applied", Verdict.HOLD: "held"}[decision.verdict]


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(render())
