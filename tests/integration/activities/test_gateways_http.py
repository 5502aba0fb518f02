"""The HTTP gateways against a server process that misbehaves; its ledger says what was moved (I6)."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError

from activities.adapters.http import HttpCarrierGateway, HttpPaymentGateway, HttpProvider, Meaning, _payment
from activities.payments import PaymentActivities
from activities.ports import (
    GatewayContractError,
    GatewayNotAskedError,
    GatewayUnavailableError,
    ShipmentRefusedError,
)
from schemas.activity_io import ChargePayment
from schemas.order import Address
from schemas.states import PaymentStatus, ReasonCode
from tests.helpers.attempts import attempt_environment
from tests.helpers.fakes import InMemoryPaymentStore
from tests.helpers.messages.payments import body_of, refund_of
from tests.helpers.servers.gateway_server import RunningGateway, running_gateway
from tests.helpers.system.waiting import assert_eventually


async def test_a_provider_killed_after_the_charge_answers_the_repeat_from_its_books(
    tmp_path: Path, charge: ChargePayment
) -> None:
    async with running_gateway(tmp_path) as first:
        provider = HttpProvider(
            base_url=first.url, api_key=first.api_key, timeout=timedelta(seconds=10), settings="PAYMENT_GATEWAY"
        )
        await first.misbehave("POST", "payments", "drop_after")
        with pytest.raises(GatewayUnavailableError):
            await HttpPaymentGateway(provider).charge(charge)
    with pytest.raises(GatewayUnavailableError, match="cannot be reached"):
        await HttpPaymentGateway(provider).charge(charge)

    async with running_gateway(tmp_path, port=first.port) as second:
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
    assert requests[0]["body"] == charge.model_dump(exclude={"patience"})
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


LATER = {202, 408, 409, 425, 429, 500, 501, 502, 503, 504, 599}
NOT_UNDERSTOOD = {204, 206, 301, 302, 307, 400, 405, 406, 410, 418, 451}
OURS = {401: "PAYMENT_GATEWAY_API_KEY", 403: "PAYMENT_GATEWAY_API_KEY", 404: "PAYMENT_GATEWAY_URL"}
"""What we have to mend, and the setting that the error names."""
ADDRESS = Address(street="1 Canary Street", zip_code="12345")


@pytest.mark.parametrize("status", sorted(LATER | NOT_UNDERSTOOD | {402, 422} | set(OURS)))
async def test_each_status_means_what_the_one_table_says_and_no_error_tells_a_value(
    gateway: RunningGateway,
    provider: HttpProvider,
    payments: HttpPaymentGateway,
    charge: ChargePayment,
    status: int,
) -> None:
    carrier, payment_id, order_id = HttpCarrierGateway(provider), charge.payment_id, f"o-{secrets.token_hex(6)}"
    calls: dict[tuple[str, str], Callable[[], Awaitable[object]]] = {
        ("POST", "payments"): lambda: payments.charge(charge),
        ("POST", f"payments/{payment_id}/refund"): lambda: payments.refund(payment_id),
        ("GET", f"payments/{payment_id}"): lambda: payments.look_up(payment_id),
        ("POST", "shipments"): lambda: carrier.prepare(order_id, ADDRESS, 1),
        ("POST", f"shipments/{order_id}/dispatch"): lambda: carrier.dispatch(order_id, ADDRESS, 1),
    }
    for (method, path), call in calls.items():
        await gateway.misbehave(method, path, f"status:{status}")
        if (method, status) == ("GET", 404):
            assert await call() is None
            continue
        expected: type[Exception] = GatewayUnavailableError if status in LATER else GatewayContractError
        if status == 422 and path.startswith("shipments"):
            expected = ShipmentRefusedError
        if status in OURS:
            expected = GatewayNotAskedError
        with pytest.raises(expected, match=OURS.get(status)) as failed:
            await call()
        assert not [value for value in (payment_id, order_id, "Canary", gateway.api_key) if value in str(failed.value)]
    assert gateway.moved(payment_id) == []


async def test_a_payment_that_is_declined_by_402_must_say_so(
    payments: HttpPaymentGateway, charge: ChargePayment
) -> None:
    declined = charge.model_copy(update={"payment_id": f"decline-{charge.payment_id}"})

    payment = await payments.charge(declined)

    # The provider's own reason is none of our contract.
    assert (payment.status, payment.reason) == (PaymentStatus.DECLINED, ReasonCode.CARD_DECLINED)
    with pytest.raises(GatewayContractError, match="402 with a payment that is charged"):
        # As in a status that contradicts its body.
        _payment(charge.payment_id, Meaning.DECLINED, body_of(charge, "charged").removeprefix("body:").encode())


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


@pytest.mark.parametrize("looked_up", [False, True], ids=["charged", "looked up"])
@pytest.mark.parametrize("other", OTHERS, ids=str)
async def test_an_answer_about_other_money_is_not_taken_for_a_charge(
    gateway: RunningGateway,
    payments: HttpPaymentGateway,
    charge: ChargePayment,
    other: dict[str, Any],
    *,
    looked_up: bool,
) -> None:
    store = InMemoryPaymentStore()
    if looked_up:
        await store.claim(charge)
        await gateway.misbehave("GET", f"payments/{charge.payment_id}", body_of(charge, "charged", **other))
    else:
        await gateway.misbehave("POST", "payments", body_of(charge, "charged", **other))

    with pytest.raises(ApplicationError) as failed:
        await attempt_environment().run(PaymentActivities(store, payments).charge_payment, charge)

    assert (failed.value.type, failed.value.non_retryable) == ("GatewayContradiction", False)
    assert store.claims[charge.payment_id].status is PaymentStatus.PENDING


REFUNDS: list[tuple[str, dict[str, Any]]] = [
    ("refunded", {"amount": 1}),
    ("refunded", {"currency": "USD"}),
    ("refunded", {"payment_id": "p-other"}),
    ("voided", {}),
    ("charged", {}),
    ("declined", {}),
]


@pytest.mark.parametrize(("status", "other"), REFUNDS, ids=str)
async def test_an_answer_that_is_no_refund_of_what_was_charged_is_not_taken_for_one(
    gateway: RunningGateway, payments: HttpPaymentGateway, charge: ChargePayment, status: str, other: dict[str, Any]
) -> None:
    store = InMemoryPaymentStore()
    activities, environment = PaymentActivities(store, payments), attempt_environment()
    await environment.run(activities.charge_payment, charge)
    await gateway.misbehave("POST", f"payments/{charge.payment_id}/refund", body_of(charge, status, **other))

    with pytest.raises(ApplicationError) as failed:
        await environment.run(activities.refund_payment, refund_of(charge))

    assert failed.value.type == "GatewayContradiction"
    assert store.claims[charge.payment_id].status is PaymentStatus.CHARGED


async def test_a_charge_of_another_amount_than_was_asked_is_given_back_whole(
    gateway: RunningGateway, payments: HttpPaymentGateway, charge: ChargePayment
) -> None:
    store = InMemoryPaymentStore()
    await payments.charge(charge.model_copy(update={"amount": 999_999}))
    activities, environment = PaymentActivities(store, payments), attempt_environment()
    with pytest.raises(ApplicationError):
        await environment.run(activities.charge_payment, charge)

    result = await environment.run(activities.refund_payment, refund_of(charge))

    assert result.status is PaymentStatus.REFUNDED
    assert [(entry.kind, entry.amount) for entry in gateway.ledger() if entry.payment_id == charge.payment_id] == [
        ("charge", 999_999),
        ("refund", 999_999),
    ]


async def test_a_wrong_key_is_told_and_shown_nowhere(gateway: RunningGateway, charge: ChargePayment) -> None:
    async with HttpProvider(
        base_url=gateway.url, api_key="wrong-secret", timeout=timedelta(seconds=10), settings="PAYMENT_GATEWAY"
    ) as provider:
        with pytest.raises(GatewayNotAskedError, match=r"401.*PAYMENT_GATEWAY_API_KEY") as failed:
            await HttpPaymentGateway(provider).charge(charge)

    assert "wrong-secret" not in str(failed.value)


ELSEWHERE = {
    "https://provider.invalid": (GatewayNotAskedError, "name of the provider's host.*CARRIER_GATEWAY_URL"),
    "http://[2001:db8::1]": (GatewayNotAskedError, "no way from here.*CARRIER_GATEWAY_URL"),
    "http://127.0.0.1:1": (GatewayUnavailableError, "cannot be reached"),
}
"""Where nobody answers; the first two are names and networks of ours, the last is a provider that is away."""


@pytest.mark.parametrize(("url", "expected"), ELSEWHERE.items(), ids=list(ELSEWHERE))
async def test_a_provider_that_is_away_is_told_from_a_way_that_is_missing(
    url: str, expected: tuple[type[Exception], str]
) -> None:
    error, text = expected
    async with HttpProvider(
        base_url=url, api_key=None, timeout=timedelta(seconds=10), settings="CARRIER_GATEWAY"
    ) as provider:
        with pytest.raises(error, match=text):
            await HttpCarrierGateway(provider).prepare("o-1", ADDRESS, 1)


async def test_a_provider_that_speaks_no_tls_is_not_asked() -> None:
    async def speak_plainly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(speak_plainly, "127.0.0.1", 0) as server:
        url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with HttpProvider(
            base_url=url, api_key=None, timeout=timedelta(seconds=10), settings="CARRIER_GATEWAY"
        ) as provider:
            with pytest.raises(GatewayNotAskedError, match=r"TLS.*CARRIER_GATEWAY_URL"):
                await HttpCarrierGateway(provider).prepare("o-1", ADDRESS, 1)


async def test_a_key_that_no_header_can_hold_is_told(gateway: RunningGateway, charge: ChargePayment) -> None:
    async with HttpProvider(
        base_url=gateway.url, api_key="two\nlines", timeout=timedelta(seconds=10), settings="PAYMENT_GATEWAY"
    ) as provider:
        with pytest.raises(GatewayNotAskedError, match="correct PAYMENT_GATEWAY_API_KEY"):
            await HttpPaymentGateway(provider).charge(charge)


async def test_as_many_calls_as_are_made_are_under_way_at_once() -> None:
    """A call that waited for a connection of ours would look like a provider that does not answer."""
    connections: list[asyncio.StreamWriter] = []
    is_over = asyncio.Event()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        connections.append(writer)
        await is_over.wait()
        writer.close()

    async with await asyncio.start_server(listen, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with HttpProvider(
            base_url=url, api_key=None, timeout=timedelta(seconds=60), settings="CARRIER_GATEWAY"
        ) as provider:
            carrier = HttpCarrierGateway(provider)
            calls = [asyncio.create_task(carrier.prepare(f"o-{number}", ADDRESS, 1)) for number in range(150)]
            await assert_eventually(lambda: len(connections) == len(calls))
            is_over.set()
            outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {GatewayUnavailableError}


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
