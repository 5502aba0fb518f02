"""Orders of a thousand items, and small records that unfold to many times their size (I10, I11)."""

import json
import secrets
from collections.abc import Awaitable, Callable
from typing import Any

from schemas.event_types import EventType
from tests.faults.drivers.one_order import until_settled
from tests.faults.drivers.outages import Outages, send_orders_to_cancel
from tests.helpers.messages.kafka_io import Outgoing
from tests.helpers.messages.raw_batches import produce_batch

LARGE, BOMBS, OTHERS = 20, 40, 20
ITEMS = 1_000
UNFOLDED_BYTES = 460 * 1024
"""A little less than the bridge takes of a value (512 KiB)."""
ZSTD = 4


async def large_and_unfolding_records(outages: Outages) -> None:
    """They come in a row, others behind them: all are settled, and the bridge stays in its group all the while."""
    system = outages.system
    members = await system.group_members()
    ids = [f"o-{secrets.token_hex(6)}" for _ in range(LARGE + BOMBS)]
    topic = system.topic_of(EventType.ORDER_CREATED)
    await system.produce(Outgoing(topic, _value(_large(one)), one.encode()) for one in ids[:LARGE])
    for one in ids[LARGE:]:
        record = Outgoing(topic, _value(_bomb(one)), one.encode(), partition=0)
        await produce_batch(system.endpoints.kafka_bootstrap_servers, [record], compression=ZSTD)
    await send_orders_to_cancel(system, OTHERS)
    cancelled = system.topic_of(EventType.ORDER_CANCELLED)
    await system.produce(Outgoing(cancelled, _value({"order_id": one}), one.encode()) for one in ids)
    await until_settled(system, but_for=frozenset())
    assert await system.group_members() == members, "a bridge that is busy for longer than its session leaves its group"


def _large(order_id: str) -> dict[str, Any]:
    items = [{"sku": f"sku-{number}", "quantity": 1, "unit_amount": 5} for number in range(ITEMS)]
    return {"order_id": order_id, "payment_id": f"p-{order_id}", "items": items}


def _bomb(order_id: str) -> dict[str, Any]:
    """An order with a field that nobody knows, of small objects that are all alike."""
    return {
        "order_id": order_id, "payment_id": f"p-{order_id}", "amount": 5, "x": [{}] * (UNFOLDED_BYTES // len("{}, ")),
    }  # fmt: skip


def _value(body: dict[str, Any]) -> bytes:
    return json.dumps(body).encode()


FAULTS: dict[str, Callable[[Outages], Awaitable[None]]] = {"large and unfolding records": large_and_unfolding_records}
