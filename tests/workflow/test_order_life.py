"""An order's life: the straight road and each branch."""

from datetime import timedelta

import pytest

from schemas.order import OrderPolicy
from schemas.states import OrderState, OrderStep, PaymentStatus, ReasonCode
from tests.helpers.fakes import FLAKY_ZIP_CODE
from tests.helpers.system.waiting import assert_eventually
from tests.workflow.workbench.bench import ADDRESS, AMOUNT_MAX, APPROVED, CANCELLED, CREATED, FAILS, Bench

STRAIGHT_ROAD = [
    "RECEIVED",
    "VALIDATED",
    "APPROVED",
    "PAID",
    "PACKAGE_PREPARED",
    "CARRIER_DISPATCHED",
    "SHIPPED",
    "COMPLETED",
]


async def test_an_approved_order_is_charged_shipped_and_completed(bench: Bench, order_id: str) -> None:
    await bench.send(order_id, CREATED)
    await bench.send(order_id, APPROVED)
    result = await bench.result(order_id)
    assert (result.state, result.reason, result.last_sequence) == (OrderState.COMPLETED, None, 8)
    assert result.tracking_id == bench.carrier.shipments[order_id]
    assert bench.story(order_id) == STRAIGHT_ROAD
    assert bench.gateway.ledger == {("charge", f"pay-{order_id}"): 1}


async def test_each_transition_names_its_cause_and_what_the_order_is(bench: Bench, order_id: str) -> None:
    created = await bench.send(order_id, CREATED, amount=990, currency="EUR")
    approved = await bench.send(order_id, APPROVED)
    await bench.result(order_id)
    causes = [event.cause.event_id if event.cause else None for event in bench.events(order_id)]
    assert causes == [created, None, approved, None, None, None, None, None]
    completed = bench.events(order_id)[-1].model_dump()
    assert (completed["amount"], completed["currency"], completed["payment_id"]) == (990, "EUR", f"pay-{order_id}")
    assert completed["tracking_id"] == f"track-{order_id}"


async def test_the_approval_time_out_starts_when_approval_is_awaited(bench: Bench, order_id: str) -> None:
    bench.new_policy(approval_timeout=timedelta(hours=5))
    await bench.send(order_id, CREATED)
    result = await bench.result(order_id)
    assert (result.state, result.reason) == (OrderState.EXPIRED, ReasonCode.APPROVAL_TIMED_OUT)
    validated, expired = bench.events(order_id)[1:]
    assert timedelta(hours=5) <= expired.occurred_at - validated.occurred_at < timedelta(hours=5, seconds=5)
    assert expired.reason is ReasonCode.APPROVAL_TIMED_OUT


async def test_a_cancelled_order_is_not_charged(bench: Bench, order_id: str) -> None:
    await bench.send(order_id, CREATED)
    await bench.reaches(order_id, OrderStep.AWAITING_MANUAL_APPROVAL)
    cancelled = await bench.send(order_id, CANCELLED)
    result = await bench.result(order_id)
    assert (result.state, result.reason) == (OrderState.CANCELLED, ReasonCode.CANCELLED_BY_REQUEST)
    last = bench.events(order_id)[-1]
    assert last.cause is not None
    assert (last.cause.event_id, last.reason) == (cancelled, ReasonCode.CANCELLED_BY_REQUEST)
    assert not bench.gateway.ledger


async def test_an_order_over_the_limit_is_rejected(bench: Bench, order_id: str) -> None:
    await bench.send(order_id, CREATED, amount=AMOUNT_MAX + 1)
    early = await bench.send(order_id, APPROVED)
    result = await bench.result(order_id)
    assert (result.state, result.reason) == (OrderState.REJECTED, ReasonCode.AMOUNT_OVER_LIMIT)
    assert bench.story(order_id)[:2] == ["RECEIVED", "REJECTED"]
    assert bench.outcome(order_id, early) == "order_closed"


async def test_a_declined_payment_ends_the_order(bench: Bench, order_id: str) -> None:
    await bench.send(order_id, CREATED, payment_id=f"decline-{order_id}")
    await bench.send(order_id, APPROVED)
    result = await bench.result(order_id)
    assert (result.state, result.reason) == (OrderState.PAYMENT_DECLINED, ReasonCode.CARD_DECLINED)
    assert not bench.carrier.shipments
    assert not bench.gateway.ledger


