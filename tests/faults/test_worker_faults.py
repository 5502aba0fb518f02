"""Workers die between an effect and what follows it, and publish through a broker that is slow or answers nobody."""

from collections.abc import AsyncIterator

import pytest

from stack import Endpoints
from tests.faults.drivers.rooms import WAITS_FOR_A_TIME_OUT
from tests.faults.drivers.work_outages import WORKER_FAILPOINTS, WorkOutages
from tests.faults.drivers.work_rooms import work_system
from tests.helpers.system.campaign import (
    orders_from_environment,
    rounds_from_environment,
    run_campaign,
    work_seconds,
)
from tests.helpers.system.system import TASK_QUEUES

pytestmark = pytest.mark.timeout(1_800)

ORDERS = 24


@pytest.fixture
async def work(endpoints: Endpoints, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[WorkOutages]:
    async with work_system(endpoints, tmp_path_factory.mktemp("workers"), workers=False) as running:
        yield running


async def test_workers_killed_between_an_effect_and_its_record_lose_nothing_and_double_nothing(
    work: WorkOutages,
) -> None:
    """I6, I7, I8, by the provider's own ledger."""
    rounds = rounds_from_environment(1)
    faults = [work.workers_struck, work.publishing_slow, work.acknowledgements_lost]
    orders = orders_from_environment(ORDERS * rounds)
    campaign = await run_campaign(
        work.system,
        orders,
        faults=faults * rounds,
        without=WAITS_FOR_A_TIME_OUT,
        still_seconds=work_seconds(orders),
    )
    kills = [f"worker killed {point}" for point in WORKER_FAILPOINTS]
    uneven = [f"uneven worker of {task_queue}" for task_queue in TASK_QUEUES]
    assert dict(work.injected) == dict.fromkeys(
        [*kills, *uneven, "publishing to a slow broker", "publishing without acknowledgements"], rounds
    )
    campaign.assert_as_planned()
    different, again = campaign.evidence.repeats()
    print(f"{again} of {different} published events came again")  # noqa: T201 -- pytest shows it with a failure
    assert again > 0, "a worker killed after it has published publishes again: else nothing was tested"
