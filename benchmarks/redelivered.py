"""redelivered: what a kill -9 delivers again while one order is stuck and others are settled beyond it.

The bridge is a process of its own, on real Kafka and Temporal, with one partition. Its first call is held up by the
failpoint ``before_call:pause``; once all others are settled it is killed, and another one takes over.

It is killed at rest, two commit intervals after the last of them was settled. In the midst of traffic, what was settled
since the last commit is delivered again as well: at most a commit interval's work, whether anything is stuck or not.
"""

import asyncio
import json
import logging
import signal
import sys
import tempfile
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import structlog
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from benchmarks.bench_room import BenchRoom, open_bench_room
from benchmarks.report import Figure
from bridge import SINGLE_ATTEMPT, Bridge, BridgeConfig, GroupTimings, Kafka
from orders.failpoints import Failpoints
from orders.mapping import OrderMapping
from schemas.event_types import EventType

RECORDS, QUICK_RECORDS = 5_000, 500
DEADLINE_SECONDS = 300.0
HELD_UP = "before_call:pause=3600@1"
"""The failpoint that holds up the first record's call until its process is killed."""
REST_SECONDS = 2 * BridgeConfig("", "").commit_interval.total_seconds()
SESSION, HEARTBEAT = timedelta(seconds=6), timedelta(seconds=1)
"""The next bridge waits for the end of the killed one's session."""


async def run(*, quick: bool) -> list[Figure]:
    """Kills one bridge, lets another one finish, and counts what it was given again."""
    beyond = QUICK_RECORDS if quick else RECORDS

    async def others_are_settled(settled: set[int]) -> bool:
        if len(settled) < beyond:
            return False
        await asyncio.sleep(REST_SECONDS)
        return True

    async with open_bench_room(partitions=1) as room:

        async def everything_is_committed(_settled: set[int]) -> bool:
            return await _committed(room) == beyond + 1

        await room.produce(
            (room.created, f"{room.name}-{number}", {"order_id": f"{room.name}-{number}", "payment_id": "p"})
            for number in range(beyond + 1)
        )
        with tempfile.TemporaryDirectory() as folder:
            first = await _offsets_settled(room, Path(folder) / "first", HELD_UP, others_are_settled)
            second = await _offsets_settled(room, Path(folder) / "second", "", everything_is_committed)
    in_flight = beyond + 1 - len(set(first))
    again = len(second)
    details = {
        "settled_before_the_kill": len(set(first)),
        "in_flight_at_the_kill": in_flight,
        "delivered_to_the_next_bridge": again,
        "settled_twice": len(set(first) & set(second)),
    }
    return [Figure("redelivered", again / in_flight, "of what was in flight", at_most=1.1, details=details)]


async def _offsets_settled(
    room: BenchRoom, log: Path, failpoints: str, is_enough: Callable[[set[int]], Awaitable[bool]]
) -> list[int]:
    """Runs a bridge until its log says enough, then kills it; returns the offsets that it settled."""
    told = {
        "servers": room.endpoints.kafka_bootstrap_servers,
        "temporal": room.endpoints.temporal_host,
        "name": room.name,
        "topics": room.topics,
        "dead_letter_topic": room.dead_letter_topic,
        "failpoints": failpoints,
    }
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "benchmarks.redelivered", json.dumps(told), stdout=output
        )
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            while not await is_enough(set(_offsets(log))):  # noqa: ASYNC110 -- another process writes it
                await asyncio.sleep(0.5)
    finally:
        process.send_signal(signal.SIGKILL)
        await process.wait()
    return _offsets(log)


def _offsets(log: Path) -> list[int]:
    # The last line may be half written.
    whole = [line for line in log.read_text(encoding="utf-8").splitlines(keepends=True) if line.endswith("\n")]
    return [json.loads(line)["offset"] for line in whole if '"bridge.record.settled"' in line]


def _group(name: str) -> str:
    return f"{name}-redelivered"


async def _committed(room: BenchRoom) -> int | None:
    """The group's offset of the one partition; None while it has none."""
    admin = AIOKafkaAdminClient(bootstrap_servers=room.endpoints.kafka_bootstrap_servers)
    await admin.start()
    try:
        offsets = await admin.list_consumer_group_offsets(_group(room.name))
    finally:
        await admin.close()
    found = offsets.get(TopicPartition(room.created, 0))
    return None if found is None else int(found.offset)


async def _be_a_bridge(told: dict[str, object]) -> None:
    """In a process of its own, until it is killed."""
    topics = {topic: EventType(event_type) for topic, event_type in dict(told["topics"]).items()}  # type: ignore[call-overload]
    config = BridgeConfig(
        logs_settled=True,
        group_id=_group(str(told["name"])),
        dead_letter_topic=str(told["dead_letter_topic"]),
        group=GroupTimings(session_timeout=SESSION, heartbeat_interval=HEARTBEAT),
        failpoints=Failpoints.parse(str(told["failpoints"]), production=False),
    )
    client = await Client.connect(
        str(told["temporal"]), data_converter=pydantic_data_converter, retry_config=SINGLE_ATTEMPT
    )
    mapping = OrderMapping(topics, task_queue=f"{told['name']}-tq")
    await Bridge(config, Kafka(str(told["servers"])), client, mapping).run()


if __name__ == "__main__":
    structlog.configure(
        processors=[structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(),
    )
    asyncio.run(_be_a_bridge(json.loads(sys.argv[1])))
