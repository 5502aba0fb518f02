"""Calls of a provider whose outcome stays unknown: looked up before anything else, and never done twice (I6)."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.adapters.http import HttpPaymentGateway
from activities.payments import PaymentActivities
from schemas.activity_io import ChargePayment, ChargeResult
from schemas.states import PaymentStatus
from tests.helpers.attempts import attempt_environment
from tests.helpers.fakes import InMemoryPaymentStore
from tests.helpers.messages.payments import body_of, refund_of
from tests.helpers.servers.gateway_server import RunningGateway
from tests.helpers.system.waiting import assert_eventually, in_time

LOST = {
    "drop_after": True,
    "delay:20": True,
    "trickle:20": True,
    "status:202": False,
    "status:500": False,
    "status:502": False,
    "status:503": False,
    "status:429": False,
    "status:409": False,
    "drop_before": False,
}
"""Faults that leave an outcome unknown, and whether the call had its effect."""


each_fault = pytest.mark.parametrize(("fault", "had_effect"), LOST.items())


@dataclass(frozen=True, slots=True)
class Attempts:
    """Attempts of a payment's activities: the first one meets the fault, the next ones do not."""

    first: PaymentActivities
    next: PaymentActivities
    environment: ActivityEnvironment

    async def fail(self, activity: Callable[..., Awaitable[object]], request: object) -> ApplicationError:
        """Runs the attempt that meets the fault; returns how it fails."""
        with pytest.raises(ApplicationError) as failed:
            await self.environment.run(activity, request)
        return failed.value


@pytest.fixture
def attempts(payments: HttpPaymentGateway, hasty: HttpPaymentGateway, fault: str) -> Attempts:
    """Where the answer would come in the end, the fault is met by a client in haste."""
    store = InMemoryPaymentStore()
    meets_it = hasty if fault.startswith(("delay", "trickle")) else payments
    return Attempts(PaymentActivities(store, meets_it), PaymentActivities(store, payments), attempt_environment())


@each_fault
async def test_what_a_charge_came_to_is_looked_up_before_anything_is_asked_again(
    gateway: RunningGateway, attempts: Attempts, charge: ChargePayment, fault: str, *, had_effect: bool
) -> None:
    await gateway.misbehave("POST", "payments", fault)
    with in_time(10):
        failed = await attempts.fail(attempts.first.charge_payment, charge)
    assert (failed.type, failed.non_retryable) == ("GatewayUnavailable", False)

    result = await attempts.environment.run(attempts.next.charge_payment, charge)

    assert result == ChargeResult(status=PaymentStatus.CHARGED)
    assert gateway.moved(charge.payment_id) == ["charge"]
    asked = ["POST payments", "GET payments/ID", *([] if had_effect else ["POST payments"])]
    assert await gateway.paths_about(charge.payment_id) == asked


@each_fault
async def test_an_unknown_charge_is_looked_up_and_given_back_or_made_impossible(
    gateway: RunningGateway,
    payments: HttpPaymentGateway,
    attempts: Attempts,
    charge: ChargePayment,
    fault: str,
    *,
    had_effect: bool,
) -> None:
    await gateway.misbehave("POST", "payments", fault)
    await attempts.fail(attempts.first.charge_payment, charge)

    result = await attempts.environment.run(attempts.next.refund_payment, refund_of(charge))

    assert result.status is (PaymentStatus.REFUNDED if had_effect else PaymentStatus.VOIDED)
    asked = ["POST payments", "GET payments/ID", "POST payments/ID/refund"]
    assert await gateway.paths_about(charge.payment_id) == asked
    # Whatever is still under way between the two comes too late.
    assert (await payments.charge(charge)).status is result.status
    assert gateway.moved(charge.payment_id) == (["charge", "refund"] if had_effect else [])


@each_fault
async def test_a_refund_whose_answer_is_lost_is_looked_up_and_moves_money_once(
    gateway: RunningGateway, attempts: Attempts, charge: ChargePayment, fault: str, *, had_effect: bool
) -> None:
    await attempts.environment.run(attempts.next.charge_payment, charge)
    await gateway.misbehave("POST", f"payments/{charge.payment_id}/refund", fault)
    await attempts.fail(attempts.first.refund_payment, refund_of(charge))

    result = await attempts.environment.run(attempts.next.refund_payment, refund_of(charge))

    assert result.status is PaymentStatus.REFUNDED
    assert gateway.moved(charge.payment_id) == ["charge", "refund"]
    refund = ["GET payments/ID", "POST payments/ID/refund"]
    asked = ["POST payments", *refund, *(["GET payments/ID"] if had_effect else refund)]
    assert await gateway.paths_about(charge.payment_id) == asked


async def test_a_charge_that_arrives_after_its_void_moves_nothing(
    gateway: RunningGateway, payments: HttpPaymentGateway, charge: ChargePayment
) -> None:
    activities, environment = PaymentActivities(InMemoryPaymentStore(), payments), attempt_environment()
    await gateway.misbehave("POST", "payments", "late:0.5")
    with pytest.raises(ApplicationError):
        await environment.run(activities.charge_payment, charge)

    result = await environment.run(activities.refund_payment, refund_of(charge))

    assert result.status is PaymentStatus.VOIDED

    async def it_has_arrived() -> bool:
        return (await gateway.injected())["happened late"] == 1

    await assert_eventually(it_has_arrived)
    assert (await payments.charge(charge)).status is PaymentStatus.VOIDED
    assert gateway.moved(charge.payment_id) == []


async def test_a_payment_that_the_provider_still_works_on_is_neither_charged_nor_declined(
    gateway: RunningGateway, payments: HttpPaymentGateway, charge: ChargePayment
) -> None:
    store = InMemoryPaymentStore()
    activities, environment = PaymentActivities(store, payments), attempt_environment()
    await gateway.misbehave("POST", "payments", body_of(charge, "pending"))
    await gateway.misbehave("GET", f"payments/{charge.payment_id}", body_of(charge, "pending"))
    for _ in range(2):
        with pytest.raises(ApplicationError, match="still working") as failed:
            await environment.run(activities.charge_payment, charge)
        assert failed.value.type == "GatewayUnavailable"
        assert store.claims[charge.payment_id].status is PaymentStatus.PENDING

    assert (await environment.run(activities.charge_payment, charge)).status is PaymentStatus.CHARGED
    asked = ["POST payments", "GET payments/ID", "GET payments/ID"]
    assert await gateway.paths_about(charge.payment_id) == asked
