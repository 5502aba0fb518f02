"""What orders leave in the stores: bytes of Postgres' tables, of Kafka's logs, and of Temporal's histories."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from aiokafka.errors import KafkaError
from sqlalchemy import text

from activities.adapters.postgres.schema import events, inbound_events, journals, orders, payments
from orders.clients.kafka import existing_partitions
from orders.clients.kafka_sizes import log_bytes
from orders.clients.opened import Clients
from orders.clients.temporal import reaching_temporal
from orders.operations.bench.actions import actions_of
from workflows.names import order_workflow_id, shipping_workflow_id

_TABLES: Final = tuple(table.name for table in (orders, journals, events, inbound_events, payments))
_CALLS_AT_ONCE: Final = 10


@dataclass(frozen=True, slots=True)
class StoredBytes:
    """What the stores hold at one moment."""

    postgres: Mapping[str, int]
    """By table, with its indexes."""
    kafka: Mapping[str, int] | None
    """By topic, on all brokers together, replicas included; None where Kafka does not say, as for want of a right."""


@dataclass(frozen=True, slots=True)
class Histories:
    """What a number of orders are in Temporal, their shipping included, on average."""

    orders: int
    bytes_each: float
    events_each: float
    actions_each: Mapping[str, float]
    """By what they are for."""

    @property
    def actions(self) -> float:
        """All of them, for an order."""
        return sum(self.actions_each.values())


async def stored_bytes(clients: Clients) -> StoredBytes:
    """Asks Postgres and Kafka how much they hold.

    Raises:
        UnreachableError: one does not answer.
    """
    return StoredBytes(await _table_bytes(clients), await _topic_bytes(clients))


async def _table_bytes(clients: Clients) -> dict[str, int]:
    statement = text(
        "SELECT name, pg_total_relation_size(to_regclass(name)) FROM unnest(CAST(:names AS text[])) AS name"
    )
    async with clients.database() as engine, engine.connect() as connection:
        rows = await connection.execute(statement, {"names": list(_TABLES)})
        return {name: size or 0 for name, size in rows}


async def _topic_bytes(clients: Clients) -> dict[str, int] | None:
    settings = clients.settings
    topics = [*settings.inbound_topics.values(), settings.kafka_topic_order_events]
    admin = await clients.kafka_admin()
    partitions = await existing_partitions(admin, settings, topics)
    try:
        async with asyncio.timeout(settings.kafka_request_timeout_seconds):
            return await log_bytes(admin, partitions)
    except (KafkaError, TimeoutError):
        return None


async def histories(clients: Clients, order_ids: Iterable[str]) -> Histories:
    """Reads these orders' histories, and those of their first shipping.

    Raises:
        UnreachableError: Temporal does not answer.
    """
    client = await clients.temporal()
    room = asyncio.Semaphore(_CALLS_AT_ONCE)
    sizes, numbers, actions = [], [], Counter[str]()

    async def look(workflow_id: str) -> None:
        async with room:
            handle = client.get_workflow_handle(workflow_id)
            described = (await handle.describe()).raw_description.workflow_execution_info
            found = actions_of((await handle.fetch_history()).events)
        sizes.append(described.history_size_bytes)
        numbers.append(described.history_length)
        actions.update(found)

    wanted = list(order_ids)
    with reaching_temporal(clients.settings):
        await asyncio.gather(
            *(look(name) for one in wanted for name in (order_workflow_id(one), shipping_workflow_id(one, 1)))
        )
    count = len(wanted)
    each = {what: number / count for what, number in actions.items()}
    return Histories(count, sum(sizes) / count, sum(numbers) / count, each)
