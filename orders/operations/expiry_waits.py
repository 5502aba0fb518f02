"""Orders whose time is over and that do not end yet: they wait until what was in Kafka by then is handed over."""

import asyncio
from collections.abc import Iterable
from datetime import timedelta
from typing import Final

from temporalio.api.failure.v1 import Failure
from temporalio.client import Client
from temporalio.exceptions import FailureError
from temporalio.service import RPCError

from orders.clients.opened import Clients
from orders.errors import OrdersError
from workflows.names import order_workflow_id

_ASKING: Final = ("find_backlog", "await_backlog")
"""The activities that such an order has under way. Temporal tells of them also where no worker runs."""
_CALL_TIMEOUT: Final = timedelta(seconds=5)
_CALLS_AT_ONCE: Final = 20


async def expiry_waits(clients: Clients, order_ids: Iterable[str]) -> dict[str, str]:
    """Those of the orders that wait so, each with what Kafka said last; none where Temporal does not answer."""
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
            said = await _said(client, activity.last_failure) if activity.HasField("last_failure") else "not asked yet"
            return f"what was in Kafka at its deadline: {said}"
    return None


async def _said(client: Client, failure: Failure) -> str:
    own = Failure()
    own.CopyFrom(failure)  # Decoding changes what it is given.
    error = await client.data_converter.decode_failure(own)
    return error.message if isinstance(error, FailureError) else str(error)
