"""hol_block: what one order's stuck call costs all others (head-of-line blocking)."""

import asyncio

from benchmarks.bench_room import BenchRoom, CountingCaller, open_bench_room, running, until
from benchmarks.ratios import in_turns
from benchmarks.report import Figure
from bridge import Call
from workflows.names import order_workflow_id

STUCK = order_workflow_id("o-0")
KEYS, RECORDS, CALL_SECONDS, STUCK_SECONDS, TURNS = 1_000, 100_000, 0.005, 10.0, 7


async def run(*, quick: bool) -> list[Figure]:
    """Measures the rate of all others; without any fault it is the baseline."""
    count = RECORDS // 10 if quick else RECORDS
    async with open_bench_room(partitions=1) as room:
        await room.produce(
            (room.created, f"o-{number % KEYS}", {"order_id": f"o-{number % KEYS}", "payment_id": "p"})
            for number in range(count)
        )
        ratio = await in_turns(
            lambda: rate(room, count, stuck=True), lambda: rate(room, count, stuck=False), turns=1 if quick else TURNS
        )
    details = {
        "records_per_second": round(ratio.measured),
        "baseline_records_per_second": round(ratio.baseline),
        "noise": round(ratio.noise, 3),
    }
    trust = ratio.is_trustworthy
    return [
        Figure("hol_block", ratio.value, "of the rate without it", at_least=0.98, trustworthy=trust, details=details)
    ]


async def rate(room: BenchRoom, count: int, *, stuck: bool) -> float:
    """Records a second of all orders but one, whose first call hangs for 10 s where it is stuck."""
    loop = asyncio.get_running_loop()
    hold: asyncio.Future[None] = loop.create_future()
    holding: list[asyncio.TimerHandle] = []

    def hold_up(call: Call) -> "asyncio.Future[None] | None":
        if call.workflow_id != STUCK or not stuck:
            return None
        if not holding:
            holding.append(loop.call_later(STUCK_SECONDS, hold.set_result, None))
        return hold

    others = CountingCaller(count - count // KEYS, CALL_SECONDS, before=hold_up, not_counted=STUCK)
    async with running(room, room.config(), others):
        await until(others.done)
        for timer in holding:
            timer.cancel()
        if not hold.done():
            hold.set_result(None)
    return others.expected / others.elapsed_seconds
