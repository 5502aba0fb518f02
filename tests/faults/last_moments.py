"""``python -m tests.faults.last_moments``: no order that was approved in time expires, whatever is away (I17).

ORDERS=300 orders, a third of them approved in the last second before their deadlines and a third by nobody, while
FAULTS=12 kills and stops of bridge, worker, Kafka, Temporal and Postgres last 10 to 90 s each, and the bridge is killed
and started again every few seconds. SEED runs one again. The exit status says whether all ended as they had to.
"""

import asyncio
import os
import random
import sys
import tempfile
from pathlib import Path

import stack
from stack.endpoints import REQUIRED_VARIABLES
from tests.faults.drivers.last_moments import SETTINGS, LastMoments
from tests.helpers.system.campaign import orders_from_environment, seed_from_environment
from tests.helpers.system.system import order_system

ORDERS, FAULTS = 300, 12
AWAY_SECONDS = (10.0, 90.0)


def say(text: str) -> None:
    """Prints a line at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


async def last_moments(orders: int, faults: int, seed: int) -> list[str]:
    """What did not end as it had to."""
    for name in REQUIRED_VARIABLES:
        os.environ.pop(name, None)
    os.environ["STACK_SOURCE"] = "native"
    with tempfile.TemporaryDirectory(prefix="last-moments-") as name:
        folder = Path(name)
        servers = await asyncio.to_thread(stack.up, state_dir=folder / "stack", durable=True, progress=say)
        try:
            async with order_system(servers.endpoints, folder, start=False) as system:
                system.settings |= SETTINGS
                chance = random.Random(seed)  # noqa: S311 -- reproducible on purpose
                outcome = await LastMoments(system, servers, AWAY_SECONDS, chance, say).run(orders, faults)
        finally:
            await asyncio.to_thread(servers.down)
    say(
        f"{outcome.counts()}; the last expiry {outcome.expired_after_seconds():.0f} s after it was due and all was back"
    )
    return outcome.differences()


def main() -> int:
    """0 where all ended as they had to."""
    seed = seed_from_environment()
    say(f"SEED={seed}")
    faults = int(os.environ.get("FAULTS") or FAULTS)
    differences = asyncio.run(last_moments(orders_from_environment(ORDERS), faults, seed))
    say("\n".join(differences) or "all ended as they had to")
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
