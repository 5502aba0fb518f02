"""The HTTP gateways against a server process that misbehaves; its ledger says what was moved (I6)."""

import secrets
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.adapters.http import HttpCarrierGateway, HttpPaymentGateway, HttpProvider
from activities.payments import PaymentActivities
from activities.ports import GatewayContractError, GatewayUnavailableError
from schemas.inbound import Address
from schemas.orchestration import ChargePayment, ChargeResult, RefundPayment
from schemas.states import PaymentStatus
from tests.helpers.fakes import InMemoryPaymentStore
from tests.helpers.gateway_server import RunningGateway, running_gateway

TIMEOUT = timedelta(seconds=0.5)


@pytest.fixture(scope="module")
async def gateway(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningGateway]:
    async with running_gateway(tmp_path_factory.mktemp("gateway")) as one:
        yield one


@pytest.fixture
async def provider(gateway: RunningGateway) -> AsyncIterator[HttpProvider]:
    async with HttpProvider(base_url=gateway.url, api_key=gateway.api_key, timeout=TIMEOUT) as one:
        yield one


@pytest.fixture
def payments(provider: HttpProvider) -> HttpPaymentGateway:
    return HttpPaymentGateway(provider)


@pytest.fixture
def charge() -> ChargePayment:
    return ChargePayment(order_id="o-1", payment_id=f"p-{secrets.token_hex(6)}", amount=1250, currency="EUR")


LOST = ["drop_after", "delay:2", "status:500", "status:502", "status:503", "status:429", "status:409", "drop_before"]


@pytest.mark.parametrize("fault", LOST)
async def test_a_charge_whose_answer_is_lost_is_repeated_and_moves_money_once(
    gateway: RunningGateway, payments: HttpPaymentGateway, charge: ChargePayment, fault: str
) -> None:
    activities = PaymentActivities(InMemoryPaymentStore(), payments)
    await gateway.misbehave("POST", "payments", fault, fault)
    environment = ActivityEnvironment()
    for _ in range(2):
        begun = time.monotonic()
        with pytest.raises(ApplicationError) as failed:
            await environment.run(activities.charge_payment, charge)
        assert (failed.value.type, failed.value.non_retryable) == ("GatewayUnavailable", False)
        assert time.monotonic() - begun < 1.5

    result = await environment.run(activities.charge_payment, charge)

    assert result == ChargeResult(status=PaymentStatus.CHARGED)
    assert gateway.moved(charge.payment_id) == ["charge"]


@pytest.mark.parametrize("fault", LOST)
async def test_a_refund_whose_answer_is_lost_is_repeated_and_moves_money_once(
    gateway: RunningGateway, payments: HttpPaymentGateway, charge: ChargePayment, fault: str
) -> None:
    activities = PaymentActivities(InMemoryPaymentStore(), payments)
    environment = ActivityEnvironment()
    await environment.run(activities.charge_payment, charge)
    await gateway.misbehave("POST", f"payments/{charge.payment_id}/refund", fault)
    refund = RefundPayment(order_id=charge.order_id, payment_id=charge.payment_id)
    with pytest.raises(ApplicationError):
        await environment.run(activities.refund_payment, refund)

    result = await environment.run(activities.refund_payment, refund)

    assert result.status is PaymentStatus.REFUNDED
    assert gateway.moved(charge.payment_id) == ["charge", "refund"]


async def test_a_provider_killed_after_the_charge_answers_the_repeat_from_its_books(
    tmp_path: Path, charge: ChargePayment
) -> None:
    async with running_gateway(tmp_path) as first:
        port = int(first.url.rpartition(":")[2])
        provider = HttpProvider(base_url=first.url, api_key=first.api_key, timeout=TIMEOUT)
        await first.misbehave("POST", "payments", "drop_after")
        with pytest.raises(GatewayUnavailableError):
            await HttpPaymentGateway(provider).charge(charge)
    with pytest.raises(GatewayUnavailableError, match="cannot be reached"):
        await HttpPaymentGateway(provider).charge(charge)

    async with running_gateway(tmp_path, port=port) as second:
        payment = await HttpPaymentGateway(provider).charge(charge)
        assert second.moved(charge.payment_id) == ["charge"]
    await provider.close()
    assert payment.status is PaymentStatus.CHARGED


