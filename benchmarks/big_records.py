"""big_records: how long a turn of the bridge's loop takes, with orders of 1,000 items and batches that unfold to much.

While a turn lasts nothing else is done: no call's end is seen, and no heartbeat is sent. The calls are real ones on
Temporal, as the writing of their arguments takes its part of a turn.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from aiokafka import AIOKafkaProducer

from benchmarks.bench_room import BenchRoom, open_bench_room, running, until
from benchmarks.report import Figure
from bridge import Call, Caller, CallOutcome

ORDERS, QUICK_ORDERS, ITEMS = 400, 40, 1_000
BOMBS, QUICK_BOMBS, BOMB_OBJECTS = 240, 30, 60_000
"""So many small objects are 468 KiB, which gzip makes 2 KiB of."""
BATCH_BYTES = 15 * 1024 * 1024
"""Of records in one batch, before it is compressed: nearly as much as a bridge unfolds."""
BEAT_SECONDS = 0.002
LONGEST_MS = 50.0
IDLE_SECONDS, IDLE_MS = 5.0, 10.0
"""A loop that does nothing is not later than this on a machine that does nothing else; otherwise no figure is to be
trusted."""


class _Counting:
    """The real caller, and when its last call was acknowledged."""

    def __init__(self, inner: Caller, expected: int) -> None:
        self._inner = inner
        self._left = expected
        self.done = asyncio.Event()

    async def make(self, call: Call) -> CallOutcome:
        outcome = await self._inner.make(call)
        self._left -= 1
        if self._left == 0:
            self.done.set()
        return outcome


class Turns:
    """Beats every 2 ms; how late a beat comes is how long others wait for the loop.

    That is up to three of its turns: a beat that falls due in one is found in the next and wakes in the one after. It
    is longer where the machine does something else meanwhile; so the loop's own processor time between two beats is
    noted as well.
    """

    def __init__(self) -> None:
        self._late: list[float] = []
        self._worked: list[float] = []

    async def beat(self) -> None:
        """Beats until cancelled."""
        while True:
            due, worked = time.perf_counter() + BEAT_SECONDS, time.thread_time()
            await asyncio.sleep(BEAT_SECONDS)
            self._late.append(time.perf_counter() - due)
            self._worked.append(time.thread_time() - worked)

    def late_ms(self, share: float) -> float:
        """The lateness that so large a share of the beats did not exceed, in milliseconds."""
        ordered = sorted(self._late)
        return round(1_000 * ordered[min(len(ordered) - 1, int(len(ordered) * share))], 2)

    @property
    def worked_ms(self) -> float:
        """The most that the loop worked between two beats, in milliseconds of the processor."""
        return round(1_000 * max(self._worked), 2)


class LoopTurns:
    """How long the turns of a loop take: from one look for what has happened to the next."""

    def __init__(self) -> None:
        self._begun: tuple[float, float] | None = None
        self.longest_ms = self.worked_ms = 0.0
        """The longest one, and the most that one worked, in milliseconds of the processor."""

    def ended(self) -> None:
        """A turn is over."""
        if self._begun is not None:
            began_at, worked = self._begun
            self.longest_ms = max(self.longest_ms, round(1_000 * (time.perf_counter() - began_at), 2))
            self.worked_ms = max(self.worked_ms, round(1_000 * (time.thread_time() - worked), 2))

    def began(self) -> None:
        """A turn begins."""
        self._begun = time.perf_counter(), time.thread_time()


@contextmanager
def loop_turns() -> Iterator[LoopTurns]:
    """Times the turns of the running loop while the block lasts."""
    selector: Any = asyncio.get_running_loop()._selector  # type: ignore[attr-defined]  # noqa: SLF001 -- no other way
    turns, select = LoopTurns(), selector.select

    def timed(timeout: float | None = None) -> object:
        turns.ended()
        try:
            return select(timeout)
        finally:
            turns.began()

    selector.select = timed
    try:
        yield turns
    finally:
        selector.select = select


async def run(*, quick: bool) -> list[Figure]:
    """Measures the longest turn while the records are worked off, of each kind."""
    orders, bombs = (QUICK_ORDERS, QUICK_BOMBS) if quick else (ORDERS, BOMBS)
    return [
        *await _longest_turn("big_records_items", list(_orders(orders)), compression=None),
        *await _longest_turn("big_records_unfolded", list(_bombs(bombs)), compression="gzip"),
    ]


async def _longest_turn(name: str, records: list[tuple[str, bytes]], *, compression: str | None) -> list[Figure]:
    async with open_bench_room(partitions=3) as room:
        await _produce(room, records, compression)
        counting, turns, idle = _Counting(Caller(room.client), len(records)), Turns(), Turns()
        async with beating(idle):
            await asyncio.sleep(IDLE_SECONDS)
        async with running(room, room.config(), counting) as bridge:
            while not bridge.status().partitions:  # noqa: ASYNC110 -- the bridge says nothing when it is ready
                await asyncio.sleep(BEAT_SECONDS)
            began_at = time.perf_counter()
            async with beating(turns):
                with loop_turns() as whole:
                    await until(counting.done)
            seconds = time.perf_counter() - began_at
    details = {
        "records": len(records),
        "record_bytes": len(records[0][1]),
        "seconds": round(seconds, 2),
        "median_ms": turns.late_ms(0.5),
        "p99_ms": turns.late_ms(0.99),
        "p999_ms": turns.late_ms(0.999),
        "idle_ms": idle.late_ms(1.0),
    }
    trust = idle.late_ms(1.0) <= IDLE_MS
    return [
        Figure(
            name,
            turns.late_ms(1.0),
            "ms, the longest wait for the loop",
            at_most=LONGEST_MS,
            trustworthy=trust,
            details=details,
        ),
        Figure(f"{name}_worked", turns.worked_ms, "ms of the processor, the longest wait", at_most=LONGEST_MS),
        Figure(f"{name}_turn", whole.longest_ms, "ms, the longest turn", at_most=LONGEST_MS, trustworthy=trust),
        Figure(f"{name}_turn_worked", whole.worked_ms, "ms of the processor, the longest turn", at_most=LONGEST_MS),
    ]


@asynccontextmanager
async def beating(turns: Turns) -> AsyncIterator[None]:
    """Beats while the block lasts."""
    beating = asyncio.create_task(turns.beat())
    try:
        yield
    finally:
        beating.cancel()


async def _produce(room: BenchRoom, records: list[tuple[str, bytes]], compression: str | None) -> None:
    async with AIOKafkaProducer(
        bootstrap_servers=room.endpoints.kafka_bootstrap_servers,
        compression_type=compression,
        linger_ms=200,
        max_batch_size=BATCH_BYTES if compression else 1_000_000,
        max_request_size=2 * BATCH_BYTES,
    ) as producer:
        for order_id, value in records:
            await producer.send(room.created, value, order_id.encode())
        await producer.flush()


def _orders(count: int) -> Iterator[tuple[str, bytes]]:
    items = [{"sku": f"sku-{n:06}", "quantity": 1 + n % 7, "unit_amount": 100 + n} for n in range(ITEMS)]
    for number in range(count):
        order_id = f"o-{number}"
        yield order_id, json.dumps({"order_id": order_id, "payment_id": "p", "items": items}).encode()


def _bombs(count: int) -> Iterator[tuple[str, bytes]]:
    ignored = [{"a": 1}] * BOMB_OBJECTS
    for number in range(count):
        order_id = f"o-{number}"
        body = {"order_id": order_id, "payment_id": "p", "ignored": ignored}
        yield order_id, json.dumps(body, separators=(",", ":")).encode()
