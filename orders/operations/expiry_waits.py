"""Orders whose time is over and that do not end yet: they wait until what was in Kafka by then is handed over."""

import asyncio
from collections.abc import Iterable
from datetime import timedelta
from typing import Final

from temporalio.client import Client
from temporalio.service import RPCError

from orders.clients.opened import Clients
from orders.errors import OrdersError
from orders.operations.open_runs import failure_message
from workflows.names import order_workflow_id

_ASKING: Final = ("find_backlog", "await_backlog")
"""The activities that an order has under way while it waits so. Temporal tells of them also where no worker runs."""
_CALL_TIMEOUT: Final = timedelta(seconds=5)
_CALLS_AT_ONCE: Final = 20


async def expiry_waits(clients: Clients, order_ids: Iterable[str]) -> dict[str, str]:
    """Which of these orders wait so, each with what Kafka said last; none where Temporal does not answer."""
    try:
        client = await clients.temporal()
    except OrdersError:
        return {}
    room = asyncio.Semaphore(_CALLS_AT_ONCE)

    async def look(order_id: str) -> tuple[str, str | None]:
        async with room:
            return order_id, await _wait_of(client, order_id)

    found = await asyncio.gather(*(look(order_id) for order_id in order_ids))
    return {order_id: wait for order_id, wait in found if wait is not None}


async def _wait_of(client: Client, order_id: str) -> str | None:
    try:
        description = await client.get_workflow_handle(order_workflow_id(order_id)).describe(rpc_timeout=_CALL_TIMEOUT)
    except RPCError:
        return None
    for activity in description.raw_description.pending_activities:
        if activity.activity_type.name in _ASKING:
            if not activity.HasField("last_failure"):
                return "what was in Kafka at its deadline: not asked yet"
            said = await failure_message(description.data_converter, activity.last_failure)
            return f"what was in Kafka at its deadline: {said}"
    return None