async def test_every_call_has_its_idempotency_key(
    gateway: RunningGateway, payments: HttpPaymentGateway, provider: HttpProvider, charge: ChargePayment
) -> None:
    carrier = HttpCarrierGateway(provider)
    order_id = f"o-{secrets.token_hex(6)}"
    before = len(await gateway.requests())

    await payments.charge(charge)
    await payments.refund(charge.payment_id)
    await carrier.prepare(order_id, Address(zip_code="12345"), 1)
    await carrier.dispatch(order_id, Address(zip_code="12345"), 2)

    requests = (await gateway.requests())[before:]
    assert [request["key"] for request in requests] == [
        f"charge:{charge.payment_id}",
        f"refund:{charge.payment_id}",
        f"prepare:{order_id}:1",
        f"dispatch:{order_id}:2",
    ]
    assert requests[0]["body"] == charge.model_dump()
    assert requests[3]["body"] == {"order_id": order_id, "attempt": 2, "address": {"zip_code": "12345"}}


@pytest.mark.parametrize(
    ("header", "expected"),
    [("7", timedelta(seconds=7)), ("86400", timedelta(seconds=30)), ("9" * 100, timedelta(seconds=30)), ("soon", None)],
)
async def test_a_provider_is_left_alone_for_as_long_as_it_asks_within_bounds(
    gateway: RunningGateway, payments: HttpPaymentGateway, charge: ChargePayment, header: str, expected: timedelta
) -> None:
    await gateway.misbehave("POST", "payments", f"status:429:{header}")

    with pytest.raises(GatewayUnavailableError) as failed:
        await payments.charge(charge)

    assert failed.value.retry_after == expected


@pytest.mark.parametrize("status", [301, 302, 400, 401, 403, 404, 405, 410, 418, 422])
async def test_a_status_that_is_none_of_the_contracts_is_not_taken_for_an_answer(
    gateway: RunningGateway, payments: HttpPaymentGateway, charge: ChargePayment, status: int
) -> None:
    await gateway.misbehave("POST", "payments", f"status:{status}")

    with pytest.raises(GatewayContractError, match="not understood"):
        await payments.charge(charge)


BODIES = ["", "{}", "[]", "charged", '{"status": "charged"}', '{"status": "perhaps"}', "x" * 70_000]


@pytest.mark.parametrize("body", BODIES, ids=lambda body: body[:12] or "empty")
async def test_an_answer_that_cannot_be_understood_is_told_without_its_values(
    gateway: RunningGateway, payments: HttpPaymentGateway, charge: ChargePayment, body: str
) -> None:
    await gateway.misbehave("POST", "payments", f"body:{body}")

    with pytest.raises(GatewayContractError) as failed:
        await payments.charge(charge)

    assert "perhaps" not in str(failed.value)
    assert len(str(failed.value)) < 200


OTHERS: list[dict[str, Any]] = [{"amount": 1}, {"currency": "USD"}, {"payment_id": "p-other"}]


@pytest.mark.parametrize("other", OTHERS, ids=str)
async def test_an_answer_about_other_money_is_not_taken_for_a_charge(
    gateway: RunningGateway, payments: HttpPaymentGateway, charge: ChargePayment, other: dict[str, Any]
) -> None:
    store = InMemoryPaymentStore()
    answer = charge.model_copy(update=other).model_dump_json()[:-1] + ', "status": "charged"}'
    await gateway.misbehave("POST", "payments", f"body:{answer}")

    with pytest.raises(ApplicationError) as failed:
        await ActivityEnvironment().run(PaymentActivities(store, payments).charge_payment, charge)

    assert failed.value.type == "GatewayContradiction"
    assert store.claims[charge.payment_id].status is PaymentStatus.PENDING


async def test_a_wrong_key_is_told_and_shown_nowhere(gateway: RunningGateway, charge: ChargePayment) -> None:
    async with HttpProvider(base_url=gateway.url, api_key="wrong-secret", timeout=TIMEOUT) as provider:
        with pytest.raises(GatewayContractError, match="401") as failed:
            await HttpPaymentGateway(provider).charge(charge)

    assert "wrong-secret" not in str(failed.value)


@pytest.mark.parametrize("fault", ["drop_after", "status:503"])
async def test_a_dispatch_whose_answer_is_lost_is_repeated_with_the_same_tracking_id(
    gateway: RunningGateway, provider: HttpProvider, fault: str
) -> None:
    carrier, order_id = HttpCarrierGateway(provider), f"o-{secrets.token_hex(6)}"
    await gateway.misbehave("POST", f"shipments/{order_id}/dispatch", fault)
    with pytest.raises(GatewayUnavailableError):
        await carrier.dispatch(order_id, Address(zip_code="12345"), 1)

    first = await carrier.dispatch(order_id, Address(zip_code="12345"), 1)

    assert first == await carrier.dispatch(order_id, Address(zip_code="12345"), 2)
