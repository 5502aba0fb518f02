"""Orders by state and age, from Postgres, and what Temporal knows of overdue ones: what `orders list` shows."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from activities.adapters.postgres.reader import PAGE_MAX, OrderRecord
from orders.clients.opened import Clients
from orders.errors import UsageError
from orders.operations.expiry_waits import expiry_waits
from orders.settings import Settings
from orders.settings.types import span
from schemas.states import OrderState, OrderStep

OPEN_STATES: Final = frozenset(state for state in OrderState if not state.is_final)
"""What is shown unless states are named: orders that somebody or something is still at."""
_OVERDUE_MAX: Final = 500
"""Most orders of one list that Temporal is asked of, those that have not changed for longest."""


@dataclass(frozen=True, slots=True)
class ListedOrder:
    """An order of the list."""

    row: OrderRecord
    waits_for: str | None = None
    """What an order waits for whose time for approval is over; None for every other."""


_RECORDED_AS: Final = {OrderStep.AWAITING_MANUAL_APPROVAL: OrderState.VALIDATED}
"""The one step of a workflow that a recorded state stands for: an order is VALIDATED while it waits for approval."""


STATE_NAMES: Final = (*(state.value for state in OrderState), *(step.value for step in _RECORDED_AS))
"""The names by which orders can be asked for."""


def recorded_state(text: str) -> OrderState:
    """The state that a person names, in letters of any case; or names by the step that ``orders status`` shows.

    Raises:
        UsageError: nothing is recorded under this name.
    """
    name = text.upper()
    if name in OrderState.__members__:
        return OrderState[name]
    if name in OrderStep.__members__:
        step = OrderStep[name]
        if step in _RECORDED_AS:
            return _RECORDED_AS[step]
        raise UsageError(
            f"--state {step} is a step of the workflow, which Temporal finds (docs/operating.md, Finding orders); "
            f"recorded is one of {', '.join(OrderState)}"
        )
    raise UsageError(f"--state {text!r} is not one of {', '.join(STATE_NAMES)}")


async def list_orders(
    clients: Clients, states: Collection[OrderState], *, until: datetime | None, limit: int
) -> list[ListedOrder]:
    """Orders in any of these states, those that have not changed for longest first.

    Args:
        clients: lead to the database.
        states: which; the open ones where there are none.
        until: only those that last changed before; None for all.
        limit: how many at most.

    Raises:
        UnreachableError: Postgres does not answer.
    """
    found: list[OrderRecord] = []
    async with clients.order_reader() as reader:
        while len(found) < limit:
            size = min(PAGE_MAX, limit - len(found))
            after = found[-1] if found else None
            page = await reader.orders_in(states or OPEN_STATES, until=until, after=after, limit=size)
            found += page
            if len(page) < size:
                break
    waits = await expiry_waits(clients, _overdue(clients.settings, found))
    return [ListedOrder(order, waits.get(order.order_id)) for order in found]


def _overdue(settings: Settings, orders: Iterable[OrderRecord]) -> list[str]:
    """Those whose time for approval is over. Only of these Temporal is asked."""
    now, new_orders_time = datetime.now(UTC), span(settings.order_approval_timeout_seconds)
    overdue = [
        one.order_id
        for one in orders
        if one.state is OrderState.VALIDATED
        # An order that an earlier version validated has no deadline in its row.
        and (one.approval_deadline or one.updated_at + new_orders_time) < now
    ]
    return overdue[:_OVERDUE_MAX]


def order_json(listed: ListedOrder) -> dict[str, Any]:
    """An order for a program; where it goes to is in `orders status`."""
    order = listed.row
    return {
        "order_id": order.order_id,
        "state": order.state,
        "reason": order.reason,
        "updated_at": order.updated_at.isoformat(),
        "created_at": order.created_at.isoformat(),
        "payment_id": order.details.payment_id,
        "customer_id": order.details.customer_id,
        "amount": order.details.amount,
        "currency": order.details.currency,
        "tracking_id": order.tracking_id,
        "approval_deadline": order.approval_deadline.isoformat() if order.approval_deadline else None,
        "decided_by": order.decided_by,
        "last_sequence": order.last_sequence,
        "waits_for": listed.waits_for,
    }
