"""Waits until an order has reached a state."""

import asyncio
import time
from datetime import timedelta
from typing import Final

from orders.clients.opened import Clients
from orders.errors import NotInTimeError, OrdersError
from schemas.outbound import OUTBOUND_EVENT, OrderStateChanged
from schemas.states import OrderState

_POLL_SECONDS: Final = 0.25


async def wait_for_state(clients: Clients, order_id: str, state: OrderState | None, *, within: timedelta) -> OrderState:
    """Waits until the order has reached a state, also in passing, or is over.

    Read from the audit table, which has every state that was published, so that none is missed between two looks.

    Args:
        clients: lead to the database.
        order_id: which order; it may be sent later.
        state: None means any final one.
        within: the longest wait.

    Returns:
        The state that was waited for.

    Raises:
        NotInTimeError: after the time-out.
        OrdersError: the order ended otherwise.
        UnreachableError: Postgres does not answer.
    """
    deadline = time.monotonic() + within.total_seconds()
    seen: list[OrderState] = []
    sequence = 0
    async with clients.order_reader() as reader:
        while True:
            for stored in await reader.events(order_id, after_sequence=sequence):
                sequence = stored.sequence
                event = OUTBOUND_EVENT.validate_json(stored.payload_json)
                if isinstance(event, OrderStateChanged):
                    seen.append(event.state)
            found = _reached(seen, state)
            if found is not None:
                return found
            if seen and seen[-1].is_final:
                raise OrdersError(f"order {order_id} is over as {seen[-1]}, and never was {state}")
            if time.monotonic() >= deadline:
                raise NotInTimeError(_too_late(order_id, seen, state, within))
            await asyncio.sleep(_POLL_SECONDS)


def _reached(seen: list[OrderState], state: OrderState | None) -> OrderState | None:
    if state is None:
        return next((one for one in seen if one.is_final), None)
    return state if state in seen else None


def _too_late(order_id: str, seen: list[OrderState], state: OrderState | None, within: timedelta) -> str:
    now = f"it is {seen[-1]}" if seen else "nothing of it was published"
    seconds = within.total_seconds()
    return f"order {order_id} was not {state or 'over'} within {seconds:g} s: {now}; see `orders status {order_id}`"
