"""key_parallel: orders beside each other in one partition, against one call at a time."""

import time

from benchmarks.bench_room import BenchRoom, CountingCaller, open_bench_room, running, until
from benchmarks.ratios import in_turns
from benchmarks.report import Figure

CALL_SECONDS = 0.005
KEYS, RECORDS, SEQUENTIAL_RECORDS, TURNS = 1_000, 20_000, 500, 5


async def run(*, quick: bool) -> list[Figure]:
    """Measures the bridge's rate, with its default of 100 calls in flight, against that of one call at a time."""
    count = RECORDS // 10 if quick else RECORDS
    async with open_bench_room(partitions=1) as room:
        await room.produce(
            (room.created, f"o-{number % KEYS}", {"order_id": f"o-{number % KEYS}", "payment_id": "p"})
            for number in range(count)
        )
        ratio = await in_turns(lambda: bridge_rate(room, count), sequential_rate, turns=TURNS)
    details = {
        "records_per_second": round(ratio.measured),
        "one_at_a_time_per_second": round(ratio.baseline, 1),
        "noise": round(ratio.noise, 3),
        "turns": [round(turn) for turn in ratio.measured_turns],
    }
    return [
        Figure(
            "key_parallel",
            ratio.value,
            "times one call at a time",
            at_least=80,
            trustworthy=ratio.is_trustworthy,
            details=details,
        )
    ]


async def bridge_rate(room: BenchRoom, count: int) -> float:
    """Records a second, each call taking 5 ms."""
    caller = CountingCaller(count, CALL_SECONDS)
    async with running(room, room.config(), caller):
        await until(caller.done)
    return count / caller.elapsed_seconds


async def sequential_rate() -> float:
    """The same calls, one after the other."""
    caller = CountingCaller(SEQUENTIAL_RECORDS, CALL_SECONDS)
    started_at = time.perf_counter()
    for _ in range(SEQUENTIAL_RECORDS):
        await caller.make(None)  # type: ignore[arg-type]
    return SEQUENTIAL_RECORDS / (time.perf_counter() - started_at)
