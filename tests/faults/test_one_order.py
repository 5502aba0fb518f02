"""One order has a backlog of thousands of records, stuck or not, and no other order waits for it (I18)."""

from collections.abc import AsyncIterator
from functools import partial

import pytest

from schemas.event_types import EventType
from stack import RunningStack
from tests.faults.drivers.large_records import large_and_unfolding_records
from tests.faults.drivers.one_order import one_hot, settled_in_order, stuck_order, until_settled
from tests.faults.drivers.outages import Outages
from tests.faults.drivers.rooms import WAITS_FOR_A_TIME_OUT, patient_system
from tests.helpers.checker.checker import assert_no_violations
from tests.helpers.checker.evidence import Coordinates
from tests.helpers.messages.generator import make_plan
from tests.helpers.messages.plan import EARLY, LATE, MAIN, PlannedRecord
from tests.helpers.system.campaign import (
    differences_from_plan,
    orders_from_environment,
    produce_planned,
    run_campaign,
    seed_from_environment,
    work_seconds,
)

pytestmark = pytest.mark.timeout(1_800)

ORDERS, BACKLOG, HOT, OTHERS = 40, 20_000, 3_000, 60
WORKED_OFF = 200
"""So many of its records are awaited once an order is no longer stuck: all of them would take minutes."""


@pytest.fixture
async def outages(own_servers_only: RunningStack, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Outages]:
    async with patient_system(own_servers_only, tmp_path_factory.mktemp("one-order")) as prepared:
        yield prepared


async def test_while_one_order_is_stuck_with_its_backlog_all_others_come_to_their_ends(outages: Outages) -> None:
    """I18: 400 times as many records as the bridge may hold, in the partitions that the others' are in."""
    system = outages.system
    plan = make_plan(seed_from_environment(), orders_from_environment(ORDERS), without=WAITS_FOR_A_TIME_OUT)
    print(f"SEED={plan.seed}")  # noqa: T201 -- pytest shows it with a failure
    produced: dict[Coordinates, PlannedRecord] = {}

    async def no_run_is_open() -> bool:
        return (await system.client.count_workflows('ExecutionStatus = "Running"')).count == 0

    async with stuck_order(outages, BACKLOG) as own:
        for phase in (EARLY, MAIN, LATE):
            await produce_planned(system, [one for one in plan.records if one.phase == phase], produced)
            await until_settled(system, but_for=own)
            if phase != EARLY:
                await system.wait_until(
                    no_run_is_open, work_seconds(len(plan.orders)), lambda: "all others at their ends"
                )
    evidence = await system.evidence()
    assert_no_violations(evidence, drained=False)
    assert differences_from_plan(plan, produced, evidence) == []

    def worked_off() -> list[Coordinates]:
        changes = system.topic_of(EventType.ORDER_ADDRESS_UPDATED)
        return [
            coordinates for coordinates in settled_in_order(system) if coordinates in own and coordinates[0] == changes
        ]

    async def enough() -> bool:
        return len(worked_off()) >= WORKED_OFF

    await system.wait_until(enough, 60.0, lambda: f"{WORKED_OFF} of its records, once it is stuck no longer")
    in_turn = worked_off()
    assert in_turn == sorted(in_turn)
    assert_no_violations(await system.evidence(), drained=False)


async def test_an_order_with_thousands_of_records_is_worked_off_beside_the_others_and_not_before_them(
    outages: Outages,
) -> None:
    """I18, I3: and records that take long to read hold up no one either."""
    orders = orders_from_environment(ORDERS)
    campaign = await run_campaign(
        outages.system,
        orders,
        faults=[partial(one_hot, outages, HOT, OTHERS), partial(large_and_unfolding_records, outages)],
        without=WAITS_FOR_A_TIME_OUT,
        still_seconds=work_seconds(orders),
    )
    campaign.assert_as_planned()
