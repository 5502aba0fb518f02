"""The payment activities on the ports in memory: at most one charge, at most one refund, whatever happens between."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.errors import DATABASE_UNAVAILABLE, GATEWAY_CONTRADICTION, GATEWAY_UNAVAILABLE
from activities.payments import PaymentActivities
from schemas.activity_io import ChargePayment, ChargeResult, RefundPayment, RefundResult
from schemas.states import PaymentStatus, ReasonCode
from tests.helpers.fakes import FakePaymentGateway, InMemoryPaymentStore

CHARGE = ChargePayment(order_id="o-1", payment_id="p-1", amount=1250, currency="EUR")
REFUND = RefundPayment(order_id="o-1", payment_id="p-1")
CHARGED = ChargeResult(status=PaymentStatus.CHARGED)
UNKNOWN = ChargeResult(status=PaymentStatus.DECLINED, reason=ReasonCode.PAYMENT_OUTCOME_UNKNOWN)
CONFLICT = ChargeResult(status=PaymentStatus.DECLINED, reason=ReasonCode.PAYMENT_ID_CONFLICT)


@pytest.fixture
def payments() -> InMemoryPaymentStore:
    return InMemoryPaymentStore()


@pytest.fixture
def gateway() -> FakePaymentGateway:
    return FakePaymentGateway()


@pytest.fixture
def activities(payments: InMemoryPaymentStore, gateway: FakePaymentGateway) -> PaymentActivities:
    return PaymentActivities(payments, gateway)


async def run(activity: Any, argument: Any) -> Any:
    return await ActivityEnvironment().run(activity, argument)


async def test_a_charge_is_made_once_and_a_repeat_says_so(
    activities: PaymentActivities, gateway: FakePaymentGateway
) -> None:
    assert await run(activities.charge_payment, CHARGE) == CHARGED
    assert await run(activities.charge_payment, CHARGE) == CHARGED

    assert gateway.ledger == {("charge", "p-1"): 1}
    assert gateway.calls["charge"] == 1


@pytest.mark.parametrize("where", ["before the gateway", "after the gateway", "before it is recorded", "recorded"])
async def test_a_crash_anywhere_in_a_charge_leads_to_one_charge(
    activities: PaymentActivities, payments: InMemoryPaymentStore, gateway: FakePaymentGateway, where: str
) -> None:
    match where:
        case "before the gateway":
            gateway.fail_next(1, "charge")
        case "after the gateway":
            gateway.lose_next_answers(1, "charge")
        case "before it is recorded":
            payments.fail_next(1, "record_outcome")
        case _:
            payments.lose_next_answers(1, "record_outcome")

    with pytest.raises(ApplicationError) as failed:
        await run(activities.charge_payment, CHARGE)

    assert failed.value.type == (GATEWAY_UNAVAILABLE if "gateway" in where else DATABASE_UNAVAILABLE)
    assert not failed.value.non_retryable
    assert await run(activities.charge_payment, CHARGE) == CHARGED
    assert gateway.ledger == {("charge", "p-1"): 1}


@pytest.mark.parametrize("other", [{"order_id": "o-2"}, {"amount": 1}, {"currency": "USD"}])
async def test_an_id_that_belongs_to_another_order_or_amount_is_declined(
    activities: PaymentActivities, gateway: FakePaymentGateway, other: dict[str, Any]
) -> None:
    await run(activities.charge_payment, CHARGE)

    assert await run(activities.charge_payment, CHARGE.model_copy(update=other)) == CONFLICT
    assert gateway.ledger == {("charge", "p-1"): 1}


async def test_a_declined_charge_stays_declined(activities: PaymentActivities, gateway: FakePaymentGateway) -> None:
    charge = CHARGE.model_copy(update={"payment_id": "decline-1"})
    declined = ChargeResult(status=PaymentStatus.DECLINED, reason=ReasonCode.CARD_DECLINED)

    assert await run(activities.charge_payment, charge) == declined
    assert await run(activities.charge_payment, charge) == declined
    assert not gateway.ledger


async def test_a_charge_of_another_amount_than_was_asked_is_not_taken_for_one(
    activities: PaymentActivities, gateway: FakePaymentGateway, payments: InMemoryPaymentStore
) -> None:
    charged = await gateway.charge(CHARGE)
    gateway.payments["p-1"] = replace(charged, amount=9999)

    with pytest.raises(ApplicationError) as failed:
        await run(activities.charge_payment, CHARGE)

    assert failed.value.type == GATEWAY_CONTRADICTION
    assert payments.claims["p-1"].status is PaymentStatus.PENDING


async def test_a_refund_gives_a_charge_back_once(activities: PaymentActivities, gateway: FakePaymentGateway) -> None:
    await run(activities.charge_payment, CHARGE)

    for _ in range(2):
        assert await run(activities.refund_payment, REFUND) == RefundResult(status=PaymentStatus.REFUNDED)

    assert gateway.ledger == {("charge", "p-1"): 1, ("refund", "p-1"): 1}
    assert await run(activities.charge_payment, CHARGE) == UNKNOWN


@pytest.mark.parametrize("where", ["after the gateway", "before it is recorded"])
async def test_a_crash_in_a_refund_leads_to_one_refund(
    activities: PaymentActivities, payments: InMemoryPaymentStore, gateway: FakePaymentGateway, where: str
) -> None:
    await run(activities.charge_payment, CHARGE)
    if where == "after the gateway":
        gateway.lose_next_answers(1, "refund")
    else:
        payments.fail_next(1, "record_outcome")

    with pytest.raises(ApplicationError):
        await run(activities.refund_payment, REFUND)

    assert await run(activities.refund_payment, REFUND) == RefundResult(status=PaymentStatus.REFUNDED)
    assert gateway.ledger == {("charge", "p-1"): 1, ("refund", "p-1"): 1}


async def test_a_charge_whose_outcome_is_unknown_is_given_back_if_it_happened(
    activities: PaymentActivities, gateway: FakePaymentGateway
) -> None:
    gateway.lose_next_answers(1, "charge")
    with pytest.raises(ApplicationError):
        await run(activities.charge_payment, CHARGE)

    assert await run(activities.refund_payment, REFUND) == RefundResult(status=PaymentStatus.REFUNDED)
    assert gateway.ledger == {("charge", "p-1"): 1, ("refund", "p-1"): 1}


async def test_a_charge_that_never_reached_the_provider_can_never_happen_after_its_void(
    activities: PaymentActivities, gateway: FakePaymentGateway
) -> None:
    gateway.fail_next(1, "charge")
    with pytest.raises(ApplicationError):
        await run(activities.charge_payment, CHARGE)

    assert await run(activities.refund_payment, REFUND) == RefundResult(status=PaymentStatus.VOIDED)
    assert await run(activities.charge_payment, CHARGE) == UNKNOWN
    assert not gateway.ledger


async def test_a_void_before_any_claim_forestalls_the_claim(
    activities: PaymentActivities, gateway: FakePaymentGateway
) -> None:
    assert await run(activities.refund_payment, REFUND) == RefundResult(status=PaymentStatus.VOIDED)

    assert (await run(activities.charge_payment, CHARGE)).status is PaymentStatus.DECLINED
    assert not gateway.ledger


async def test_a_charge_still_under_way_that_arrives_after_the_void_is_declined(
    activities: PaymentActivities, gateway: FakePaymentGateway
) -> None:
    held = gateway.hold("charge")
    charging = asyncio.create_task(run(activities.charge_payment, CHARGE))
    await gateway.reached["charge"].wait()

    assert await run(activities.refund_payment, REFUND) == RefundResult(status=PaymentStatus.VOIDED)
    held.set()

    assert await charging == UNKNOWN
    assert not gateway.ledger


async def test_a_charge_that_is_recorded_after_its_refund_does_not_undo_it(
    activities: PaymentActivities, payments: InMemoryPaymentStore, gateway: FakePaymentGateway
) -> None:
    held = payments.hold("record_outcome")
    charging = asyncio.create_task(run(activities.charge_payment, CHARGE))
    await payments.reached["record_outcome"].wait()
    refunding = asyncio.create_task(run(activities.refund_payment, REFUND))
    await gateway.reached["refund"].wait()
    held.set()

    assert await refunding == RefundResult(status=PaymentStatus.REFUNDED)
    assert (await charging).status in (PaymentStatus.CHARGED, PaymentStatus.DECLINED)
    assert payments.claims["p-1"].status is PaymentStatus.REFUNDED
    assert gateway.ledger == {("charge", "p-1"): 1, ("refund", "p-1"): 1}


async def test_a_refund_for_another_orders_payment_moves_nothing(
    activities: PaymentActivities, payments: InMemoryPaymentStore, gateway: FakePaymentGateway
) -> None:
    await run(activities.charge_payment, CHARGE)

    other = REFUND.model_copy(update={"order_id": "o-2"})
    assert await run(activities.refund_payment, other) == RefundResult(status=PaymentStatus.VOIDED)

    assert payments.claims["p-1"].status is PaymentStatus.CHARGED
    assert gateway.ledger == {("charge", "p-1"): 1}


async def test_a_refund_of_a_declined_charge_asks_nobody(
    activities: PaymentActivities, gateway: FakePaymentGateway
) -> None:
    charge = CHARGE.model_copy(update={"payment_id": "decline-1"})
    await run(activities.charge_payment, charge)

    refund = REFUND.model_copy(update={"payment_id": "decline-1"})
    assert await run(activities.refund_payment, refund) == RefundResult(status=PaymentStatus.VOIDED)
    assert gateway.calls["refund"] == 0
