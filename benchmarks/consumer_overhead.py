"""consumer_overhead: what lanes, offsets and commits cost beside reading and translating.

100,000 records, Zipf 1.0 over 10,000 keys, through the whole bridge with a Temporal client that returns at once,
against ``getmany(500)`` and the same mapping.
"""

import time

from aiokafka import TopicPartition

from benchmarks.bench_room import BenchRoom, CountingCaller, open_bench_room, running, until, zipf_keys
from benchmarks.ratios import in_turns
from benchmarks.report import Figure
from bridge import Record
from bridge.kafka.clients import make_consumer

RECORDS, KEYS, PARTITIONS, TURNS = 100_000, 10_000, 3, 11


async def run(*, quick: bool) -> list[Figure]:
    """Measures the bridge's rate against the bare loop's, in turns."""
    count = RECORDS // 10 if quick else RECORDS
    async with open_bench_room(partitions=PARTITIONS) as room:
        keys = zipf_keys(count, keys=KEYS, exponent=1.0)
        await room.produce(
            (
                room.created,
                f"o-{key}",
                {"order_id": f"o-{key}", "payment_id": f"p-{key}", "amount": 100, "currency": "EUR"},
            )
            for key in keys
        )
        ratio = await in_turns(lambda: bridge_rate(room, count), lambda: bare_rate(room, count), turns=TURNS)
    added_us = (1 / ratio.measured - 1 / ratio.baseline) * 1e6
    details = {
        "records_per_second": round(ratio.measured),
        "baseline_records_per_second": round(ratio.baseline),
        "noise": round(ratio.noise, 3),
        "turns": [round(turn) for turn in ratio.measured_turns],
        "baseline_turns": [round(turn) for turn in ratio.baseline_turns],
    }
    trust = ratio.is_trustworthy
    return [
        Figure(
            "consumer_overhead", ratio.value, "of the baseline's rate", at_least=0.5, trustworthy=trust, details=details
        ),
        Figure("consumer_overhead_added", added_us, "us a record", at_most=12, trustworthy=trust),
    ]


async def bridge_rate(room: BenchRoom, count: int) -> float:
    """Records a second through the bridge."""
    caller = CountingCaller(count)
    async with running(room, room.config(), caller):
        await until(caller.done)
    return count / caller.elapsed_seconds


async def bare_rate(room: BenchRoom, count: int) -> float:
    """Records a second by polling and translating alone."""
    mapping = room.mapping
    consumer = make_consumer(room.config(), room.kafka)
    await consumer.start()
    # Assigned, not subscribed: the bridge's client takes no beginning by itself where its group has none.
    partitions = [TopicPartition(topic, number) for topic in mapping.topics for number in range(PARTITIONS)]
    consumer.assign(partitions)
    await consumer.seek_to_beginning(*partitions)
    seen, first_at = 0, 0.0
    try:
        while seen < count:
            batches = await consumer.getmany(timeout_ms=200, max_records=500)
            if batches and not seen:
                first_at = time.perf_counter()
            for batch in batches.values():
                for consumed in batch:
                    mapping.translate(Record.from_consumed(consumed))
                seen += len(batch)
        return seen / (time.perf_counter() - first_at)
    finally:
        await consumer.stop()
