"""``python -m benchmarks.profiles``: what each process spends the processor on while orders go through, as a page.

Processes of ours are sampled by py-spy, Temporal and Postgres by perf where the machine has it, and all of them are
told by thread. Sampling costs a few percent, so the milliseconds are a little high; the shares are what it is for. It
starts servers of its own; the machine should do nothing else.
"""

import argparse
import asyncio
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import psutil

from benchmarks.order_driver import Driven, order_driver
from benchmarks.order_figures import OPEN, ORDERS, WARM_UP
from benchmarks.order_rig import OrderRig, order_rig
from benchmarks.profiles.samplers import (
    perf,
    sampled_program,
    sampled_python,
    stacks_of_program,
    stacks_of_python,
    threads_of,
)
from benchmarks.profiles.stacks import (
    TEMPORAL_GROUPS,
    Samples,
    call_of_temporal,
    function_of_ours,
    group_of_go,
    package_of,
    table,
)

MOST: Final = 12
"""Rows of a table."""


async def profile(orders: int, open_max: int) -> list[str]:
    """The page's lines."""
    with tempfile.TemporaryDirectory(prefix="orders-profile-") as name:
        folder = Path(name)
        async with order_rig() as rig, order_driver(rig.kafka) as driver:
            await driver.drive(WARM_UP, open_max=OPEN)
            processes = rig.by_name()
            threads = {one: threads_of(process) for one, process in processes.items()}
            before = rig.cpu_seconds()
            with ExitStack() as samplers:
                for one, process in processes.items():
                    sampled = sampled_python if one in rig.processes else sampled_program
                    samplers.enter_context(sampled(process, folder / one))
                driven = await driver.drive(orders, open_max=open_max)
                after = rig.cpu_seconds()
                used = {one: threads_of(process) - threads[one] for one, process in processes.items()}
            milliseconds = {one: (after[one] - before[one]) * 1e3 / orders for one in after}
            return [
                *_head(driven, open_max, milliseconds),
                *(line for one in sorted(milliseconds, key=lambda one: -milliseconds[one])
                  for line in _section(one, milliseconds[one], used[one], _stacks(rig, one, folder)))
            ]  # fmt: skip


def _head(driven: Driven, open_max: int, milliseconds: dict[str, float]) -> list[str]:
    orders, load = len(driven.waits), psutil.getloadavg()[0]
    lines = [
        f"{orders} orders, {open_max} open, {driven.rate:.1f} a second, load at the end {load:.1f}.",
        "",
        "| process | ms of the processor an order |",
        "|---|---|",
        f"| all | {sum(milliseconds.values()):.1f} |",
        *(f"| {name} | {each:.1f} |" for name, each in sorted(milliseconds.items(), key=lambda one: -one[1])),
        "",
    ]
    return lines if perf() else [*lines, "This machine has no perf: Temporal and Postgres by thread alone.", ""]


def _stacks(rig: OrderRig, name: str, folder: Path) -> Samples | None:
    return stacks_of_python(folder / name) if name in rig.processes else stacks_of_program(folder / name)


def _section(name: str, milliseconds: float, threads: Counter[str], stacks: Samples | None) -> Iterator[str]:
    yield from (f"## {name}: {milliseconds:.1f} ms an order", "")
    total = sum(threads.values()) or 1.0
    if len(threads) > 1:
        yield from table("thread", [(one, used / total) for one, used in threads.most_common()], most=MOST)
    if stacks is None:
        return
    if name == "temporal":
        groups = group_of_go(TEMPORAL_GROUPS)
        yield from table("what it does", stacks.by_itself(groups), most=2 * MOST)
        yield from table("for which call, with what that calls", stacks.with_what_it_calls(call_of_temporal), most=MOST)
    elif name == "postgres":
        yield from table("function", stacks.by_itself(lambda frame: frame), most=MOST)
    elif name != "kafka":  # Java's functions have no names that perf knows.
        yield from table("Python, by package", stacks.by_itself(package_of), most=MOST)
        yield from table("by package, with what it calls", stacks.with_what_it_calls(package_of), most=MOST)
        yield from table("function of ours, with what it calls", stacks.with_what_it_calls(function_of_ours), most=MOST)


def main() -> int:
    """Prints the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.profiles", description=__doc__)
    parser.add_argument("--orders", type=int, default=2 * ORDERS, help=f"how many; {2 * ORDERS} unless given")
    parser.add_argument("--open", type=int, default=OPEN, help=f"how many at a time; {OPEN} unless given, 1 for alone")
    arguments = parser.parse_args()
    sys.stdout.write("\n".join(asyncio.run(profile(arguments.orders, arguments.open))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
