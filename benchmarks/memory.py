"""memory: what the bridge holds while Temporal is away, with very much waiting in Kafka and with little."""

import asyncio
import json
import sys
from typing import Any

from temporalio.service import RPCError, RPCStatusCode

from benchmarks.bench_room import join_bench_room, open_bench_room, running
from benchmarks.report import Figure
from bridge import Call, CallOutcome
from schemas.event_types import EventType

FEW, MANY, QUICK_MANY = 10_000, 1_000_000, 100_000
WATCHED_SECONDS = 20.0


class _Away:
    """Temporal, refusing connections."""

    async def make(self, _call: Call) -> CallOutcome:
        raise RPCError("connection refused", RPCStatusCode.UNAVAILABLE, b"")


async def run(*, quick: bool) -> list[Figure]:
    """Measures the peak with little and with much, each in a process of its own, as a peak never goes down."""
    few = await _peak_of_a_bridge(FEW)
    many = await _peak_of_a_bridge(QUICK_MANY if quick else MANY)
    details = {"few_bytes": few, "many_bytes": many}
    return [Figure("memory", many / few, "times the peak with 10,000 records", at_most=1.1, details=details)]


async def _peak_of_a_bridge(count: int) -> int:
    """The peak of a bridge in a process of its own. The records are produced here, so that it does nothing else."""
    async with open_bench_room(partitions=3) as room:
        await room.produce(
            (room.created, f"o-{number}", {"order_id": f"o-{number}", "payment_id": "p"}) for number in range(count)
        )
        told = {"name": room.name, "topics": room.topics, "dead_letter_topic": room.dead_letter_topic}
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "benchmarks.memory", json.dumps(told), stdout=asyncio.subprocess.PIPE
        )
        output, _ = await process.communicate()
    if process.returncode != 0:
        raise RuntimeError(f"the measuring process ended with {process.returncode}")
    return int(json.loads(output.splitlines()[-1])["peak_bytes"])


async def peak_bytes(told: dict[str, Any]) -> int:
    """The bridge's largest resident size while it waits, that of the whole process."""
    topics = {topic: EventType(event_type) for topic, event_type in told["topics"].items()}
    async with join_bench_room(told["name"], topics, told["dead_letter_topic"]) as room:
        peak = 0
        async with running(room, room.config(), _Away()) as bridge:
            for _ in range(int(WATCHED_SECONDS / 0.05)):
                peak = max(peak, resident_bytes())
                await asyncio.sleep(0.05)
            held = bridge.status().records_held
        if held < room.config().engine.records_held_max:
            raise RuntimeError(f"the bridge held only {held} records: what was measured is not a full one")
        return peak


def resident_bytes() -> int:
    """The present resident size of this process."""
    import psutil  # noqa: PLC0415 -- of the development environment only

    return int(psutil.Process().memory_info().rss)


if __name__ == "__main__":
    sys.stdout.write(json.dumps({"peak_bytes": asyncio.run(peak_bytes(json.loads(sys.argv[1])))}) + "\n")
