"""Temporal closes each connection at a greatest age; no command and no request ends with it."""

from collections.abc import Callable

from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest

from bridge import SINGLE_ATTEMPT
from orders.clients.temporal import lazy_temporal
from orders.settings import Settings
from tests.helpers.servers.short_connections import assert_outlasts_connections, short_connections


async def test_a_call_is_not_ended_by_a_connection_that_is(say: Callable[[str], None]) -> None:
    async with short_connections(say) as plain:
        settings = Settings(_env_file=None, temporal_host=plain.service_client.config.target_host)
        client = await lazy_temporal(settings, retry_config=SINGLE_ATTEMPT)
        request = DescribeNamespaceRequest(namespace=client.namespace)
        await assert_outlasts_connections(plain, lambda: client.workflow_service.describe_namespace(request))
