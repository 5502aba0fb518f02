"""Temporal restarts, crashes, freezes, resets, is overloaded, loses replies and runs: each event counts once."""

from collections.abc import AsyncIterator
from functools import partial

import pytest

from stack import RunningStack
from tests.faults.drivers.ends_of_runs import repeat_everything_after_the_runs_are_forgotten, tell_orders_as_they_end
from tests.faults.drivers.outages import Outages, send_orders_to_cancel
from tests.faults.drivers.rooms import WAITS_FOR_A_TIME_OUT, patient_system
from tests.helpers.system.campaign import (
    Fault,
    orders_from_environment,
    rounds_from_environment,
    run_campaign,
    work_seconds,
)

pytestmark = pytest.mark.timeout(1_800)

ORDERS = 40


@pytest.fixture(scope="module")
async def outages(own_servers_only: RunningStack, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Outages]:
    async with patient_system(own_servers_only, tmp_path_factory.mktemp("temporal")) as prepared:
        yield prepared


async def test_every_fault_of_temporal_is_waited_out(outages: Outages) -> None:
    """I1, I4, I12."""
    rounds = rounds_from_environment(1)
    faults: list[Fault] = [
        outages.temporal_connections_reset,
        outages.temporal_restarted,
        partial(outages.replies_lost, partial(send_orders_to_cancel, outages.system, 10)),
        partial(outages.temporal_overloaded, partial(send_orders_to_cancel, outages.system, 20)),
        outages.temporal_stopped,
        outages.temporal_killed,
    ]
    orders = orders_from_environment(ORDERS * rounds)
    campaign = await run_campaign(
        outages.system,
        orders,
        faults=faults * rounds,
        without=WAITS_FOR_A_TIME_OUT,
        still_seconds=work_seconds(orders),
    )
    assert outages.injected.total() == len(faults) * rounds
    assert set(outages.injected.values()) == {rounds}
    campaign.assert_as_planned()


async def test_an_event_that_meets_the_closing_run_is_applied_or_answered(outages: Outages) -> None:
    """I9."""
    answers = await tell_orders_as_they_end(outages.system)
    assert "order_closed" in answers, f"no update met the end of its order: {answers}"


async def test_every_message_again_after_temporal_has_forgotten_the_runs_changes_no_order(outages: Outages) -> None:
    """I4, I5."""
    await repeat_everything_after_the_runs_are_forgotten(outages.system)
