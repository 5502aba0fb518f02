"""``python -m tests.faults.soak``: campaigns with faults chosen at random, one after the other, for SOAK_MINUTES.

Each campaign has a seed of its own, made from SEED, for its input and its faults. The exit status says whether any
invariant was broken.
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
from functools import partial
from pathlib import Path

import stack
from activities.failpoints import BRIDGE_FAILPOINTS, Failpoint
from stack.endpoints import REQUIRED_VARIABLES
from tests.faults.outages import Outages, send_a_bad_record, send_orders_to_cancel
from tests.faults.rooms import WAITS_FOR_A_TIME_OUT, patient_system
from tests.helpers.campaign import (
    orders_from_environment,
    run_campaign,
    seed_from_environment,
    work_seconds,
)
from tests.helpers.system import TASK_QUEUES, OrderSystem

ORDERS = 40
FAULTS_EACH = 4
STRUCK_WITHIN_SECONDS = 60.0

NamedFault = tuple[str, Callable[[], Awaitable[None]]]


def say(text: str) -> None:
    """Prints a line at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


async def soak(minutes: float, seed: int) -> int:
    """Runs campaigns until the time is over; returns how many failed."""
    for name in REQUIRED_VARIABLES:
        os.environ.pop(name, None)
    os.environ["STACK_SOURCE"] = "native"
    injected: Counter[str] = Counter()
    failed = 0
    with tempfile.TemporaryDirectory(prefix="soak-") as name:
        folder = Path(name)
        servers = await asyncio.to_thread(stack.up, state_dir=folder / "stack", durable=True, progress=say)
        try:
            deadline = time.monotonic() + minutes * 60
            chance = random.Random(seed)  # noqa: S311 -- reproducible on purpose
            while time.monotonic() < deadline:
                failed += not await _campaign(servers, folder, chance.randrange(2**24), injected)
        finally:
            await asyncio.to_thread(servers.down)
    say(f"SEED={seed}: {failed} campaigns with violations")
    say(f"faults injected: {json.dumps(dict(sorted(injected.items())))}")
    return failed


async def _campaign(servers: stack.RunningStack, folder: Path, seed: int, injected: Counter[str]) -> bool:
    """One system, one plan, some faults; says what came of it."""
    logs = folder / f"{seed}"
    logs.mkdir(exist_ok=True)
    os.environ["SEED"] = str(seed)
    chance = random.Random(seed)  # noqa: S311 -- reproducible on purpose
    orders = orders_from_environment(ORDERS)
    try:
        async with patient_system(servers, logs) as outages:
            chosen = chance.choices(_faults(outages, chance), k=FAULTS_EACH)
            say(f"campaign SEED={seed}: {', '.join(name for name, _ in chosen)}")
            campaign = await run_campaign(
                outages.system,
                orders,
                faults=[fault for _, fault in chosen],
                without=WAITS_FOR_A_TIME_OUT,
                within_seconds=work_seconds(orders),
            )
            injected.update(name for name, _ in chosen)
            records, redelivered = _deliveries(outages.system)
            say(f"  {len(campaign.evidence.inputs)} records, {records} settled, {redelivered} of them again")
            campaign.assert_as_planned()
    except AssertionError as failure:
        say(f"  VIOLATED\n{failure}")
        return False
    say("  0 violations")
    return True


def _deliveries(system: OrderSystem) -> tuple[int, int]:
    """Settled records and how many were settled once more, by the bridges' logs."""
    lines = [line for process in system.processes if "bridge" in process.name for line in process.log.splitlines()]
    settled = [json.loads(line) for line in lines if "bridge.record.settled" in line]
    different = {(line["topic"], line["partition"], line["offset"]) for line in settled}
    return len(different), len(settled) - len(different)


def _faults(outages: Outages, chance: random.Random) -> list[NamedFault]:
    """Every fault there is, by name."""
    system = outages.system
    struck = [(f"bridge killed {point}", partial(_strike, outages, point)) for point in BRIDGE_FAILPOINTS]
    workers = [(f"worker of {queue} killed", partial(_kill_worker, system, queue)) for queue in TASK_QUEUES]
    servers = [
        (method.__name__.replace("_", " "), method)
        for method in (
            outages.kafka_restarted,
            outages.kafka_killed,
            outages.kafka_stopped,
            outages.kafka_connections_reset,
            outages.dead_letters_refused,
            outages.temporal_restarted,
            outages.temporal_killed,
            outages.temporal_stopped,
            outages.temporal_connections_reset,
        )
    ]
    bridges: list[NamedFault] = [
        ("bridge killed", partial(_kill_bridge, outages)),
        ("bridge joined and left", partial(_join_and_leave, outages)),
        ("replies lost", partial(outages.replies_lost, partial(send_orders_to_cancel, system))),
        ("temporal overloaded", partial(outages.temporal_overloaded, partial(send_orders_to_cancel, system, 20))),
    ]
    faults: list[NamedFault] = [*struck, *workers, *servers, *bridges]
    chance.shuffle(faults)
    return faults


async def _kill_bridge(outages: Outages) -> None:
    await outages.system.running("bridge").kill9()
    outages.start_bridge()
    await outages.system.wait_until_bridges_own_partitions()


async def _strike(outages: Outages, point: Failpoint) -> None:
    await outages.system.running("bridge").terminate()
    await send_a_bad_record(outages.system)
    bridge = outages.start_bridge(expect_end=True, FAILPOINTS=f"{point}:kill@1")
    # A point of records that are called for may have none left to be reached by.
    await send_orders_to_cancel(outages.system)
    await bridge.wait_until_ended(STRUCK_WITHIN_SECONDS)
    outages.start_bridge()
    await outages.system.wait_until_bridges_own_partitions()


async def _kill_worker(system: OrderSystem, task_queue: str) -> None:
    await system.running(task_queue).kill9()
    system.start_worker(task_queue)


async def _join_and_leave(outages: Outages) -> None:
    second = outages.start_bridge()
    await outages.system.wait_until_bridges_own_partitions(members=2)
    await second.terminate()
    await outages.system.wait_until_bridges_own_partitions()


def main() -> int:
    """0 where nothing was violated."""
    minutes = float(os.environ.get("SOAK_MINUTES") or 10)
    return 1 if asyncio.run(soak(minutes, seed_from_environment())) else 0


if __name__ == "__main__":
    sys.exit(main())
