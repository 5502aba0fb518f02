"""hot_order: how long other orders wait beside one with a backlog, in its partition and in others."""

import asyncio
import statistics

from benchmarks.bench_room import BenchRoom, open_bench_room, running
from benchmarks.report import Figure
from bridge import Call, CallOutcome
from schemas.event_types import EventType

BACKLOG, QUICK_BACKLOG, CALL_SECONDS, PARTITIONS = 6_000, 1_000, 0.005, 4
OTHERS, QUICK_OTHERS, BETWEEN_SECONDS = 400, 40, 0.02
HOT = "hot"
DEADLINE_SECONDS = 60.0


class _Noting:
    """Temporal, which takes 5 ms a call; notes when each order's call began."""

    def __init__(self) -> None:
        self.hot = 0
        self.begun: dict[str, float] = {}

    async def make(self, call: Call) -> CallOutcome:
        order_id = call.workflow_id.rpartition(":")[2]
        if order_id == HOT:
            self.hot += 1
        else:
            self.begun.setdefault(order_id, asyncio.get_running_loop().time())
        await asyncio.sleep(CALL_SECONDS)
        return CallOutcome.DELIVERED


async def run(*, quick: bool) -> list[Figure]:
    """Measures the waits of others that come one after the other while the hot order's backlog is worked off."""
    backlog, count = (QUICK_BACKLOG, QUICK_OTHERS) if quick else (BACKLOG, OTHERS)
    async with open_bench_room(partitions=PARTITIONS) as room:
        topic, temporal = room.topic(EventType.ORDER_APPROVED), _Noting()
        await room.produce((topic, HOT, {"order_id": HOT}) for _ in range(backlog))
        async with running(room, room.config(), temporal):
            async with asyncio.timeout(DEADLINE_SECONDS):
                while not temporal.hot:  # noqa: ASYNC110 -- the bridge says nothing when it begins
                    await asyncio.sleep(0.01)
            sent = await _send_others(room, topic, count)
            hot_at_the_end = temporal.hot
            async with asyncio.timeout(DEADLINE_SECONDS):
                while len(temporal.begun) < count:  # noqa: ASYNC110 -- as above
                    await asyncio.sleep(0.01)
    if not quick and hot_at_the_end >= backlog:
        raise RuntimeError("the backlog was worked off before the last of the others was sent")
    waits = sorted(temporal.begun[order_id] - at for order_id, at in sent.items())
    p99 = waits[min(len(waits) - 1, len(waits) * 99 // 100)]
    details = {
        "median_seconds": round(statistics.median(waits), 4),
        "longest_seconds": round(waits[-1], 3),
        "hot_records_per_second": round(hot_at_the_end / (count * BETWEEN_SECONDS)),
    }
    return [Figure("hot_order", p99, "s, the 99th percentile of the others' waits", at_most=1.0, details=details)]


async def _send_others(room: BenchRoom, topic: str, count: int) -> dict[str, float]:
    """Sends one record of each order, spread over the partitions; returns when each was sent."""
    sent: dict[str, float] = {}
    async with room.producer() as producer:
        for number in range(count):
            order_id = f"o-{number}"
            sent[order_id] = asyncio.get_running_loop().time()
            await producer.send(topic, b'{"order_id":"%s"}' % order_id.encode(), order_id.encode())
            await asyncio.sleep(BETWEEN_SECONDS)
    return sent
