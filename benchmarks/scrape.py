"""scrape: how long a turn of the bridge's loop takes while Prometheus reads the metrics of 1,000 partitions."""

import asyncio
from typing import Any

from prometheus_client import CollectorRegistry

from benchmarks.big_records import BEAT_SECONDS, Turns, beating
from benchmarks.report import Figure
from bridge import Bridge, BridgeConfig, BridgeMetrics, Call, Kafka, Record
from bridge.collector import spare_the_collector
from bridge.engine.offsets import Partition
from orders.telemetry.metrics_page import MetricsPage

PARTITIONS, HELD, SCRAPES, QUICK_SCRAPES = 1_000, 2_000, 50, 5
LONGEST_MS = 50.0
PAUSE_SECONDS = 0.1


class _Mapping:
    topics = ("measured",)

    def translate(self, record: Record) -> Call:
        return Call("Any", f"w-{record.partition}-{record.offset}", "any")


async def run(*, quick: bool) -> list[Figure]:
    """Measures the longest turn over many scrapes of a bridge that holds records of every partition."""
    registry = CollectorRegistry()
    metrics = BridgeMetrics(registry)
    bridge = _full_bridge(metrics)
    spare_the_collector()  # As a bridge does when it begins to run.

    async def refresh() -> None:
        metrics.update(bridge.status())

    page, turns = MetricsPage(registry, refresh=[refresh]), Turns()
    size = 0
    async with beating(turns):
        await asyncio.sleep(10 * BEAT_SECONDS)
        for _ in range(QUICK_SCRAPES if quick else SCRAPES):
            size = len(await page.read())
            await asyncio.sleep(PAUSE_SECONDS)
    details = {"partitions": PARTITIONS, "records_held": HELD, "page_bytes": size, "p99_ms": turns.late_ms(0.99)}
    return [
        Figure("scrape", turns.late_ms(1.0), "ms, the longest turn", at_most=LONGEST_MS, details=details),
        Figure("scrape_worked", turns.worked_ms, "ms of the processor, the longest turn", at_most=LONGEST_MS),
    ]


def _full_bridge(metrics: BridgeMetrics) -> Bridge:
    """A bridge that has its partitions and holds records, and is not connected to anything."""
    nothing: Any = None
    bridge = Bridge(BridgeConfig("g", "dead"), Kafka("nowhere:9"), nothing, _Mapping(), metrics=metrics)
    parts = bridge._parts = bridge._make_parts(nothing, nothing)  # noqa: SLF001 -- as `run` does once it is connected
    places = [Partition("measured", number) for number in range(PARTITIONS)]
    parts.tracker.assign(set(places))
    for number in range(HELD):
        place = places[number % PARTITIONS]
        parts.engine.take(place, [Record("measured", place.partition, number, 1_700_000_000_000, None, b"v")])
    parts.prober.ends = dict.fromkeys(places, 2 * HELD)
    return bridge
