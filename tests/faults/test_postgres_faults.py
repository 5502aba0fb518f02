"""Postgres restarts, crashes, freezes, ends connections and has none left: orders wait, and nothing happens twice."""

from collections.abc import AsyncIterator

import pytest

from stack import RunningStack
from tests.faults.drivers.outages import Outages
from tests.faults.drivers.rooms import WAITS_FOR_A_TIME_OUT, patient_system
from tests.helpers.system.campaign import (
    orders_from_environment,
    rounds_from_environment,
    run_campaign,
    work_seconds,
)

pytestmark = pytest.mark.timeout(1_800)

ORDERS = 24


@pytest.fixture
async def outages(own_servers_only: RunningStack, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Outages]:
    async with patient_system(own_servers_only, tmp_path_factory.mktemp("postgres")) as prepared:
        yield prepared


async def test_every_fault_of_postgres_is_waited_out(outages: Outages) -> None:
    """I6, I7, I8, I12; the providers' books are elsewhere, and judge."""
    rounds = rounds_from_environment(1)
    faults = outages.postgres.faults()
    orders = orders_from_environment(ORDERS * rounds)
    campaign = await run_campaign(
        outages.system,
        orders,
        faults=[*faults.values()] * rounds,
        without=WAITS_FOR_A_TIME_OUT,
        still_seconds=work_seconds(orders),
    )
    assert dict(outages.work.injected) == dict.fromkeys(faults, rounds)
    campaign.assert_as_planned()
