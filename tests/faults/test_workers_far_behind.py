"""So much waits for the workers that every time allowed is over before the last of it is begun: no order ends by it."""

from collections.abc import AsyncIterator

import pytest

from stack import RunningStack
from tests.faults.drivers.deadlines import a_backlog_of_workers_for_longer_than_everything_is_given
from tests.faults.drivers.outages import Outages
from tests.faults.drivers.rooms import patient_system
from tests.helpers.checker.checker import assert_no_violations

pytestmark = pytest.mark.timeout(1_800)


@pytest.fixture
async def outages(own_servers_only: RunningStack, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Outages]:
    async with patient_system(own_servers_only, tmp_path_factory.mktemp("far-behind")) as prepared:
        yield prepared


async def test_orders_that_wait_for_workers_for_longer_than_every_time_allowed_all_complete(outages: Outages) -> None:
    """I17, I19. The soak with ``OUTAGE_MINUTES=120 FAULTS=backlog`` makes it a backlog of hours."""
    await a_backlog_of_workers_for_longer_than_everything_is_given(outages)
    await outages.system.wait_until_idle()
    assert_no_violations(await outages.system.evidence())
