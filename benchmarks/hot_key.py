"""hot_key: one order with far more records than the others, against what no schedule could beat."""

from collections import Counter

from benchmarks.bench_room import CountingDispatcher, open_bench_room, running, until, zipf_keys
from benchmarks.key_parallel import CALL_SECONDS, sequential_rate
from benchmarks.report import Figure

KEYS, RECORDS, EXPONENT, CALLS_IN_FLIGHT = 1_000, 10_000, 1.2, 100


async def run(*, quick: bool) -> list[Figure]:
    """Measures the time of all, in one partition."""
    count = RECORDS // 10 if quick else RECORDS
    keys = zipf_keys(count, keys=KEYS, exponent=EXPONENT)
    async with open_bench_room(partitions=1) as room:
        await room.produce((room.created, f"o-{key}", {"order_id": f"o-{key}", "payment_id": "p"}) for key in keys)
        call_seconds = 1 / await sequential_rate()  # What a call of 5 ms takes on this machine's clock.
        times = []
        for _ in range(3):
            dispatcher = CountingDispatcher(count, CALL_SECONDS)
            async with running(room, room.config(), dispatcher):
                await until(dispatcher.done)
            times.append(dispatcher.elapsed_seconds)
    hottest = max(Counter(keys).values())
    ideal = max(hottest * call_seconds, count * call_seconds / CALLS_IN_FLIGHT)
    value = sorted(times)[1] / ideal
    details = {"seconds": round(sorted(times)[1], 3), "ideal_seconds": round(ideal, 3), "hottest_records": hottest}
    return [Figure("hot_key", value, "times the ideal", at_most=1.10, details=details)]
