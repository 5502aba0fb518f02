"""``python -m tests.faults.soak``: campaigns with faults chosen at random, one after the other, for SOAK_MINUTES.

Each campaign has a seed of its own for its input and its faults: the first one SEED itself, the others made from it. So
the seed that was printed for a campaign runs it again, before others. The exit status says whether any invariant was
broken. FAULTS=postgres,providers takes only faults whose names hold one of these words.
"""

import asyncio
import json
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import stack
from bridge.failpoints import Failpoint
from stack.endpoints import REQUIRED_VARIABLES
from tests.faults.drivers import bridge_faults, deadlines, large_records, one_order
from tests.faults.drivers.ends_of_runs import repeat_everything_after_the_runs_are_forgotten, tell_orders_as_they_end
from tests.faults.drivers.outages import Outages, send_orders_to_cancel
from tests.faults.drivers.rooms import NEEDS_ITS_PARTITION, WAITS_FOR_A_TIME_OUT, patient_system
from tests.helpers.system.campaign import (
    orders_from_environment,
    run_campaign,
    seed_from_environment,
    work_seconds,
)
from tests.helpers.system.processes import UnexpectedEndError
from tests.helpers.system.system import OrderSystem

ORDERS = 40
FAULTS_EACH = 4

NamedFault = tuple[str, Callable[[], Awaitable[object]]]


@dataclass(slots=True)
class Totals:
    """What all campaigns have seen together."""

    injected: Counter[str] = field(default_factory=Counter)
    """Faults by kind."""
    campaigns: int = 0
    violated: list[int] = field(default_factory=list)
    """The seeds of the campaigns in which something was broken."""
    records: int = 0
    settled: int = 0
    redelivered: int = 0
    published: int = 0
    repeated: int = 0

    def say(self, seed: int) -> None:
        """Prints them."""
        say(f"SEED={seed}: {self.campaigns} campaigns, {len(self.violated)} of them violated {self.violated or ''}")
        say(f"{self.records} records, {self.settled} settled by a bridge, {self.redelivered} of them again")
        say(
            f"{self.published} events published, {self.repeated} of them again: "
            f"{1000 * self.repeated / max(self.published, 1):.1f} repeats per 1,000 events"
        )
        say(f"{self.injected.total()} faults injected: {json.dumps(dict(sorted(self.injected.items())))}")


def say(text: str) -> None:
    """Prints a line at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


async def soak(minutes: float, seed: int) -> Totals:
    """Runs campaigns until the time is over."""
    for name in REQUIRED_VARIABLES:
        os.environ.pop(name, None)
    os.environ["STACK_SOURCE"] = "native"
    totals = Totals()
    with tempfile.TemporaryDirectory(prefix="soak-") as name:
        folder = Path(name)
        servers = await asyncio.to_thread(stack.up, state_dir=folder / "stack", durable=True, progress=say)
        try:
            deadline = time.monotonic() + minutes * 60
            chance = random.Random(seed)  # noqa: S311 -- reproducible on purpose
            campaign_seed = seed
            while time.monotonic() < deadline:
                await _campaign(servers, folder, campaign_seed, totals)
                campaign_seed = chance.randrange(2**24)
        finally:
            await asyncio.to_thread(servers.down)
    totals.say(seed)
    return totals


async def _campaign(servers: stack.RunningStack, folder: Path, seed: int, totals: Totals) -> None:
    """One system, one plan, some faults; says what came of it."""
    logs = folder / f"{seed}"
    logs.mkdir(exist_ok=True)
    chance = random.Random(seed)  # noqa: S311 -- reproducible on purpose
    totals.campaigns += 1
    try:
        async with patient_system(servers, logs) as outages:
            await _put_through(outages, chance, seed, totals)
    except (AssertionError, UnexpectedEndError) as failure:
        totals.violated.append(seed)
        say(f"  VIOLATED\n{failure}")


async def _put_through(outages: Outages, chance: random.Random, seed: int, totals: Totals) -> None:
    faults = _faults(outages)
    chosen = chance.sample(faults, k=min(FAULTS_EACH, len(faults)))
    name_of_last, last = chance.choice(_last_faults(outages.system))
    say(f"campaign SEED={seed}: {', '.join([*(name for name, _ in chosen), name_of_last])}")
    grown = any(fault == outages.partitions_added for _, fault in chosen)
    orders = orders_from_environment(ORDERS)
    campaign = await run_campaign(
        outages.system,
        orders,
        faults=[partial(_inject, name, fault, totals) for name, fault in chosen],
        without=(*WAITS_FOR_A_TIME_OUT, *(NEEDS_ITS_PARTITION if grown else ())),
        still_seconds=work_seconds(orders),
        seed=seed,
    )
    campaign.assert_as_planned()
    await _inject(name_of_last, last, totals)
    records = sum(partition.end for partition in await outages.system.offsets())
    settled, redelivered = _deliveries(outages.system)
    totals.records += records
    totals.settled += settled
    totals.redelivered += redelivered
    published, repeated = (await outages.system.evidence()).repeats()
    totals.published += published
    totals.repeated += repeated
    say(f"  {records} records, {settled} settled by a bridge, {redelivered} of them again; 0 violations")


async def _inject(name: str, fault: Callable[[], Awaitable[object]], totals: Totals) -> None:
    began = time.monotonic()
    await fault()
    totals.injected[name] += 1
    say(f"  {name}: over after {time.monotonic() - began:.0f} s")


def _deliveries(system: OrderSystem) -> tuple[int, int]:
    """Settled records and how many were settled once more, by the bridges' logs."""
    lines = [line for process in system.processes if "bridge" in process.name for line in process.log.splitlines()]
    settled = [json.loads(line) for line in lines if "bridge.record.settled" in line]
    different = {(line["topic"], line["partition"], line["offset"]) for line in settled}
    return len(different), len(settled) - len(different)


