"""telemetry_cost and order_telemetry_cost: what is lost by metrics, and by traces of which nobody samples anything."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

from opentelemetry.sdk.trace import TracerProvider
from prometheus_client import CollectorRegistry

from benchmarks.bench_room import BenchRoom, open_bench_room
from benchmarks.bridge_calls import ORDERS_SIGNALLED, Event, Sides, bare, created, signals, starts, through_bridge
from benchmarks.order_driver import order_driver
from benchmarks.order_figures import OPEN, WARM_UP, Measured
from benchmarks.order_rig import free_port, order_servers
from benchmarks.ratios import Ratio, in_turns
from benchmarks.record_cost import NOT_SAMPLED
from benchmarks.report import Figure
from bridge import BridgeMetrics, BridgeTraces

METRICS_AT_LEAST, TRACES_AT_LEAST = 0.98, 0.95
RECORDS, RECORD_TURNS = 2_000, 12
ORDERS, ORDER_TURNS = 60, 8
"""Short turns and many of them: what is looked for is smaller than what one turn differs from the next by."""

Events = Callable[[], list[Event]]


async def run_bridge(*, quick: bool) -> list[Figure]:
    """Measures the bridge with metrics, and with traces, each against neither, in turns."""
    count, turns = (RECORDS // 10, 2) if quick else (RECORDS, RECORD_TURNS)
    figures = []
    async with open_bench_room(partitions=3) as room:
        signalled = [f"{room.name}-{number}" for number in range(ORDERS_SIGNALLED)]
        await bare(room, created(signalled), Sides(room))
        kinds: dict[str, Events] = {
            "start": partial(starts, room, count),
            "signal": partial(signals, signalled, count),
        }
        for kind, events in kinds.items():
            figures += [
                await _figure(f"bridge_{kind}_metrics", room, events, METRICS_AT_LEAST, turns, metrics=True),
                await _figure(f"bridge_{kind}_unsampled", room, events, TRACES_AT_LEAST, turns, metrics=False),
            ]
    return figures


async def _figure(name: str, room: BenchRoom, events: Events, at_least: float, turns: int, *, metrics: bool) -> Figure:
    """By calls: of turns this short, the last commit would be a part that takes steps of its interval."""
    sides, without = Sides(room), Sides(room)

    async def measured() -> float:
        counts = BridgeMetrics(CollectorRegistry(), "bench") if metrics else None
        traces = None if metrics else BridgeTraces(TracerProvider(shutdown_on_exit=False).get_tracer("bench"))
        turn = await through_bridge(room, events(), sides, metrics=counts, traces=traces, headers=NOT_SAMPLED)
        return turn.called_a_second

    async def baseline() -> float:
        return (await through_bridge(room, events(), without, headers=NOT_SAMPLED)).called_a_second

    ratio = await in_turns(measured, baseline, turns=turns)
    details = {
        "processor_ms_a_call": sides.bridge.ms_a_call(),
        "baseline_processor_ms_a_call": without.bridge.ms_a_call(),
    }
    return _of_ratio(name, ratio, at_least, details)


async def run_orders(*, quick: bool) -> list[Figure]:
    """The same of whole orders: both sides on the same servers, whose processes are started anew for each turn."""
    orders, turns = (ORDERS // 4, 1) if quick else (ORDERS, ORDER_TURNS)
    nowhere = {"TRACES_ENDPOINT": f"http://127.0.0.1:{free_port()}/v1/traces", "TRACES_SAMPLE_RATIO": "0"}
    figures = []
    async with order_servers() as rig, order_driver(rig.kafka) as driver:

        @asynccontextmanager
        async def running(*, metrics: bool, **settings: str) -> AsyncIterator[Measured]:
            async with AsyncExitStack() as resources:
                resources.callback(rig.stop)
                await rig.start_all(metrics=metrics, **settings)
                await driver.drive(WARM_UP, open_max=OPEN)
                yield Measured(rig, driver)

        def rate(*, metrics: bool, **settings: str) -> Callable[[], Awaitable[float]]:
            async def turn() -> float:
                async with running(metrics=metrics, **settings) as one:
                    return (await one.turn(orders, open_max=OPEN)).rate

            return turn

        ratio = await in_turns(rate(metrics=True), rate(metrics=False), turns=turns)
        figures.append(_of_ratio("order_rate_metrics", ratio, METRICS_AT_LEAST, {}))
        ratio = await in_turns(rate(metrics=False, **nowhere), rate(metrics=False), turns=turns)
        figures.append(_of_ratio("order_rate_unsampled", ratio, TRACES_AT_LEAST, {}))
    return figures


def _of_ratio(name: str, ratio: Ratio, at_least: float, details: Mapping[str, object]) -> Figure:
    told = {
        "per_second": round(ratio.measured, 2),
        "baseline_per_second": round(ratio.baseline, 2),
        "noise": round(ratio.noise, 3),
        "turns": [round(turn, 1) for turn in ratio.measured_turns],
        "baseline_turns": [round(turn, 1) for turn in ratio.baseline_turns],
        **details,
    }
    trust = ratio.is_trustworthy
    return Figure(name, ratio.value, "of the rate without", at_least=at_least, trustworthy=trust, details=told)
