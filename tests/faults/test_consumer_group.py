"""Bridges join and leave, outnumber the partitions, drain too slowly, and freeze: each record has one fate."""

import os
import random
import signal
from collections.abc import AsyncIterator
from functools import partial

import pytest

from stack import Endpoints
from tests.faults.members import Group, group_of
from tests.helpers.campaign import orders_from_environment, run_campaign, seed_from_environment, work_seconds
from tests.helpers.checker import assert_no_violations
from tests.helpers.generator import AMOUNT_MAX
from tests.helpers.proxy import Proxy
from tests.helpers.system import PARTITIONS, TASK_QUEUES, OrderSystem, order_system
from tests.helpers.waiting import assert_eventually

pytestmark = pytest.mark.timeout(1_800)

ORDERS = 60
REBALANCES = 50
"""``REBALANCES=500`` makes it the long form."""
MEMBERS_MAX = PARTITIONS + 2
"""Each topic has `PARTITIONS`, and the assignor is range: some members have nothing to do."""
SESSION_SECONDS = 6
WAITS_FOR_A_TIME_OUT = ("nobody approves", "orphan", "order after its orphan")


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
            within_seconds=work_seconds(orders),
        )
        assert group.rebalances > rebalances
    assert max(sizes) > PARTITIONS, "more members than partitions, at times"
    campaign.assert_as_planned()


async def test_a_drain_over_its_budget_and_a_frozen_member_lose_nothing_and_double_nothing(
    system: OrderSystem,
) -> None:
    """It loses its partitions with calls in flight; later it sleeps past its session, and wakes up knowing nothing."""
    async with Proxy(system.endpoints.temporal_host) as temporal:
        slow = system.start_bridge(
            TEMPORAL_HOST=temporal.address, BRIDGE_DRAIN_TIMEOUT_SECONDS="1", BRIDGE_RPC_TIMEOUT_SECONDS="20"
        )
        await system.wait_until_bridges_own_partitions()

        async def stall() -> None:
            temporal.stall()

        async def join_a_slow_one() -> None:
            # What was produced since the stall began is in flight now, and stays so.
            await assert_eventually(lambda: temporal.held_back, 30.0, "calls that hang")
            system.start_bridge()
            await system.wait_until_bridges_own_partitions(members=2)
            temporal.flow()
            await slow.wait_until_logged('"drained": false')

        async def freeze() -> None:
            slow.send(signal.SIGSTOP)
            await system.wait_until_bridges_own_partitions(members=1)

        async def thaw() -> None:
            slow.send(signal.SIGCONT)
            await system.wait_until_bridges_own_partitions(members=2)
            assert_no_violations(await system.evidence(), drained=False)

        campaign = await run_campaign(
            system,
            orders_from_environment(40),
            faults=[stall, join_a_slow_one, freeze, thaw],
            without=WAITS_FOR_A_TIME_OUT,
            within_seconds=work_seconds(orders_from_environment(40)),
        )
        for process in system.processes:
            if "bridge" in process.name:
                await process.terminate()
    campaign.assert_as_planned()
