"""Temporal closes each connection at a greatest age, and what begins in that moment ends with it."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable

import pytest
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError

from bridge import SINGLE_ATTEMPT
from bridge.decisions import ended_with_its_connection
from bridge.supervision.probe import ask_temporal
from tests.helpers.servers.own_temporal import own_temporal
from tests.helpers.system.waiting import assert_eventually

ASKING = 8
SETTINGS = {
    "frontend.keepAliveMaxConnectionAge": '"500ms"',
    "frontend.keepAliveMaxConnectionAgeGrace": '"30s"',
    "frontend.namespaceRPS": "100000",
    "frontend.rps": "100000",
}
"""Connections that live as long as some hundred questions, where others live for 5 minutes; no limit of questions."""


@pytest.fixture
async def client(say: Callable[[str], None]) -> AsyncIterator[Client]:
    async with own_temporal(SETTINGS, say, dev_server_log_level="error") as environment:
        address = environment.client.service_client.config.target_host
        yield await Client.connect(address, retry_config=SINGLE_ATTEMPT)


async def test_a_look_at_temporal_is_not_ended_by_a_connection_that_is(client: Client) -> None:
    met: Counter[bool] = Counter()
    """Questions that ended with their connection, and others that failed."""

    async def ask_once() -> None:
        """What it would be without asking again."""
        try:
            await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace=client.namespace))
        except RPCError as error:
            met[ended_with_its_connection(error)] += 1

    async def go_on() -> None:
        while True:
            await asyncio.gather(ask_once(), ask_temporal(client))

    asking = [asyncio.create_task(go_on()) for _ in range(ASKING)]
    try:
        await assert_eventually(
            lambda: met[True] >= 5 or any(one.done() for one in asking), 60, "connections that end with what begins"
        )
        assert not any(one.done() for one in asking), [one.exception() for one in asking if one.done()]
        assert met[False] == 0
    finally:
        for one in asking:
            one.cancel()
        await asyncio.gather(*asking, return_exceptions=True)
