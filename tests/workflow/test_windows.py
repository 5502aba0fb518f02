"""A window closes when the effect is scheduled: while the records that lead to it are not out, it is open."""

import asyncio
from datetime import timedelta

import pytest

from schemas.states import OrderState, OrderStep
from tests.helpers.system.waiting import assert_eventually
from tests.workflow.workbench.bench import ADDRESS, APPROVED, CANCELLED, CREATED, Bench


def outage(bench: Bench, where: str) -> asyncio.Event:
    """Postgres, or Kafka, is away until the event is set."""
    return bench.store.hold("record") if where == "postgres" else bench.publisher.hold("publish")


@pytest.mark.parametrize("where", ["postgres", "kafka"])
async def test_a_cancel_is_in_time_until_the_charge_is_scheduled(bench: Bench, order_id: str, where: str) -> None:
    bench.new_policy(activity_start_to_close=timedelta(minutes=1))
    await bench.send(order_id, CREATED)
    await bench.reaches(order_id, OrderStep.AWAITING_MANUAL_APPROVAL)
    await bench.publishes(order_id, 2)
    back = outage(bench, where)
    approved = await bench.send(order_id, APPROVED)
    status = await bench.comes_to(order_id, OrderState.APPROVED)
    assert status.step is OrderStep.AWAITING_MANUAL_APPROVAL
    assert status.approved
    assert status.waits_for == "its events to be recorded and published, and then for the payment provider"
    again = await bench.send(order_id, APPROVED)
    cancelled = await bench.send(order_id, CANCELLED)
    await bench.comes_to(order_id, OrderState.CANCELLED)
    back.set()
    assert (await bench.result(order_id)).state is OrderState.CANCELLED
    outcomes = [bench.outcome(order_id, one) for one in (approved, again, cancelled)]
    assert outcomes == ["applied", "already_approved", "applied"]
    assert bench.gateway.calls["charge"] == 0


@pytest.mark.parametrize("where", ["postgres", "kafka"])
async def test_an_approved_order_is_charged_once_the_outage_is_over(bench: Bench, order_id: str, where: str) -> None:
    bench.new_policy(activity_start_to_close=timedelta(minutes=1))
    await bench.send(order_id, CREATED)
    await bench.reaches(order_id, OrderStep.AWAITING_MANUAL_APPROVAL)
    await bench.publishes(order_id, 2)
    back = outage(bench, where)
    await bench.send(order_id, APPROVED)
    await bench.comes_to(order_id, OrderState.APPROVED)
    held = bench.gateway.hold("charge")
    assert bench.gateway.calls["charge"] == 0
    back.set()
    await bench.reaches(order_id, OrderStep.CHARGING_PAYMENT)
    cancelled = await bench.send(order_id, CANCELLED)
    held.set()
    assert (await bench.result(order_id)).state is OrderState.COMPLETED
    assert bench.outcome(order_id, cancelled) == "already_charged"


@pytest.mark.parametrize("where", ["postgres", "kafka"])
async def test_an_address_is_in_time_until_the_shipment_is_scheduled(bench: Bench, order_id: str, where: str) -> None:
    charge = await bench.brought_to(order_id, OrderStep.CHARGING_PAYMENT)
    back = outage(bench, where)
    charge()
    status = await bench.comes_to(order_id, OrderState.PAID)
    assert status.step is OrderStep.CHARGING_PAYMENT
    assert status.waits_for == "its events to be recorded and published, and then for the carrier"
    address = await bench.send(order_id, ADDRESS, address={"street": "New St 2"})
    cancelled = await bench.send(order_id, CANCELLED)
    await assert_eventually(lambda: _has_decided(bench, order_id, 6))
    assert bench.carrier.calls["prepare"] == 0
    back.set()
    assert (await bench.result(order_id)).state is OrderState.COMPLETED
    assert [bench.outcome(order_id, one) for one in (address, cancelled)] == ["applied", "already_charged"]
    assert bench.carrier.addresses[order_id].street == "New St 2"


async def _has_decided(bench: Bench, order_id: str, events: int) -> bool:
    return (await bench.status(order_id)).last_sequence == events
