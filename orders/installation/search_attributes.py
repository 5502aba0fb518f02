"""Temporal's search attributes: registered by ``orders migrate``, and looked for by a worker before it works."""

import asyncio
import time
from dataclasses import dataclass
from typing import Any, Final

from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.client import Client
from temporalio.common import SearchAttributeKey
from temporalio.service import RPCError, RPCStatusCode

from orders.clients.temporal import connect_temporal, temporal_unreachable
from orders.errors import OrdersError, UnreachableError, WrongSettingsError
from orders.settings import Settings
from workflows.search_attributes import SEARCH_ATTRIBUTES

USABLE_TIMEOUT_SECONDS: Final = 60.0
"""A cluster's services learn of a new attribute when they refresh what they keep of the namespace: 10 s by default."""
_POLL_SECONDS: Final = 0.25

_ATTEMPTS_MAX: Final = 8
_TURNED_AWAY: Final = (RPCStatusCode.UNAVAILABLE, RPCStatusCode.ABORTED, RPCStatusCode.ALREADY_EXISTS)
"""What a server answers when another process registers them meanwhile: to be looked at again."""

_NO_RIGHTS: Final = (RPCStatusCode.PERMISSION_DENIED, RPCStatusCode.UNAUTHENTICATED, RPCStatusCode.UNIMPLEMENTED)
"""What a server answers that keeps its operator service to itself; Temporal Cloud is one."""


@dataclass(frozen=True, slots=True)
class SearchAttribute:
    """A search attribute as it is now."""

    name: str
    type: str
    created: bool
    """Whether this call registered it."""


async def ensure_search_attributes(settings: Settings) -> tuple[SearchAttribute, ...]:
    """Registers the attributes that the namespace lacks; may be repeated, and run by several processes at once.

    Returns:
        All of ours; none where TEMPORAL_SEARCH_ATTRIBUTES is off.

    Raises:
        UnreachableError: Temporal does not answer.
        WrongSettingsError: it has no such namespace, or does not let us in.
        OrdersError: it refuses; says who has to register what.
    """
    if not settings.temporal_search_attributes:
        return ()
    client = await connect_temporal(settings)
    try:
        return await register_search_attributes(client)
    except RPCError as error:
        raise UnreachableError(f"{temporal_unreachable(settings)} ({error.status.name})") from error


async def register_search_attributes(client: Client) -> tuple[SearchAttribute, ...]:
    """Registers the attributes that the client's namespace lacks, and waits until searches know them.

    Raises:
        OrdersError: Temporal refuses; says who has to register what.
        temporalio.service.RPCError: Temporal does not answer.
    """
    try:
        created = await _register_missing(client)
    except RPCError as error:
        if error.status not in _NO_RIGHTS:
            raise
        # Without the right to look at the list we can still see whether a search knows them.
        created = set()
        if not await are_searchable(client):
            raise OrdersError(
                f"Temporal does not let us register search attributes ({error.status.name}); {_by_hand(client)}"
            ) from error
    await _wait_until_searchable(client)
    return tuple(SearchAttribute(key.name, _type_name(key), key.name in created) for key in SEARCH_ATTRIBUTES)


async def require_search_attributes(client: Client) -> None:
    """Makes sure by a search that the namespace has our attributes; a search needs no right but to read.

    Raises:
        WrongSettingsError: the namespace lacks some. Every workflow task would fail, again and again, until it has all.
        temporalio.service.RPCError: Temporal does not answer.
    """
    if not await are_searchable(client):
        raise WrongSettingsError(
            f"Temporal's namespace {client.namespace!r} lacks the search attributes "
            f"{', '.join(key.name for key in SEARCH_ATTRIBUTES)}: run `orders migrate`, "
            "or set TEMPORAL_SEARCH_ATTRIBUTES=false for bridges, workers and commands"
        )


async def are_searchable(client: Client) -> bool:
    """Whether a search by all of ours is understood."""
    query = " AND ".join(f"{key.name} IS NULL" for key in SEARCH_ATTRIBUTES)
    try:
        await client.count_workflows(query)
    except RPCError as error:
        if error.status is RPCStatusCode.INVALID_ARGUMENT:
            return False
        raise
    return True


async def _register_missing(client: Client) -> set[str]:
    """Registers what is missing, and gives the names of what this call has registered."""
    for attempt in range(1, _ATTEMPTS_MAX + 1):
        missing = await _missing(client)
        if not missing:
            break
        try:
            await _add(client, missing)
        except RPCError as error:
            # Of two that change a namespace at once the server turns one away (seen in 1.27).
            if error.status not in _TURNED_AWAY or attempt == _ATTEMPTS_MAX:
                raise
            await asyncio.sleep(_POLL_SECONDS * attempt)
        else:
            return {key.name for key in missing}
    return set()


async def _missing(client: Client) -> list[SearchAttributeKey[Any]]:
    """Those that are not registered yet.

    Raises:
        OrdersError: one is there with another type.
    """
    request = ListSearchAttributesRequest(namespace=client.namespace)
    there = (await client.operator_service.list_search_attributes(request)).custom_attributes
    for key in SEARCH_ATTRIBUTES:
        if key.name in there and int(there[key.name]) != int(key.indexed_value_type):
            raise OrdersError(
                f"Temporal's namespace {client.namespace!r} has a search attribute {key.name} that is not a "
                f"{_type_name(key)}: somebody else's. Give us a namespace of our own, or set "
                "TEMPORAL_SEARCH_ATTRIBUTES=false"
            )
    return [key for key in SEARCH_ATTRIBUTES if key.name not in there]


async def _add(client: Client, missing: list[SearchAttributeKey[Any]]) -> None:
    types = {key.name: IndexedValueType.ValueType(key.indexed_value_type) for key in missing}
    request = AddSearchAttributesRequest(namespace=client.namespace, search_attributes=types)
    try:
        await client.operator_service.add_search_attributes(request)
    except RPCError as error:
        if error.status is RPCStatusCode.INVALID_ARGUMENT:
            # Such as: no room for another Keyword. The server's words name no data of ours.
            raise OrdersError(
                f"Temporal refused the search attributes ({error.message}): make room for {', '.join(types)} in the "
                f"namespace {client.namespace!r}, or set TEMPORAL_SEARCH_ATTRIBUTES=false"
            ) from error
        raise


async def _wait_until_searchable(client: Client) -> None:
    deadline = time.monotonic() + USABLE_TIMEOUT_SECONDS
    while not await are_searchable(client):
        if time.monotonic() > deadline:
            raise OrdersError(
                f"Temporal has registered the search attributes and still does not know them after "
                f"{USABLE_TIMEOUT_SECONDS:g} s: run `orders migrate` again"
            )
        await asyncio.sleep(_POLL_SECONDS)


def _by_hand(client: Client) -> str:
    """What somebody with more rights is to type."""
    options = " ".join(f"--name {key.name} --type {_type_name(key)}" for key in SEARCH_ATTRIBUTES)
    return (
        "have somebody do it who may, with Temporal's own command line tool: "
        f"`temporal operator search-attribute create --namespace {client.namespace} {options}` "
        "(on Temporal Cloud: in its UI). Or set TEMPORAL_SEARCH_ATTRIBUTES=false"
    )


def _type_name(key: SearchAttributeKey[Any]) -> str:
    """As Temporal's command line has it."""
    return key.indexed_value_type.name.capitalize()