@pytest.mark.parametrize("amount", [1_500, 2_000], ids=["the same amount", "another amount"])
async def test_the_payment_id_of_another_order_is_declined(bench: Bench, order_id: str, amount: int) -> None:
    for one, total in ((f"{order_id}-a", 1_500), (f"{order_id}-b", amount)):
        await bench.send(one, CREATED, payment_id=f"pay-{order_id}", amount=total)
        await bench.send(one, APPROVED)
        await bench.result(one)
    result = await bench.result(f"{order_id}-b")
    assert (result.state, result.reason) == (OrderState.PAYMENT_DECLINED, ReasonCode.PAYMENT_ID_CONFLICT)
    assert bench.gateway.ledger == {("charge", f"pay-{order_id}"): 1}


async def test_a_charge_that_times_out_is_looked_up_and_made_once(bench: Bench, order_id: str) -> None:
    await bench.send(order_id, CREATED, payment_id=f"slow-{order_id}")
    await bench.send(order_id, APPROVED)
    result = await bench.result(order_id)
    assert result.state is OrderState.COMPLETED
    assert (bench.gateway.calls["charge"], bench.gateway.calls["look_up"]) == (1, 1)
    assert bench.gateway.ledger == {("charge", f"slow-{order_id}"): 1}


async def test_a_payment_whose_outcome_stays_unknown_is_given_back(bench: Bench, order_id: str) -> None:
    bench.new_policy(provider_time_allowed=timedelta(seconds=20))
    bench.gateway.lose_next_answers(1_000, "charge")
    bench.gateway.fail_next(20, "look_up")  # More than there is time for before the charge is given up.
    bench.gateway.fail_next(3, "refund")
    await bench.send(order_id, CREATED)
    await bench.send(order_id, APPROVED)
    result = await bench.result(order_id)
    assert (result.state, result.reason) == (OrderState.PAYMENT_DECLINED, ReasonCode.PAYMENT_OUTCOME_UNKNOWN)
    assert bench.payments.claims[f"pay-{order_id}"].status is PaymentStatus.REFUNDED
    assert bench.gateway.ledger == {("charge", f"pay-{order_id}"): 1, ("refund", f"pay-{order_id}"): 1}


async def test_a_payment_that_never_reached_the_provider_is_voided(bench: Bench, order_id: str) -> None:
    bench.new_policy(provider_time_allowed=timedelta(seconds=20))
    bench.gateway.fail_next(1_000, "charge")
    await bench.send(order_id, CREATED)
    await bench.send(order_id, APPROVED)
    result = await bench.result(order_id)
    assert (result.state, result.reason) == (OrderState.PAYMENT_DECLINED, ReasonCode.PAYMENT_OUTCOME_UNKNOWN)
    assert bench.payments.claims[f"pay-{order_id}"].status is PaymentStatus.VOIDED
    assert not bench.gateway.ledger


async def test_shipping_fails_twice_and_works_at_the_third_attempt(bench: Bench, order_id: str) -> None:
    bench.new_policy(shipping_retry_delay=timedelta(hours=1))
    await bench.send(order_id, CREATED, shipping_address={"zip_code": FLAKY_ZIP_CODE})
    await bench.send(order_id, APPROVED)
    result = await bench.result(order_id)
    assert result.state is OrderState.COMPLETED
    assert bench.story(order_id) == STRAIGHT_ROAD, "a package that is prepared three times is one transition"
    times = {event.state: event.occurred_at for event in bench.events(order_id)}
    took = times[OrderState.CARRIER_DISPATCHED] - times[OrderState.PAID]
    assert timedelta(hours=2) <= took < timedelta(hours=2, minutes=1)
    assert (await bench.status(order_id)).shipping_attempt == 3


