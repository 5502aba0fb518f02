"""What the bridge counts a held record of an order as is what it weighs in memory."""

import gc
import json
import tracemalloc
from collections.abc import Callable

import pytest

from bridge.config import EngineLimits
from bridge.engine.lanes import Lanes
from bridge.engine.offsets import OffsetTracker, Partition
from bridge.engine.translation import translate
from bridge.engine.work import Work
from bridge.record import Record
from orders.mapping import OrderMapping
from schemas.event_types import EventType

P0 = Partition("order.created", 0)
MAPPING = OrderMapping({P0.topic: EventType.ORDER_CREATED})
OBJECTS_OF_A_BOMB = 60_000


def order(number: int, items: int) -> bytes:
    rows = [{"sku": f"sku-{item:06}", "quantity": 1 + item % 7, "unit_amount": 100 + item} for item in range(items)]
    body = {"order_id": f"o-{number}", "payment_id": f"p-{number}"} | ({"items": rows} if rows else {})
    return json.dumps(body, separators=(",", ":")).encode()


def refused(number: int, size: int) -> bytes:
    return json.dumps({"order_id": f"o-{number}", "x": "y" * size}).encode()


def unfolded(number: int, _: int) -> bytes:
    """468 KiB that deflate to next to nothing, and of which nothing is kept."""
    return b'{"order_id":"o-%d","payment_id":"p","x":[%s]}' % (number, b",".join([b'{"a":1}'] * OBJECTS_OF_A_BOMB))


@pytest.mark.parametrize("lets_go", [False, True])
@pytest.mark.parametrize(
    ("make", "size", "count", "at_least"),
    [
        (order, 0, 1_000, 0.7),
        (order, 10, 500, 0.7),
        (order, 1_000, 10, 0.7),
        (refused, 100, 500, 0.7),
        (unfolded, 0, 5, 0.1),
    ],
    ids=["small", "10 items", "1,000 items", "refused", "unfolded"],
)
def test_a_held_record_weighs_what_it_is_counted_as(
    make: Callable[[int, int], bytes], size: int, count: int, at_least: float, lets_go: bool
) -> None:
    values = [make(number, size) for number in range(count)]
    translate(Record(*P0, 0, 0, None, values[0]), MAPPING)  # What is made once is no record's.
    lanes, tracker = Lanes(EngineLimits()), OffsetTracker()
    tracker.assign({P0})
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    try:
        for number, value in enumerate(values):
            record = Record(*P0, number, 1_700_000_000_000, b"o-%d" % number, bytes(bytearray(value)))
            ticket = tracker.deliver(P0, record)
            assert ticket is not None
            work = Work.of(record, translate(record, MAPPING), ticket)
            if lets_go:
                work.let_call_go()
            lanes.add(work.key, work)
        gc.collect()
        weight = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert at_least <= weight / lanes.bytes_held <= 1.1
