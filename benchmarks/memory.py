"""memory: what the bridge holds while Temporal is away, with very much waiting in Kafka and with little."""

import asyncio
import json
import sys

from temporalio.service import RPCError, RPCStatusCode

from benchmarks.bench_room import open_bench_room, running
from benchmarks.report import Figure
from bridge.dispatcher import Settlement
from bridge.router import WorkflowCall

FEW, MANY, QUICK_MANY = 10_000, 1_000_000, 100_000
WATCHED_SECONDS = 20.0


class _Away:
    """Temporal, refusing connections."""

    async def dispatch(self, _call: WorkflowCall) -> Settlement:
        raise RPCError("connection refused", RPCStatusCode.UNAVAILABLE, b"")


async def run(*, quick: bool) -> list[Figure]:
    """Measures the peak of a process of its own for each, as a peak never goes down."""
    few = await _peak_in_a_process(FEW)
    many = await _peak_in_a_process(QUICK_MANY if quick else MANY)
    details = {"few_bytes": few, "many_bytes": many}
    return [Figure("memory", many / few, "times the peak with 10,000 records", at_most=1.1, details=details)]


async def _peak_in_a_process(count: int) -> int:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.memory", str(count), stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    if process.returncode != 0:
        raise RuntimeError(f"the measuring process ended with {process.returncode}")
    return int(json.loads(output.splitlines()[-1])["peak_bytes"])


async def peak_bytes(count: int) -> int:
    """The bridge's largest resident size while it waits, that of the whole process."""
    async with open_bench_room(partitions=3) as room:
        await room.produce(
            (room.created, f"o-{number}", {"order_id": f"o-{number}", "payment_id": "p"}) for number in range(count)
        )
        peak = 0
        async with running(room, room.config(), _Away()):
            for _ in range(int(WATCHED_SECONDS / 0.05)):
                peak = max(peak, _resident_bytes())
                await asyncio.sleep(0.05)
        return peak


def _resident_bytes() -> int:
    import psutil  # noqa: PLC0415 -- of the development environment only

    return int(psutil.Process().memory_info().rss)


if __name__ == "__main__":
    sys.stdout.write(json.dumps({"peak_bytes": asyncio.run(peak_bytes(int(sys.argv[1])))}) + "\n")
