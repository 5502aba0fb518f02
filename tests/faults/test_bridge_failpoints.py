"""The bridge is killed at each point where a crash could lose or double a record."""

import random
from collections.abc import AsyncIterator
from functools import partial

import pytest

from activities.failpoints import BRIDGE_FAILPOINTS, Failpoint
from schemas.states import EventType
from stack import Endpoints
from tests.helpers.campaign import orders_from_environment, rounds_from_environment, run_campaign, work_seconds
from tests.helpers.checker import assert_no_violations
from tests.helpers.generator import AMOUNT_MAX
from tests.helpers.kafka_io import Outgoing
from tests.helpers.messages import MALFORMATIONS
from tests.helpers.processes import OrdersProcess
from tests.helpers.system import OrderSystem, order_system

pytestmark = pytest.mark.timeout(1_800)

ORDERS = 40
"""For one round; ``ROUNDS=5`` kills the bridge five times at each point, and sends five times as many orders."""
SIGKILLED = -9
STRUCK_WITHIN_SECONDS = 60.0
PER_RECORD = (Failpoint.BEFORE_CALL, Failpoint.AFTER_CALL)
HITS_MAX = 4
"""Which time a point of these is reached at most: early enough that the records at hand suffice."""
WAITS_FOR_A_TIME_OUT = ("nobody approves", "orphan", "order after its orphan")
"""Scenarios that are left out: time-outs are long here, so that no outage is mistaken for one."""


@pytest.fixture(scope="module")
async def system(endpoints: Endpoints, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[OrderSystem]:
    """A system whose bridge Kafka gives up soon: each kill costs one session."""
    async with order_system(
        endpoints,
        tmp_path_factory.mktemp("failpoints"),
        BRIDGE_SESSION_TIMEOUT_SECONDS="6",
        BRIDGE_HEARTBEAT_INTERVAL_SECONDS="1",
        BRIDGE_COMMIT_INTERVAL_SECONDS="0.2",
        ORDER_APPROVAL_TIMEOUT_SECONDS="900",
        ORDER_EARLY_EVENT_TTL_SECONDS="900",
        ORDER_SHIPPING_RETRY_DELAY_SECONDS="0.5",
        ORDER_AMOUNT_MAX=str(AMOUNT_MAX),
    ) as running:
        yield running


async def test_kill_9_at_every_failpoint_loses_nothing_and_doubles_nothing(system: OrderSystem) -> None:
    rounds = rounds_from_environment(1)
    points = [*BRIDGE_FAILPOINTS] * rounds
    random.shuffle(points)
    struck: list[OrdersProcess] = []

    async def strike(point: Failpoint) -> None:
        await _send_a_bad_record(system)
        hit = random.randint(1, HITS_MAX) if point in PER_RECORD else 1  # noqa: S311 -- guards nothing
        bridge = system.start_bridge(FAILPOINTS=f"{point}:kill@{hit}", expect_end=True)
        struck.append(bridge)
        await bridge.wait_until_ended(STRUCK_WITHIN_SECONDS)
        assert_no_violations(await system.evidence(), drained=False)

    async def stop() -> None:
        await system.running("bridge").terminate()

    async def resume() -> None:
        system.start_bridge()

    orders = orders_from_environment(ORDERS * rounds)
    campaign = await run_campaign(
        system,
        orders,
        faults=[stop, *(partial(strike, point) for point in points), resume],
        without=WAITS_FOR_A_TIME_OUT,
        within_seconds=work_seconds(orders),
    )
    assert [bridge.exit_status for bridge in struck] == [SIGKILLED] * len(points)
    campaign.assert_as_planned()


async def _send_a_bad_record(system: OrderSystem) -> None:
    """Gives the failpoints of dead letters something to be reached by."""
    message = MALFORMATIONS["truncated"].make("o-bad")
    await system.produce([Outgoing(system.topic_of(EventType.ORDER_CREATED), message.value, message.key)])
