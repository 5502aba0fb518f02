"""A Temporal that closes each connection after half a second, where others do after 5 minutes."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError

from bridge import SINGLE_ATTEMPT
from bridge.decisions import ended_with_its_connection
from tests.helpers.servers.own_temporal import own_temporal
from tests.helpers.system.waiting import assert_eventually

_SETTINGS: Final = {
    "frontend.keepAliveMaxConnectionAge": '"500ms"',
    "frontend.keepAliveMaxConnectionAgeGrace": '"30s"',
    "frontend.namespaceRPS": "100000",
    "frontend.rps": "100000",
}
"""As long as some hundred questions, and no limit of questions."""
_ASKING: Final = 8
_MET_AT_LEAST: Final = 5


@asynccontextmanager
async def short_connections(say: Callable[[str], None]) -> AsyncIterator[Client]:
    """Starts it; gives a client of it that makes each call once, whatever comes of it."""
    async with own_temporal(_SETTINGS, say, dev_server_log_level="error") as environment:
        yield await Client.connect(environment.client.service_client.config.target_host, retry_config=SINGLE_ATTEMPT)


async def assert_outlasts_connections(plain: Client, ask: Callable[[], Awaitable[object]]) -> None:
    """Asks time and again, until other questions have ended with their connection some times.

    Args:
        plain: of `short_connections`; asks these others.
        ask: a question that is not to end so.
    """
    met: Counter[bool] = Counter()
    """Questions of the plain client that ended with their connection, and others that failed."""

    async def ask_plainly() -> None:
        try:
            await plain.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace=plain.namespace))
        except RPCError as error:
            met[ended_with_its_connection(error)] += 1

    async def go_on() -> None:
        while True:
            await asyncio.gather(ask_plainly(), ask())

    asking = [asyncio.create_task(go_on()) for _ in range(_ASKING)]
    try:
        await assert_eventually(
            lambda: met[True] >= _MET_AT_LEAST or any(one.done() for one in asking), 60, "connections that end"
        )
        assert not any(one.done() for one in asking), [one.exception() for one in asking if one.done()]
        assert met[False] == 0
    finally:
        for one in asking:
            one.cancel()
        await asyncio.gather(*asking, return_exceptions=True)
