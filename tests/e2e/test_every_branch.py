"""Every branch of an order's life in one run, with everything at once, judged by the checker."""

import pytest

from tests.helpers.messages.generator import SCENARIOS
from tests.helpers.system.campaign import orders_from_environment, run_campaign, work_seconds
from tests.helpers.system.system import OrderSystem


@pytest.mark.timeout(1_800)
async def test_every_branch_ends_as_planned_and_breaks_no_invariant(system: OrderSystem) -> None:
    orders = orders_from_environment(default=len(SCENARIOS) + 16)
    campaign = await run_campaign(system, orders, still_seconds=work_seconds(orders))
    campaign.assert_as_planned()
    assert {order.scenario for order in campaign.plan.orders} == set(SCENARIOS)
