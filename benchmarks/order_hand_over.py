"""hand_over: how long one record alone takes from Kafka to a started run, beside the bare call of Temporal's client.

No worker runs: what is measured is the way in.
"""

import asyncio
import json
import time
import uuid
from collections.abc import Awaitable, Callable
from typing import Any, Final

from aiokafka import AIOKafkaProducer

from benchmarks.bench_room import BenchRoom, open_bench_room, running
from benchmarks.ratios import in_turns
from benchmarks.report import Figure
from bridge import Call, Caller, CallOutcome
from orders.operations.bench.report import percentile
from schemas.event_types import EventType
from schemas.inbound import InboundEvent

RECORDS, TURNS, WARM_UP = 200, 3, 50
BETWEEN_SECONDS: Final = 0.02
"""A pause before each, so that every record comes to a bridge that waits."""


class _Telling:
    """The real caller, which tells when each run was started."""

    def __init__(self, inner: Caller) -> None:
        self._inner = inner
        self.started: asyncio.Queue[float] = asyncio.Queue()

    async def make(self, call: Call) -> CallOutcome:
        outcome = await self._inner.make(call)
        self.started.put_nowait(time.perf_counter())
        return outcome


async def run(*, quick: bool) -> list[Figure]:
    """The median of single records and of single calls, in turns, on one bridge that runs all the time."""
    records = RECORDS // 4 if quick else RECORDS
    waits: dict[str, list[float]] = {"bridge": [], "bare": []}
    async with open_bench_room(partitions=3) as room, _producer(room) as producer:
        telling, caller = _Telling(Caller(room.client)), Caller(room.client)

        async def through_bridge() -> float:
            order_id, body = _order()
            value = json.dumps(body).encode()
            await producer.send_and_wait(room.created, value, order_id.encode())
            written_at = time.perf_counter()
            return await telling.started.get() - written_at

        async def bare() -> float:
            order_id, body = _order()
            event = InboundEvent(event_id=uuid.uuid4().hex, type=EventType.ORDER_CREATED.value, body=body)
            call = room.mapping.call_for(order_id, EventType.ORDER_CREATED, event)
            called_at = time.perf_counter()
            await caller.make(call)
            return time.perf_counter() - called_at

        async with running(room, room.config(), telling):
            for one in (through_bridge, bare):
                await _each(one, WARM_UP)
            ratio = await in_turns(
                lambda: _median(through_bridge, records, waits["bridge"]),
                lambda: _median(bare, records, waits["bare"]),
                turns=1 if quick else TURNS,
            )
    details = {
        "p50_ms": round(ratio.measured * 1e3, 2),
        "baseline_p50_ms": round(ratio.baseline * 1e3, 2),
        "p99_ms": round(percentile(waits["bridge"], 0.99) * 1e3, 2),
        "baseline_p99_ms": round(percentile(waits["bare"], 0.99) * 1e3, 2),
        "noise": round(ratio.noise, 3),
    }
    trust = ratio.is_trustworthy
    unit = "times the bare call, p50"
    return [Figure("hand_over", ratio.value, unit, at_most=1.5, trustworthy=trust, details=details)]


def _producer(room: BenchRoom) -> AIOKafkaProducer:
    return AIOKafkaProducer(bootstrap_servers=room.endpoints.kafka_bootstrap_servers)


def _order() -> tuple[str, dict[str, Any]]:
    order_id = f"o-{uuid.uuid4().hex}"
    return order_id, {"order_id": order_id, "payment_id": f"p-{order_id}", "amount": 100, "currency": "EUR"}


async def _each(one: Callable[[], Awaitable[float]], times: int) -> list[float]:
    taken = []
    for _ in range(times):
        await asyncio.sleep(BETWEEN_SECONDS)
        taken.append(await one())
    return taken


async def _median(one: Callable[[], Awaitable[float]], times: int, all_of_them: list[float]) -> float:
    taken = await _each(one, times)
    all_of_them.extend(taken)
    return percentile(taken, 0.5)
