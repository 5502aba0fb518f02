"""Temporal: reached, its namespace, the right to change something there, and the search attributes."""

import asyncio
from datetime import timedelta
from typing import Final

from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from orders.clients.opened import Clients
from orders.clients.temporal import temporal_unreachable
from orders.errors import OrdersError
from orders.installation.connections.findings import Finding, Verdict
from orders.installation.search_attributes import are_searchable
from orders.settings import Settings
from workflows.search_attributes import SEARCH_ATTRIBUTES

_SERVER: Final = "temporal"
_NO_WORKFLOW: Final = "connection-check"
"""No workflow of ours has this id: theirs begin with a word and a colon."""
_CALL_TIMEOUT: Final = timedelta(seconds=5)


async def try_temporal(clients: Clients) -> list[Finding]:
    """Connects, and asks what is there; changes nothing."""
    settings = clients.settings
    try:
        client = await clients.temporal()
    except OrdersError as error:
        return [Finding(_SERVER, "connection", Verdict.MISSING, str(error))]
    where = f"answers at {settings.temporal_host}, with the namespace {settings.temporal_namespace!r}"
    try:
        async with asyncio.timeout(settings.temporal_connect_timeout_seconds * 2):
            return [
                Finding(_SERVER, "connection", Verdict.OK, where),
                await _writing(client, settings),
                await _searching(client, settings),
            ]
    except (RPCError, TimeoutError) as error:
        detail = f"{temporal_unreachable(settings)} ({type(error).__name__})"
        return [Finding(_SERVER, "connection", Verdict.MISSING, detail)]


async def _writing(client: Client, settings: Settings) -> Finding:
    """Signals a workflow that is not there: who may change nothing is refused before that is noticed."""
    what = "right to start and signal workflows"
    try:
        await client.get_workflow_handle(_NO_WORKFLOW).signal(_NO_WORKFLOW, rpc_timeout=_CALL_TIMEOUT)
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return Finding(_SERVER, what, Verdict.OK, "a signal is let through")
        if error.status in (RPCStatusCode.PERMISSION_DENIED, RPCStatusCode.UNAUTHENTICATED):
            action = f"give this identity the right to write in the namespace {settings.temporal_namespace!r}"
            return Finding(_SERVER, what, Verdict.MISSING, f"a signal is refused ({error.status.name})", action)
        raise
    return Finding(_SERVER, what, Verdict.OK, "a signal is let through")


async def _searching(client: Client, settings: Settings) -> Finding:
    names = ", ".join(key.name for key in SEARCH_ATTRIBUTES)
    if not settings.temporal_search_attributes:
        detail = "TEMPORAL_SEARCH_ATTRIBUTES is false: orders cannot be searched by state, customer and payment"
        return Finding(_SERVER, "search attributes", Verdict.LIMITED, detail)
    try:
        found = await are_searchable(client)
    except RPCError as error:
        if error.status not in (RPCStatusCode.PERMISSION_DENIED, RPCStatusCode.UNAUTHENTICATED):
            raise
        action = "give this identity the right to list workflows"
        return Finding(
            _SERVER, "search attributes", Verdict.MISSING, f"a search is refused ({error.status.name})", action
        )
    if found:
        return Finding(_SERVER, "search attributes", Verdict.OK, f"{names} are known")
    return Finding(
        _SERVER,
        "search attributes",
        Verdict.MISSING,
        f"the namespace does not know all of {names}",
        "register them: `orders migrate` (on Temporal Cloud: in its UI), or set TEMPORAL_SEARCH_ATTRIBUTES=false",
    )
