"""scrape: how long a turn of the bridge's loop takes while Prometheus reads the metrics of thousands of partitions."""

import asyncio
from typing import Any

from prometheus_client import CollectorRegistry

from benchmarks.big_records import BEAT_SECONDS, Turns, beating
from benchmarks.report import Figure
from bridge import Bridge, BridgeConfig, BridgeMetrics, Call, Kafka, Record
from bridge.collector import spare_the_collector
from bridge.engine.offsets import Partition
from orders.telemetry.metrics_page import MetricsPage

PARTITIONS, MANY_PARTITIONS = 1_000, 5_000
HELD, SCRAPES, QUICK_SCRAPES = 2_000, 50, 5
LONGEST_MS = 50.0
PAUSE_SECONDS = 0.1


class _Mapping:
    topics = ("measured",)

    def translate(self, record: Record) -> Call:
        return Call("Any", f"w-{record.partition}-{record.offset}", "any")


async def run(*, quick: bool) -> list[Figure]:
    """Measures the longest turn over many scrapes of a bridge that holds records of every partition."""
    scrapes = QUICK_SCRAPES if quick else SCRAPES
    return [*await _measured("scrape", PARTITIONS, scrapes), *await _measured("scrape_many", MANY_PARTITIONS, scrapes)]


async def _measured(name: str, partitions: int, scrapes: int) -> list[Figure]:
    registry = CollectorRegistry()
    metrics = BridgeMetrics(registry)
    bridge = _full_bridge(metrics, partitions)
    spare_the_collector()  # As a bridge does when it begins to run.

    async def refresh() -> None:
        metrics.update(await bridge.status_in_turns())

    page, turns = MetricsPage(registry, refresh=[refresh]), Turns()
    size = 0
    async with beating(turns):
        await asyncio.sleep(10 * BEAT_SECONDS)
        for _ in range(scrapes):
            size = len(await page.read())
            await asyncio.sleep(PAUSE_SECONDS)
    details = {"partitions": partitions, "records_held": HELD, "page_bytes": size, "p99_ms": turns.late_ms(0.99)}
    return [
        Figure(name, turns.late_ms(1.0), "ms, the longest turn", at_most=LONGEST_MS, details=details),
        Figure(f"{name}_worked", turns.worked_ms, "ms of the processor, the longest turn", at_most=LONGEST_MS),
    ]


def _full_bridge(metrics: BridgeMetrics, partitions: int) -> Bridge:
    """A bridge that has its partitions and holds records, and is not connected to anything."""
    nothing: Any = None
    bridge = Bridge(BridgeConfig("g", "dead"), Kafka("nowhere:9"), nothing, _Mapping(), metrics=metrics)
    parts = bridge._parts = bridge._make_parts(nothing, nothing)  # noqa: SLF001 -- as `run` does once it is connected
    places = [Partition("measured", number) for number in range(partitions)]
    parts.tracker.assign(set(places))
    for number in range(HELD):
        place = places[number % partitions]
        parts.engine.take(place, [Record("measured", place.partition, number, 1_700_000_000_000, None, b"v")])
    parts.prober.ends = dict.fromkeys(places, 2 * HELD)
    return bridge
