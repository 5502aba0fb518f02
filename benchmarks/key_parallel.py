"""key_parallel: orders beside each other in one partition, against one call at a time."""

import time

from benchmarks.bench_room import BenchRoom, CountingDispatcher, open_bench_room, running, until
from benchmarks.report import Figure

CALL_SECONDS = 0.005
KEYS, RECORDS, SEQUENTIAL_RECORDS = 1_000, 20_000, 500


async def run(*, quick: bool) -> list[Figure]:
    """Measures; 100 calls in flight is the bridge's default."""
    count = RECORDS // 10 if quick else RECORDS
    async with open_bench_room(partitions=1) as room:
        await room.produce(
            (room.created, f"o-{number % KEYS}", {"order_id": f"o-{number % KEYS}", "payment_id": "p"})
            for number in range(count)
        )
        rates = [await bridge_rate(room, count) for _ in range(3)]
        sequential = [await sequential_rate() for _ in range(3)]
    rate, alone = sorted(rates)[1], sorted(sequential)[1]
    value = rate / alone
    details = {"records_per_second": round(rate), "one_at_a_time_per_second": round(alone, 1)}
    return [Figure("key_parallel", value, "times one call at a time", at_least=80, details=details)]


async def bridge_rate(room: BenchRoom, count: int) -> float:
    """Records a second, each call taking 5 ms."""
    dispatcher = CountingDispatcher(count, CALL_SECONDS)
    async with running(room, room.config(), dispatcher):
        await until(dispatcher.done)
    return count / dispatcher.elapsed_seconds


async def sequential_rate() -> float:
    """The same calls, one after the other."""
    dispatcher = CountingDispatcher(SEQUENTIAL_RECORDS, CALL_SECONDS)
    started_at = time.perf_counter()
    for _ in range(SEQUENTIAL_RECORDS):
        await dispatcher.dispatch(None)  # type: ignore[arg-type]
    return SEQUENTIAL_RECORDS / (time.perf_counter() - started_at)