def _faults(outages: Outages) -> list[NamedFault]:
    """Every fault there is, by name."""
    system = outages.system
    struck = [(f"bridge killed {point}", partial(bridge_faults.struck, outages, point)) for point in Failpoint]
    bridges = [
        (f"bridge {fault.__name__.replace('_', ' ')}", partial(fault, outages))
        for fault in (
            bridge_faults.killed,
            bridge_faults.told_to_stop,
            bridge_faults.told_to_stop_while_temporal_hangs,
            bridge_faults.told_twice,
            bridge_faults.frozen,
            bridge_faults.joined_and_left,
            bridge_faults.outnumbering,
            bridge_faults.drained_too_slowly,
        )
    ]
    servers = [
        (method.__name__.replace("_", " "), method)
        for method in (
            outages.kafka_restarted,
            outages.kafka_killed,
            outages.kafka_stopped,
            outages.kafka_connections_reset,
            outages.partitions_added,
            outages.dead_letters_refused,
            outages.temporal_restarted,
            outages.temporal_killed,
            outages.temporal_stopped,
            outages.temporal_connections_reset,
        )
    ]
    overload = partial(outages.temporal_overloaded, partial(send_orders_to_cancel, system, 20))
    calls: list[NamedFault] = [
        ("replies lost", partial(outages.replies_lost, partial(send_orders_to_cancel, system))),
        ("temporal overloaded", overload),
    ]
    chosen = os.environ.get("FAULTS", "").split(",")
    kinds = {**one_order.FAULTS, **deadlines.FAULTS, **large_records.FAULTS}
    named: list[NamedFault] = [
        *struck,
        *bridges,
        *servers,
        *calls,
        *((name, partial(fault, outages)) for name, fault in kinds.items()),
        *outages.work.faults().items(),
        *outages.postgres.faults().items(),
    ]
    return [(name, fault) for name, fault in named if any(part in name for part in chosen)]


def _last_faults(system: OrderSystem) -> list[NamedFault]:
    """What needs orders that are at their end, or leaves more of them than were planned."""
    return [
        ("runs told as they end", partial(tell_orders_as_they_end, system)),
        ("finished runs forgotten", partial(repeat_everything_after_the_runs_are_forgotten, system)),
    ]


def main() -> int:
    """0 where nothing was violated."""
    minutes = float(os.environ.get("SOAK_MINUTES") or 10)
    return 1 if asyncio.run(soak(minutes, seed_from_environment())).violated else 0


if __name__ == "__main__":
    sys.exit(main())
