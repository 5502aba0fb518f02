"""stuck_order: one order that Temporal does not take, with a million records of its own, beside a thousand others.

Each turn is a bridge in a process of its own, so that its memory is its own and it can be killed. The stuck order's
records come first in the partition; once they are read and wait, the others' begin. After the last turn the bridge is
killed, and the next one is given what is not settled.
"""

import asyncio
import json
import logging
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import structlog
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from temporalio.service import RPCError, RPCStatusCode

from benchmarks.bench_room import DEADLINE_SECONDS, BenchRoom, join_bench_room, open_bench_room, running
from benchmarks.memory import resident_bytes
from benchmarks.ratios import in_turns
from benchmarks.report import Figure
from bridge import Call, CallOutcome, GroupTimings
from bridge.engine.settled_beyond import decode
from schemas.event_types import EventType

BACKLOG, QUICK_BACKLOG = 1_000_000, 50_000
OTHERS, RECORDS_OF_EACH, CALL_SECONDS, TURNS = 1_000, 20, 0.005, 3
STUCK = "stuck"
MEMORY_MAX_BYTES = 64 * 1024 * 1024
"""How much more the bridge may take for a million records that wait: as much as it may hold of records at all."""
GROUP = GroupTimings(session_timeout=timedelta(seconds=6), heartbeat_interval=timedelta(seconds=1))
REST_SECONDS = 1.5
"""Three commit intervals."""


class _AllButOne:
    """Temporal, which does not take one order's events."""

    def __init__(self) -> None:
        self.others = 0
        self.first_at = self.last_at = 0.0

    async def make(self, call: Call) -> CallOutcome:
        if call.workflow_id.endswith(STUCK):
            raise RPCError("workflow is busy", RPCStatusCode.UNAVAILABLE, b"")
        loop = asyncio.get_running_loop()
        self.first_at = self.first_at or loop.time()
        await asyncio.sleep(CALL_SECONDS)
        self.others += 1
        self.last_at = loop.time()
        return CallOutcome.DELIVERED


async def run(*, quick: bool) -> list[Figure]:
    """Measures the others' rate, the memory, and what comes again after a kill."""
    backlog, turns = (QUICK_BACKLOG, 1) if quick else (BACKLOG, TURNS)
    count = OTHERS * RECORDS_OF_EACH
    peaks: dict[str, list[int]] = {"measured": [], "baseline": []}
    async with open_bench_room(partitions=1) as stuck, open_bench_room(partitions=1) as free:
        await stuck.produce(_records(stuck, STUCK, backlog))
        await stuck.produce(_others(stuck))
        await free.produce(_others(free))

        async def measured() -> float:
            told = await _turn(stuck, stuck.config().group_id, count, backlog - 1)
            peaks["measured"].append(told["peak_bytes"])
            return float(told["rate"])

        async def baseline() -> float:
            told = await _turn(free, free.config().group_id, count, 0)
            peaks["baseline"].append(told["peak_bytes"])
            return float(told["rate"])

        ratio = await in_turns(measured, baseline, turns=turns)
        group_id = stuck.config().group_id
        await _turn(stuck, group_id, count, backlog - 1)
        committed = await _committed(stuck, group_id)
        again = await _turn(stuck, group_id, 0, backlog - 1)
    beyond = decode(committed.metadata, offset=committed.offset)
    more_bytes = max(peaks["measured"]) - min(peaks["baseline"])
    details = {
        "others_per_second": round(ratio.measured),
        "baseline_others_per_second": round(ratio.baseline),
        "noise": round(ratio.noise, 3),
        "backlog": backlog,
        "committed_offset": committed.offset,
        "metadata_chars": len(committed.metadata),
        "told_as_settled_beyond": beyond is not None and beyond.bounds == (0, backlog, backlog + count),
        "peak_bytes": peaks,
    }
    trust = ratio.is_trustworthy
    return [
        Figure("stuck_order", ratio.value, "of the rate without it", at_least=0.9, trustworthy=trust, details=details),
        Figure("stuck_order_memory", more_bytes / MEMORY_MAX_BYTES, "of 64 MiB more than without it", at_most=1.0),
        Figure("stuck_order_again", again["others"], "records of others again after a kill", at_most=0),
    ]


def _records(room: BenchRoom, order_id: str, count: int) -> Iterator[tuple[str, str, dict[str, Any]]]:
    topic = room.topic(EventType.ORDER_APPROVED)
    return ((topic, order_id, {"order_id": order_id}) for _ in range(count))


def _others(room: BenchRoom) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for _ in range(RECORDS_OF_EACH):
        for number in range(OTHERS):
            yield from _records(room, f"o-{number}", 1)


async def _turn(room: BenchRoom, group_id: str, others: int, waiting: int) -> dict[str, Any]:
    """Runs a bridge until so much is settled and so much waits, and the commits have caught up; then kills it."""
    told = {
        "name": room.name,
        "topics": room.topics,
        "dead_letter_topic": room.dead_letter_topic,
        "group_id": group_id,
    }
    async with _bridge(told) as lines, asyncio.timeout(DEADLINE_SECONDS):
        async for line in lines:
            if line["others"] >= others and line["waiting"] >= waiting:
                return line
    raise RuntimeError("the bridge said nothing")


@asynccontextmanager
async def _bridge(told: dict[str, Any]) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.stuck_order", json.dumps(told), stdout=asyncio.subprocess.PIPE
    )
    stdout = process.stdout
    assert stdout is not None  # noqa: S101 -- it is a pipe

    async def lines() -> AsyncIterator[dict[str, Any]]:
        while line := await stdout.readline():
            yield json.loads(line)
        raise RuntimeError(f"the measuring process ended with {await process.wait()}")

    try:
        yield lines()
        await asyncio.sleep(REST_SECONDS)
    finally:
        process.kill()
        await process.wait()


async def _committed(room: BenchRoom, group_id: str) -> Any:
    """The group's offset and metadata of the one partition."""
    admin = AIOKafkaAdminClient(bootstrap_servers=room.endpoints.kafka_bootstrap_servers)
    await admin.start()
    try:
        offsets = await admin.list_consumer_group_offsets(group_id)
    finally:
        await admin.close()
    return offsets[TopicPartition(room.topic(EventType.ORDER_APPROVED), 0)]


async def be_a_bridge(told: dict[str, Any]) -> None:
    """In a process of its own, until it is killed; says ten times a second how far it is."""
    topics = {topic: EventType(event_type) for topic, event_type in told["topics"].items()}
    async with join_bench_room(told["name"], topics, told["dead_letter_topic"]) as room:
        temporal, peak = _AllButOne(), 0
        config = replace(room.config(), group_id=told["group_id"], group=GROUP)
        async with running(room, config, temporal) as bridge:
            while True:
                await asyncio.sleep(0.1)
                peak, status = max(peak, resident_bytes()), bridge.status()
                seconds = temporal.last_at - temporal.first_at
                line = {
                    "others": temporal.others,
                    "rate": temporal.others / seconds if seconds else 0.0,
                    "waiting": max(0, status.records_held + status.records_deferred - 1),
                    "peak_bytes": peak,
                }
                sys.stdout.write(json.dumps(line) + "\n")
                sys.stdout.flush()


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    logging.basicConfig(level=logging.ERROR)
    asyncio.run(be_a_bridge(json.loads(sys.argv[1])))