@pytest.mark.parametrize("attempts", [1, 3])
async def test_an_order_that_cannot_be_shipped_is_refunded(bench: Bench, order_id: str, attempts: int) -> None:
    bench.new_policy(shipping_attempts=attempts)
    bench.gateway.fail_next(5, "refund")
    await bench.send(order_id, CREATED, shipping_address={"zip_code": FAILS})
    await bench.send(order_id, APPROVED)
    result = await bench.result(order_id)
    assert (result.state, result.reason) == (OrderState.REFUNDED, ReasonCode.SHIPPING_ATTEMPTS_EXHAUSTED)
    assert bench.story(order_id)[3:] == ["PAID", "PACKAGE_PREPARED", "SHIPPING_FAILED", "REFUNDED"]
    assert bench.carrier.calls["dispatch"] == attempts, "a refused shipment is not asked for again within an attempt"
    assert bench.gateway.ledger == {("charge", f"pay-{order_id}"): 1, ("refund", f"pay-{order_id}"): 1}


async def test_a_prepared_package_is_published_while_the_carrier_takes_long_to_take_it(
    bench: Bench, order_id: str
) -> None:
    bench.new_policy(activity_start_to_close=timedelta(minutes=1))
    taken = bench.carrier.hold("dispatch")
    await bench.send(order_id, CREATED)
    await bench.send(order_id, APPROVED)
    await bench.publishes(order_id, 5)
    assert bench.story(order_id) == STRAIGHT_ROAD[:5]
    taken.set()
    assert (await bench.result(order_id)).state is OrderState.COMPLETED
    assert bench.story(order_id) == STRAIGHT_ROAD


async def test_a_carrier_that_is_away_is_asked_again_within_an_attempt(bench: Bench, order_id: str) -> None:
    bench.carrier.fail_next(4, "prepare")
    bench.carrier.fail_next(4, "dispatch")
    await bench.send(order_id, CREATED)
    await bench.send(order_id, APPROVED)
    assert (await bench.result(order_id)).state is OrderState.COMPLETED
    assert (await bench.status(order_id)).shipping_attempt == 1


async def test_a_carrier_that_stays_away_costs_an_attempt(bench: Bench, order_id: str) -> None:
    bench.new_policy(provider_time_allowed=timedelta(seconds=30), shipping_attempts=2)
    bench.carrier.fail_next(1_000, "prepare")
    await bench.send(order_id, CREATED)
    await bench.send(order_id, APPROVED)
    assert (await bench.result(order_id)).state is OrderState.REFUNDED
    assert bench.story(order_id)[3:] == ["PAID", "SHIPPING_FAILED", "REFUNDED"]


async def test_an_updated_address_is_the_one_that_is_shipped_to(bench: Bench, order_id: str) -> None:
    address = {"street": "Old St 1", "city": "Bergen", "zip_code": "5003", "country": "NO"}
    await bench.send(order_id, CREATED, shipping_address=address)
    await bench.reaches(order_id, OrderStep.AWAITING_MANUAL_APPROVAL)
    await bench.send(order_id, ADDRESS, address={"street": "New St 2"})
    await bench.send(order_id, APPROVED)
    result = await bench.result(order_id)
    assert result.address is not None
    assert result.address.model_dump(exclude_none=True) == {**address, "street": "New St 2"}
    assert bench.carrier.addresses[order_id] == result.address
    kept = bench.store.orders[order_id].details
    assert kept is not None
    assert kept.address == result.address


@pytest.mark.parametrize("method", ["look_up", "record", "mark_published"])
async def test_an_outage_of_our_own_database_delays_an_order_and_never_fails_it(
    bench: Bench, order_id: str, method: str
) -> None:
    bench.policy = OrderPolicy(provider_time_allowed=timedelta(seconds=10))
    bench.store.fail_next(12, method)
    # Nobody looks up an order whose run begins with it.
    for event_type in (APPROVED, CREATED) if method == "look_up" else (CREATED, APPROVED):
        await bench.send(order_id, event_type)
        if event_type is APPROVED and method == "look_up":
            await assert_eventually(bench.store.reached["look_up"].is_set)
    assert (await bench.result(order_id)).state is OrderState.COMPLETED
    assert bench.story(order_id) == STRAIGHT_ROAD
    assert bench.store.calls[method] > 12
