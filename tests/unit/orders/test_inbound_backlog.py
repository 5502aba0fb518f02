"""The question before an expiry, after Kafka did not answer one."""

import asyncio
from contextlib import AsyncExitStack
from types import SimpleNamespace
from typing import Any

import pytest

from activities.ports import KafkaUnavailableError
from orders.clients.inbound_backlog import KafkaInboundBacklog, Snapshot, _Opened
from orders.errors import UnreachableError
from orders.settings import Settings
from schemas.activity_io import Backlog


class NoAnswer:
    """Clients that reach nobody."""

    async def kafka_admin(self) -> Any:
        raise UnreachableError("Kafka does not answer")


async def test_who_asks_next_does_not_wait_until_the_clients_of_a_failed_look_are_closed() -> None:
    """An outage's last question would hold up every expiry for so long after it."""
    backlog = KafkaInboundBacklog(Settings(), lambda _: None)
    may_close, closed = asyncio.Event(), 0
    for number in range(2):
        resources = AsyncExitStack()

        async def close_slowly() -> None:
            nonlocal closed
            await may_close.wait()
            closed += 1

        resources.push_async_callback(close_slowly)
        clients: Any = NoAnswer()
        backlog._opened = _Opened(clients, SimpleNamespace(), resources)
        with pytest.raises(KafkaUnavailableError):
            await backlog.left_of(f"o-{number}", ())
    assert closed == 0
    may_close.set()
    await backlog.close()
    assert closed == 2, "whoever ends the process waits for all of them"


def test_of_a_partition_that_there_is_no_more_nothing_is_left() -> None:
    backlog = Backlog(topic="order.created", partition=7, end=10, records=3)
    assert Snapshot({}, {}).left_of("o-1", [backlog]) == ()
