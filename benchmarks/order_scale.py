"""scale: two order workers against one, where the workers are what holds back.

On a machine whose few cores the servers share, two workers are never what is missing. So each order worker is made
slower: it is stopped for four fifths of the time, in slices of some milliseconds, by signals. Then the servers have the
machine to themselves, as they have on a cluster, and the figure says whether twice the workers do twice the work. What
two workers bring on this machine as it is, stands beside it.
"""

import asyncio
import contextlib
import signal
import statistics
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import psutil

from benchmarks.order_driver import order_driver
from benchmarks.order_figures import OPEN, WARM_UP, Measured
from benchmarks.order_rig import HERE, order_servers
from benchmarks.report import Figure

ORDERS, TURNS = 120, 3
RUNS_SECONDS, STOPS_SECONDS = 0.01, 0.04
"""A fifth of a core for each order worker."""
_WORKERS: Final = ("order worker", "order worker 2")


async def run(*, quick: bool) -> list[Figure]:
    """One and two order workers, each slowed down; then each as it is."""
    orders, turns = (ORDERS // 4, 1) if quick else (ORDERS, TURNS)
    async with order_servers(HERE) as rig, order_driver(rig.kafka) as driver:
        await asyncio.gather(
            rig.start("bridge", "bridge"),
            rig.start("shipping worker", "worker", "--queue", "shipping-tq"),
            rig.start(_WORKERS[0], "worker", "--queue", "order-tq"),
        )
        one = Measured(rig, driver)
        await driver.drive(WARM_UP, open_max=OPEN)
        alone = await _figures(one, orders, turns)
        await rig.start(_WORKERS[1], "worker", "--queue", "order-tq")
        two = Measured(rig, driver)
        await driver.drive(WARM_UP, open_max=OPEN)
        both = await _figures(two, orders, turns)
    details = {"one": alone, "two": both}
    slowed = both["slowed"]["orders_per_second"] / alone["slowed"]["orders_per_second"]
    as_they_are = both["as_they_are"]["orders_per_second"] / alone["as_they_are"]["orders_per_second"]
    unit = "times the rate of one worker"
    return [
        Figure("scale", slowed, f"{unit}, each held to a fifth of a core", at_least=1.7, details=details),
        Figure("scale_on_this_machine", as_they_are, f"{unit}, the servers on the same cores", at_least=0.9),
    ]


async def _figures(measured: Measured, orders: int, turns: int) -> dict[str, Any]:
    workers = [measured.rig.processes[name] for name in _WORKERS if name in measured.rig.processes]
    as_they_are = await _turns(measured, orders, turns)
    async with held_back(workers):
        slowed = await _turns(measured, orders, turns)
    return {"as_they_are": as_they_are, "slowed": slowed}


async def _turns(measured: Measured, orders: int, turns: int) -> dict[str, Any]:
    rates, cores = [], []
    for _ in range(turns):
        driven = await measured.turn(orders, open_max=OPEN)
        rates.append(driven.rate)
        cores.append({name: ms * driven.rate / 1e3 for name, ms in measured.cpu_ms[-1].items()})
    return {
        "orders_per_second": round(statistics.median(rates), 2),
        "cores_used": {name: round(statistics.median(turn[name] for turn in cores), 2) for name in cores[0]},
    }


@asynccontextmanager
async def held_back(processes: Sequence[psutil.Popen]) -> AsyncIterator[None]:
    """Lets the processes run for a slice of the time only; afterwards they run as ever."""
    slicing = asyncio.create_task(_slice(processes), name="held back")
    try:
        yield
    finally:
        slicing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await slicing
        for process in processes:
            process.send_signal(signal.SIGCONT)


async def _slice(processes: Sequence[psutil.Popen]) -> None:
    while True:
        for process in processes:
            process.send_signal(signal.SIGCONT)
        await asyncio.sleep(RUNS_SECONDS)
        for process in processes:
            process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(STOPS_SECONDS)
