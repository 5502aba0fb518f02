"""Bridges join and leave, outnumber the partitions, are stopped, drain too slowly, freeze: each record has one fate."""

import os
import random
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest

from stack import Endpoints, RunningStack
from tests.faults.drivers import bridge_faults
from tests.faults.drivers.members import Group, group_of
from tests.faults.drivers.rooms import WAITS_FOR_A_TIME_OUT, patient_system
from tests.helpers.messages.generator import AMOUNT_MAX
from tests.helpers.system.campaign import (
    orders_from_environment,
    run_campaign,
    seed_from_environment,
    work_seconds,
)
from tests.helpers.system.system import PARTITIONS, TASK_QUEUES, OrderSystem, order_system

pytestmark = pytest.mark.timeout(1_800)

ORDERS, ORDERS_OF_ONE_BRIDGE = 60, 30
REBALANCES = 50
"""``REBALANCES=500`` makes it the long form."""
MEMBERS_MAX = PARTITIONS + 2
"""Each topic has `PARTITIONS`, and the assignor is range: some members have nothing to do."""
SESSION_SECONDS = 6


@pytest.fixture(scope="module")
async def system(endpoints: Endpoints, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[OrderSystem]:
    """Two workers, and no bridge yet; each test ends its own."""
    async with order_system(
        endpoints,
        tmp_path_factory.mktemp("group"),
        start=False,
        BRIDGE_SESSION_TIMEOUT_SECONDS=str(SESSION_SECONDS),
        BRIDGE_HEARTBEAT_INTERVAL_SECONDS="0.2",
        BRIDGE_COMMIT_INTERVAL_SECONDS="0.2",
        BRIDGE_RPC_TIMEOUT_SECONDS="3",
        ORDER_APPROVAL_TIMEOUT_SECONDS="900",
        ORDER_EARLY_EVENT_TTL_SECONDS="900",
        ORDER_SHIPPING_RETRY_DELAY_SECONDS="0.5",
        ORDER_AMOUNT_MAX=str(AMOUNT_MAX),
    ) as prepared:
        for task_queue in TASK_QUEUES:
            prepared.start_worker(task_queue)
        yield prepared


async def test_members_that_join_and_leave_under_load_lose_nothing_and_double_nothing(
    system: OrderSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    seed = seed_from_environment()
    monkeypatch.setenv("SEED", str(seed))  # The one seed is for the plan and for who comes and goes.
    chance = random.Random(seed)  # noqa: S311 -- reproducible on purpose
    rebalances = int(os.environ.get("REBALANCES") or REBALANCES)
    sizes: set[int] = set()

    async def change(group: Group) -> None:
        growing = len(group.members) < MEMBERS_MAX and (len(group.members) < 2 or chance.random() < 0.6)
        if growing:
            await group.join()
        else:
            await group.leave(chance.choice(group.members))
        sizes.add(len(group.members))

    orders = orders_from_environment(ORDERS)
    async with group_of(system) as group:
        await group.join()
        campaign = await run_campaign(
            system,
            orders,
            faults=[partial(change, group)] * rebalances,
            without=WAITS_FOR_A_TIME_OUT,
            still_seconds=work_seconds(orders),
        )
        assert group.rebalances > rebalances
    assert max(sizes) > PARTITIONS, "more members than partitions, at times"
    campaign.assert_as_planned()


async def test_a_bridge_told_to_stop_slow_to_drain_or_frozen_loses_nothing_and_doubles_nothing(
    own_servers_only: RunningStack, tmp_path: Path
) -> None:
    """I1, I2, I13."""
    async with patient_system(own_servers_only, tmp_path) as outages:
        faults = (
            bridge_faults.told_to_stop,
            bridge_faults.told_to_stop_while_temporal_hangs,
            bridge_faults.told_twice,
            bridge_faults.drained_too_slowly,
            bridge_faults.frozen,
        )
        orders = orders_from_environment(ORDERS_OF_ONE_BRIDGE)
        campaign = await run_campaign(
            outages.system,
            orders,
            faults=[partial(fault, outages) for fault in faults],
            without=WAITS_FOR_A_TIME_OUT,
            still_seconds=work_seconds(orders),
        )
        campaign.assert_as_planned()
