"""Temporal closes each connection at a greatest age, and what begins in that moment ends with it."""

from collections.abc import Callable

from bridge.supervision.probe import ask_temporal
from tests.helpers.servers.short_connections import assert_outlasts_connections, short_connections


async def test_a_look_at_temporal_is_not_ended_by_a_connection_that_is(say: Callable[[str], None]) -> None:
    async with short_connections(say) as client:
        await assert_outlasts_connections(client, lambda: ask_temporal(client))
