"""record_cost: what metrics, and traces that nobody samples, take of the processor for one record.

It needs no server and ends within seconds. `telemetry_cost` measures the same as a loss of rate, which a machine that
others use as well moves by tenths.
"""

import asyncio
import time
import timeit
from collections.abc import Callable
from typing import Final

from opentelemetry.sdk.trace import TracerProvider
from prometheus_client import CollectorRegistry

from benchmarks.report import Figure
from bridge import BridgeMetrics, BridgeTraces, Call, Record
from bridge.engine.attempts import Outcome

AT_MOST_US: Final = 5.0
"""A hundredth of what `bridge_signal` takes of the bridge's processor for a call: 470 us (26 November 2026)."""
RECORDS, REPEATS = 20_000, 9
NOT_SAMPLED: Final = (("traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"),)
"""Of every record: its sender traces, and has decided not to."""


async def run(*, quick: bool) -> list[Figure]:
    """Measures both. Each figure is the least of several times, as whatever else the machine does only adds to one."""
    records = RECORDS // 10 if quick else RECORDS
    return await asyncio.to_thread(_figures, records)


def _figures(records: int) -> list[Figure]:
    metrics = BridgeMetrics(CollectorRegistry(), "bench")
    metrics.begin(["t"], Outcome)
    traces = BridgeTraces(TracerProvider(shutdown_on_exit=False).get_tracer("bench"))
    call = Call("Any", "w", "any")
    record = Record("t", 0, 1, int(time.time() * 1000), b"k", b"v", NOT_SAMPLED)

    def measured() -> None:
        metrics.called("signal_with_start", Outcome.DELIVERED, 0.004)
        metrics.settled(record.topic, record.timestamp_ms, Outcome.DELIVERED, None)

    def unsampled() -> None:
        traces.begin(record, call)

    return [
        Figure(name, round(_seconds(what, records) * 1e6, 2), "us of the processor a record", at_most=AT_MOST_US)
        for name, what in (("record_metrics", measured), ("record_unsampled", unsampled))
    ]


def _seconds(what: Callable[[], None], records: int) -> float:
    return min(timeit.repeat(what, timer=time.process_time, number=records, repeat=REPEATS)) / records
