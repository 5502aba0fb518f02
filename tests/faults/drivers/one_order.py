"""One order with a backlog of its own, and what becomes of the others meanwhile (I18): counted, and never timed."""

import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from schemas.event_types import EventType
from tests.faults.drivers.outages import Outages
from tests.faults.drivers.watching import OUTAGE_SECONDS, SETTLED
from tests.helpers.checker.evidence import Coordinates, StuckOrder
from tests.helpers.messages.kafka_io import Outgoing
from tests.helpers.messages.messages import message_of
from tests.helpers.system.system import OrderSystem
from workflows.names import order_workflow_id

OTHERS, RECORDS_OF_EACH = 30, 3
STUCK_RECORDS, HOT_RECORDS = 500, 600
"""Ten times what the bridge of a patient system may hold."""
WORKED_OFF_WITHIN_SECONDS = 300.0
"""So that a test ends: nothing is judged by it."""


async def one_stuck(outages: Outages) -> None:
    """Temporal does not take one order, which has a backlog; others come behind it, and are all settled meanwhile.

    So at first, and so after `OUTAGE_SECONDS` of it.
    """
    async with stuck_order(outages, STUCK_RECORDS) as own:
        await send_others(outages.system, OTHERS)
        await until_settled(outages.system, but_for=own)
        await asyncio.sleep(OUTAGE_SECONDS)
        await send_others(outages.system, OTHERS)
    await outages.system.wait_until_drained(WORKED_OFF_WITHIN_SECONDS)
    await _cancel(outages.system, outages.system.stuck_orders[-1].order_id)


@asynccontextmanager
async def stuck_order(outages: Outages, backlog: int) -> AsyncIterator[frozenset[Coordinates]]:
    """Keeps Temporal from taking a new order with so many records until all is settled that the block sends for others.

    Yields:
        Where the order's records are.
    """
    system, order_id, refused = outages.system, f"o-{secrets.token_hex(6)}", outages.temporal.refusals
    outages.temporal.stuck = order_workflow_id(order_id).encode()
    records = frozenset(await send_backlog(system, order_id, backlog))
    try:
        yield records
        stuck = StuckOrder(order_id, records, others_sent_at=time.time())
        await until_settled(system, but_for=records)
        assert outages.temporal.refusals > refused, "its calls were refused"
        assert records.isdisjoint(settled_in_order(system)), "none of its own was settled"
    finally:
        released_at, outages.temporal.stuck = time.time(), None
    system.stuck_orders.append(StuckOrder(stuck.order_id, stuck.records, stuck.others_sent_at, released_at=released_at))


async def one_hot(outages: Outages, backlog: int = HOT_RECORDS, others: int = OTHERS) -> None:
    """One order has thousands of records, others come behind them: those are settled first, however few of its own.

    Both wait in Kafka when the bridge begins. An order is one lane among many, and so has a call at a time.
    """
    system, order_id = outages.system, f"o-{secrets.token_hex(6)}"
    await system.wait_until_drained(WORKED_OFF_WITHIN_SECONDS)
    await system.running("bridge").terminate()
    own = set(await send_backlog(system, order_id, backlog))
    before = set(settled_in_order(system))
    await send_others(system, others)
    outages.start_bridge()
    await until_settled(system, but_for=own)
    in_turn = [coordinates for coordinates in settled_in_order(system) if coordinates not in before]
    of_others = others * RECORDS_OF_EACH
    last_of_others = max(number for number, coordinates in enumerate(in_turn) if coordinates not in own)
    own_before = sum(coordinates in own for coordinates in in_turn[:last_of_others])
    assert own_before <= of_others < backlog, (
        f"{own_before} of {backlog} records of one order were settled before {of_others} of {others} others"
    )
    await system.wait_until_drained(WORKED_OFF_WITHIN_SECONDS)
    await _cancel(system, order_id)


async def send_others(system: OrderSystem, count: int) -> None:
    """Orders that end at once, with a record in three topics: some of them stand in one partition with a backlog."""
    ids = [f"o-{secrets.token_hex(6)}" for _ in range(count)]
    bodies: dict[EventType, dict[str, Any]] = {
        EventType.ORDER_CREATED: {"amount": 5},
        EventType.ORDER_ADDRESS_UPDATED: {"address": {"city": "Lier"}},
        EventType.ORDER_CANCELLED: {},
    }
    made = [
        (kind, message_of(kind, {"order_id": one, **body, **({"payment_id": f"p-{one}"} if "amount" in body else {})}))
        for kind, body in bodies.items()
        for one in ids
    ]
    await system.produce(Outgoing(system.topic_of(kind), message.value, message.key) for kind, message in made)


async def send_backlog(system: OrderSystem, order_id: str, updates: int) -> list[Coordinates]:
    """An order, and so many changes of its address in one partition; returns where they are."""
    created = message_of(EventType.ORDER_CREATED, {"order_id": order_id, "payment_id": f"p-{order_id}"})
    changes = [
        message_of(
            EventType.ORDER_ADDRESS_UPDATED,
            {"order_id": order_id, "address": {"city": f"City {number}"}},
            event_id=f"{order_id}-{number}",
        )
        for number in range(updates)
    ]
    return await system.produce(
        [
            Outgoing(system.topic_of(EventType.ORDER_CREATED), created.value, created.key),
            *(Outgoing(system.topic_of(EventType.ORDER_ADDRESS_UPDATED), one.value, one.key) for one in changes),
        ]
    )


async def until_settled(system: OrderSystem, *, but_for: set[Coordinates] | frozenset[Coordinates]) -> None:
    """Waits until all that is in Kafka now is settled, but for some records."""
    there = {
        (partition.topic, partition.partition, offset)
        for partition in await system.offsets()
        for offset in range(partition.begin, partition.end)
    } - but_for

    async def all_settled() -> bool:
        # Counted first, which is quick: it is asked again and again.
        lines = sum(process.log.count(SETTLED) for process in system.processes if "bridge" in process.name)
        return lines >= len(there) and there.issubset(settled_in_order(system))

    await system.wait_until(all_settled, WORKED_OFF_WITHIN_SECONDS, lambda: _missing(system, there))


def _missing(system: OrderSystem, there: set[Coordinates]) -> str:
    missing = there.difference(settled_in_order(system))
    return f"I18: {len(missing)} of {len(there)} records of others settled, such as {sorted(missing)[:5]}"


def settled_in_order(system: OrderSystem) -> list[Coordinates]:
    """The records that bridges said are settled, in the order of their logs."""
    lines = [
        json.loads(line)
        for process in system.processes
        if "bridge" in process.name
        for line in process.log.splitlines()
        if SETTLED in line and line.startswith("{")
    ]
    return [(line["topic"], line["partition"], line["offset"]) for line in lines]


async def _cancel(system: OrderSystem, order_id: str) -> None:
    cancelled = message_of(EventType.ORDER_CANCELLED, {"order_id": order_id})
    await system.produce([Outgoing(system.topic_of(EventType.ORDER_CANCELLED), cancelled.value, cancelled.key)])


FAULTS: dict[str, Callable[[Outages], Awaitable[None]]] = {"one order stuck": one_stuck, "one order hot": one_hot}
