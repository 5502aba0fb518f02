"""hot_key: one order with far more records than the others, against what no schedule could beat."""

from collections import Counter

from benchmarks.bench_room import BenchRoom, CountingCaller, open_bench_room, running, until, zipf_keys
from benchmarks.key_parallel import CALL_SECONDS, sequential_rate
from benchmarks.ratios import in_turns
from benchmarks.report import Figure

KEYS, RECORDS, EXPONENT, CALLS_IN_FLIGHT, TURNS = 1_000, 10_000, 1.2, 100, 3


async def run(*, quick: bool) -> list[Figure]:
    """Measures the time of all, in one partition."""
    count = RECORDS // 10 if quick else RECORDS
    keys = zipf_keys(count, keys=KEYS, exponent=EXPONENT)
    hottest = max(Counter(keys).values())

    async def ideal_seconds() -> float:
        call_seconds = 1 / await sequential_rate()  # What a call of 5 ms takes on this machine's clock.
        return max(hottest * call_seconds, count * call_seconds / CALLS_IN_FLIGHT)

    async with open_bench_room(partitions=1) as room:
        await room.produce((room.created, f"o-{key}", {"order_id": f"o-{key}", "payment_id": "p"}) for key in keys)
        ratio = await in_turns(lambda: seconds_of_all(room, count), ideal_seconds, turns=TURNS)
    details = {
        "seconds": round(ratio.measured, 3),
        "ideal_seconds": round(ratio.baseline, 3),
        "hottest_records": hottest,
        "noise": round(ratio.noise, 3),
    }
    trust = ratio.is_trustworthy
    return [Figure("hot_key", ratio.value, "times the ideal", at_most=1.10, trustworthy=trust, details=details)]


async def seconds_of_all(room: BenchRoom, count: int) -> float:
    """From the first call to the end of the last, each taking 5 ms."""
    caller = CountingCaller(count, CALL_SECONDS)
    async with running(room, room.config(), caller):
        await until(caller.done)
    return caller.elapsed_seconds
