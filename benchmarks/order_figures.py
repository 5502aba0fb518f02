"""order_rate, order_latency and order_cpu: whole orders through the whole system, against the same of an older commit.

Both have servers of their own, started as each of the two starts them, and run one after the other, in turns.
"""

import statistics
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from benchmarks.order_driver import Driven, order_driver
from benchmarks.order_rig import BASELINE, HERE, OrderRig, baseline, order_rig
from benchmarks.ratios import in_turns
from benchmarks.report import Figure
from orders.operations.bench.report import percentile

OPEN: Final = 40
"""Orders under way at any time: enough to keep two cores busy."""
ORDERS: Final = 120
ALONE, ALONE_OF_BASELINE = 80, 20
"""One after the other, in each turn; the baseline takes over a second for each."""
WARM_UP: Final = 40
TURNS: Final = 3


class Drives(Protocol):
    """A driver: it has orders done, by our system or by another one."""

    async def drive(self, orders: int, *, open_max: int) -> Driven:
        """Has so many orders done, of which so many are open at any time."""
        ...


@dataclass(slots=True)
class Measured:
    """A system under a driver, and what its turns have said."""

    rig: OrderRig
    driver: Drives
    driven: list[Driven] = field(default_factory=list)
    cpu_ms: list[dict[str, float]] = field(default_factory=list)
    """Of each turn: milliseconds of the processor an order, by process."""

    async def turn(self, orders: int, *, open_max: int) -> Driven:
        """Has so many orders done, and looks at what each process used meanwhile."""
        before = self.rig.cpu_seconds()
        driven = await self.driver.drive(orders, open_max=open_max)
        after = self.rig.cpu_seconds()
        self.driven.append(driven)
        self.cpu_ms.append({name: (after[name] - before[name]) * 1e3 / orders for name in after})
        return driven

    @property
    def cpu_by_process(self) -> dict[str, float]:
        """Milliseconds an order of each process: the median of its turns."""
        names = self.cpu_ms[0]
        return {name: round(statistics.median(turn[name] for turn in self.cpu_ms), 1) for name in names}

    @property
    def waits_ms(self) -> list[float]:
        """How long each order took, of all turns."""
        return [wait * 1e3 for driven in self.driven for wait in driven.waits]


@asynccontextmanager
async def measured(root: Path) -> AsyncIterator[Measured]:
    """The system of a checkout, warmed up."""
    async with order_rig(root) as rig, order_driver(rig.kafka) as driver:
        await driver.drive(WARM_UP, open_max=OPEN)
        yield Measured(rig, driver)


async def run_rate(*, quick: bool) -> list[Figure]:
    """Whole orders a second with 40 open."""
    orders = ORDERS // 4 if quick else ORDERS
    async with measured(HERE) as ours, measured(baseline()) as theirs:

        def rate_of(one: Measured) -> Callable[[], Awaitable[float]]:
            async def turn() -> float:
                return (await one.turn(orders, open_max=OPEN)).rate

            return turn

        ratio = await in_turns(rate_of(ours), rate_of(theirs), turns=1 if quick else TURNS)
    details = {
        "baseline": BASELINE,
        "orders_per_second": round(ratio.measured, 2),
        "baseline_orders_per_second": round(ratio.baseline, 2),
        "noise": round(ratio.noise, 3),
        "turns": [round(turn, 2) for turn in ratio.measured_turns],
        "baseline_turns": [round(turn, 2) for turn in ratio.baseline_turns],
        "cpu_ms_per_order": ours.cpu_by_process,
        "baseline_cpu_ms_per_order": theirs.cpu_by_process,
    }
    trust = ratio.is_trustworthy
    return [
        Figure("order_rate", ratio.value, "times the baseline's rate", at_least=2.5, trustworthy=trust, details=details)
    ]


async def run_cpu(*, quick: bool) -> list[Figure]:
    """What one order costs of the processor, over all processes, with 40 open."""
    orders = ORDERS // 4 if quick else ORDERS
    async with measured(HERE) as ours, measured(baseline()) as theirs:

        def cost_of(one: Measured) -> Callable[[], Awaitable[float]]:
            async def turn() -> float:
                await one.turn(orders, open_max=OPEN)
                return sum(one.cpu_ms[-1].values())

            return turn

        ratio = await in_turns(cost_of(ours), cost_of(theirs), turns=1 if quick else TURNS)
    details = {
        "baseline": BASELINE,
        "cpu_ms_per_order": {"all": round(ratio.measured, 1), **ours.cpu_by_process},
        "baseline_cpu_ms_per_order": {"all": round(ratio.baseline, 1), **theirs.cpu_by_process},
        "noise": round(ratio.noise, 3),
        "turns": [round(turn, 1) for turn in ratio.measured_turns],
        "baseline_turns": [round(turn, 1) for turn in ratio.baseline_turns],
    }
    trust = ratio.is_trustworthy
    return [Figure("order_cpu", ratio.value, "of the baseline's", at_most=0.45, trustworthy=trust, details=details)]


async def run_latency(*, quick: bool) -> list[Figure]:
    """How long one order alone takes, with nothing else to do."""
    fewer = 4 if quick else 1
    async with measured(HERE) as ours, measured(baseline()) as theirs:

        def wait_of(one: Measured, orders: int) -> Callable[[], Awaitable[float]]:
            async def turn() -> float:
                return statistics.median((await one.turn(orders, open_max=1)).waits)

            return turn

        ratio = await in_turns(
            wait_of(ours, ALONE // fewer), wait_of(theirs, ALONE_OF_BASELINE // fewer), turns=1 if quick else TURNS
        )
    mine, other = ours.waits_ms, theirs.waits_ms
    details = {
        "baseline": BASELINE,
        "p50_ms": round(percentile(mine, 0.5), 1),
        "p99_ms": round(percentile(mine, 0.99), 1),
        "baseline_p50_ms": round(percentile(other, 0.5), 1),
        "baseline_p99_ms": round(percentile(other, 0.99), 1),
        "orders": len(mine),
        "baseline_orders": len(other),
        "noise": round(ratio.noise, 3),
    }
    trust = ratio.is_trustworthy
    p50 = percentile(mine, 0.5) / percentile(other, 0.5)
    p99 = percentile(mine, 0.99) / percentile(other, 0.99)
    unit = "of the baseline's"
    return [
        Figure("order_latency_p50", p50, unit, at_most=0.10, trustworthy=trust, details=details),
        Figure("order_latency_p99", p99, unit, at_most=0.20, trustworthy=trust),
    ]
