"""The bridge is killed at each point where a crash could lose or double a record."""

import asyncio
import random
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest

from bridge.failpoints import Failpoint
from stack import Endpoints
from tests.faults.drivers.outages import send_a_bad_record, send_orders_to_cancel
from tests.faults.drivers.rooms import WAITS_FOR_A_TIME_OUT
from tests.helpers.checker.checker import assert_no_violations
from tests.helpers.messages.generator import AMOUNT_MAX
from tests.helpers.messages.kafka_io import remove_members
from tests.helpers.system.campaign import (
    orders_from_environment,
    rounds_from_environment,
    run_campaign,
    seed_from_environment,
    work_seconds,
)
from tests.helpers.system.processes import OrdersProcess
from tests.helpers.system.system import OrderSystem, order_system

pytestmark = pytest.mark.timeout(1_800)

ROUNDS = 5
"""How often the bridge is killed at each point; ``ROUNDS=50`` makes it the long form."""
ROOMS = 2
"""Systems side by side, which share the kills: one bridge starts while another one works."""
ORDERS_A_ROUND = 8
"""For each room, beside those of each kill."""
SIGKILLED = -9
STRUCK_WITHIN_SECONDS = 60.0
PER_RECORD = (Failpoint.BEFORE_CALL, Failpoint.AFTER_CALL)
ORDERS_A_KILL, HITS_MAX = 2, 4
"""Each kill has orders of its own, of two records each: so many calls are made in any case."""

Kill = tuple[Failpoint, int]
"""A point, and which time it is reached."""


async def test_kill_9_at_every_failpoint_loses_nothing_and_doubles_nothing(
    endpoints: Endpoints, tmp_path: Path
) -> None:
    seed, rounds = seed_from_environment(), rounds_from_environment(ROUNDS)
    kills = _schedule(seed, rounds)
    async with asyncio.TaskGroup() as rooms:
        for number in range(ROOMS):
            folder = tmp_path / f"room-{number}"
            folder.mkdir()
            rooms.create_task(_kill_and_check(endpoints, folder, kills[number::ROOMS], seed, rounds))


def _schedule(seed: int, rounds: int) -> list[Kill]:
    """The same for the same seed."""
    chance = random.Random(seed)  # noqa: S311 -- reproducible on purpose
    points = [*Failpoint] * rounds
    chance.shuffle(points)
    return [(point, chance.randint(1, HITS_MAX) if point in PER_RECORD else 1) for point in points]


async def _kill_and_check(endpoints: Endpoints, folder: Path, kills: Sequence[Kill], seed: int, rounds: int) -> None:
    """One system, whose bridges are killed one after the other while a plan goes through it."""
    async with order_system(
        endpoints,
        folder,
        BRIDGE_SESSION_TIMEOUT_SECONDS="30",
        BRIDGE_COMMIT_INTERVAL_SECONDS="0.2",
        ORDER_APPROVAL_TIMEOUT_SECONDS="900",
        ORDER_EARLY_EVENT_TTL_SECONDS="900",
        ORDER_SHIPPING_RETRY_DELAY_SECONDS="0.5",
        ORDER_AMOUNT_MAX=str(AMOUNT_MAX),
    ) as system:
        struck: list[OrdersProcess] = []

        async def stop() -> None:
            await system.running("bridge").terminate()

        async def strike(kill: Kill) -> None:
            struck.append(await _strike(system, kill))

        async def resume() -> None:
            system.start_bridge()
            assert_no_violations(await system.evidence(), drained=False)

        orders = orders_from_environment(ORDERS_A_ROUND * rounds)
        campaign = await run_campaign(
            system,
            orders,
            faults=[stop, *(partial(strike, kill) for kill in kills), resume],
            without=WAITS_FOR_A_TIME_OUT,
            still_seconds=work_seconds(orders),
            seed=seed,
        )
        assert [bridge.exit_status for bridge in struck] == [SIGKILLED] * len(kills)
        campaign.assert_as_planned()


async def _strike(system: OrderSystem, kill: Kill) -> OrdersProcess:
    """Starts a bridge that is killed at this point, with something at hand that leads it there."""
    point, hit = kill
    await send_a_bad_record(system)
    await send_orders_to_cancel(system, ORDERS_A_KILL)
    bridge = system.start_bridge(FAILPOINTS=f"{point}:kill@{hit}", expect_end=True)
    # What the bridge before it left behind is looked at while this one starts.
    assert_no_violations(await system.evidence(), drained=False)
    await bridge.wait_until_ended(STRUCK_WITHIN_SECONDS)
    await remove_members(system.endpoints.kafka_bootstrap_servers, system.group_id)
    return bridge
