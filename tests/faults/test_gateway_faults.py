"""Providers over HTTP that fail in every way, and whose own books say what was charged, given back and shipped."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from schemas.states import OrderState, ReasonCode
from stack import Endpoints
from tests.faults.drivers.rooms import WAITS_FOR_A_TIME_OUT
from tests.faults.drivers.work_outages import CANARY, WorkOutages
from tests.faults.drivers.work_rooms import work_system
from tests.helpers.checker.checker import assert_no_violations
from tests.helpers.checker.evidence import Evidence
from tests.helpers.system.campaign import (
    orders_from_environment,
    rounds_from_environment,
    run_campaign,
    work_seconds,
)
from tests.helpers.system.system import PLANTED_SECRET
from workflows.names import order_workflow_id

pytestmark = pytest.mark.timeout(1_800)

ORDERS = 24
UNKNOWN_EACH = 4
GIVEN_UP_AFTER_SECONDS = 5


@pytest.fixture(scope="module")
async def work(endpoints: Endpoints, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[WorkOutages]:
    async with work_system(endpoints, tmp_path_factory.mktemp("gateways")) as running:
        yield running


async def test_no_fault_of_the_providers_charges_twice_or_loses_an_order(work: WorkOutages) -> None:
    """I6, I7, I8, I12, by the provider's own ledger."""
    rounds = rounds_from_environment(1)
    orders = orders_from_environment(ORDERS * rounds)
    campaign = await run_campaign(
        work.system,
        orders,
        faults=[work.bad_weather, work.providers_killed, work.providers_frozen] * rounds,
        without=WAITS_FOR_A_TIME_OUT,
        still_seconds=work_seconds(orders),
    )
    assert dict(work.injected) == dict.fromkeys(
        ["providers in bad weather", "providers killed", "providers frozen"], rounds
    )
    campaign.assert_as_planned()


async def test_a_charge_whose_outcome_stays_unknown_is_given_back_or_made_impossible(work: WorkOutages) -> None:
    """I6: the order ends declined, and no money is kept, whether the charge happened, never came, or comes late."""
    await work.system.running("bridge").terminate()
    work.system.start_bridge(ORDER_PROVIDER_TIME_ALLOWED_SECONDS=str(GIVEN_UP_AFTER_SECONDS))
    await work.system.wait_until_bridges_own_partitions()
    await work.gateway.misbehave("POST", "payments", *["drop_after", "status:503", "late:1"] * UNKNOWN_EACH)
    await work.gateway.weather(1.0, "status:503", "drop_before")

    ids = await work.send_orders(3 * UNKNOWN_EACH)
    await work.system.wait_until_drained()
    await _until_each_refund_was_asked_for(work, ids)
    await work.gateway.weather(0.0)
    await work.system.wait_until_idle()

    evidence = await work.system.evidence()
    assert_no_violations(evidence)
    assert [end_of(evidence, one) for one in ids] == [
        (OrderState.PAYMENT_DECLINED, ReasonCode.PAYMENT_OUTCOME_UNKNOWN)
    ] * len(ids)
    moved = sorted(tuple(work.gateway.moved(f"p-{one}")) for one in ids)
    assert set(moved) == {(), ("charge", "refund")}, "some were charged, and some were not"
    failures = [failure for one in ids for failure in await _failures_in_history(work, one)]
    assert any("the provider" in failure for failure in failures)
    for told in (CANARY, PLANTED_SECRET, work.gateway.url):
        assert not [failure for failure in failures if told in failure], "I16"


async def test_neither_a_wrong_key_nor_a_time_without_workers_ends_an_order(work: WorkOutages) -> None:
    """I19: each lasts three times as long as a provider is allowed to leave an order without an outcome."""
    await work.system.running("bridge").terminate()
    work.system.start_bridge(ORDER_PROVIDER_TIME_ALLOWED_SECONDS=str(GIVEN_UP_AFTER_SECONDS))
    await work.system.wait_until_bridges_own_partitions()
    before = len(work.system.processes)

    ids = [*await work.wrong_key(3 * GIVEN_UP_AFTER_SECONDS), *await work.no_workers(3 * GIVEN_UP_AFTER_SECONDS)]

    await work.system.wait_until_idle()
    evidence = await work.system.evidence()
    assert_no_violations(evidence)
    assert {end_of(evidence, one) for one in ids} == {(OrderState.COMPLETED, None)}
    log = "".join(process.log for process in work.system.processes[before:])
    assert '"provider.access.denied"' in log
    assert "set PAYMENT_GATEWAY_API_KEY to one that it takes" in log


async def _until_each_refund_was_asked_for(work: WorkOutages, ids: list[str]) -> None:
    """Each refund begins with a look-up, and all fail: so the charge of each is given up."""

    async def given_up() -> bool:
        descriptions = await asyncio.gather(
            *(work.system.client.get_workflow_handle(order_workflow_id(one)).describe() for one in ids)
        )
        pending = [one.raw_description.pending_activities for one in descriptions]
        return all(any(activity.activity_type.name == "refund_payment" for activity in each) for each in pending)

    await work.system.wait_until(given_up, 60.0, lambda: "a refund under way for each order")


async def _failures_in_history(work: WorkOutages, order_id: str) -> list[str]:
    """Every failure of an activity that Temporal keeps of an order, with all that it says."""
    history = await work.system.client.get_workflow_handle(order_workflow_id(order_id)).fetch_history()
    kept = [
        failure
        for event in history.events
        for failure in (
            event.activity_task_started_event_attributes.last_failure,
            event.activity_task_failed_event_attributes.failure,
            event.activity_task_timed_out_event_attributes.failure,
        )
    ]
    return [text for text in map(str, kept) if text]


def end_of(evidence: Evidence, order_id: str) -> tuple[str, str | None]:
    """The last state that was published of an order, and why."""
    last = evidence.published_of(order_id)[-1]
    return last["state"], last["reason"]
