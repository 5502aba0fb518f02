"""What every `PaymentGateway` does: the one in memory, the embedded sandbox, and the one over HTTP."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.adapters.http import HttpPaymentGateway, HttpProvider
from activities.adapters.postgres.schema import sandbox_ledger
from activities.adapters.sandbox import SandboxPaymentGateway
from activities.ports import GatewayPayment, PaymentGateway
from schemas.activity_io import ChargePayment
from schemas.states import PaymentStatus, ReasonCode
from tests.helpers.fakes import FakePaymentGateway
from tests.helpers.servers.gateway_server import RunningGateway

Moved = Callable[[str], Awaitable[list[str]]]
Case = tuple[PaymentGateway, Moved]


@pytest.fixture(params=["fake", "sandbox", "http"])
def case(request: pytest.FixtureRequest) -> Case:
    """A gateway, and its provider's ledger: the kinds of movement of a payment, charges first."""
    if request.param == "fake":
        fake = FakePaymentGateway()

        async def counted(payment_id: str) -> list[str]:
            return sorted(kind for (kind, moved) in fake.ledger.elements() if moved == payment_id)

        return fake, counted
    if request.param == "sandbox":
        engine: AsyncEngine = request.getfixturevalue("engine")

        async def booked(payment_id: str) -> list[str]:
            statement = select(sandbox_ledger.c.kind).where(sandbox_ledger.c.payment_id == payment_id)
            async with engine.connect() as connection:
                return sorted((await connection.execute(statement)).scalars())

        return SandboxPaymentGateway(engine), booked
    gateway: RunningGateway = request.getfixturevalue("gateway")
    provider: HttpProvider = request.getfixturevalue("provider")

    async def written(payment_id: str) -> list[str]:
        return sorted(gateway.moved(payment_id))

    return HttpPaymentGateway(provider), written


def charge(prefix: str = "p-") -> ChargePayment:
    return ChargePayment(order_id="o-1", payment_id=f"{prefix}{secrets.token_hex(6)}", amount=1250, currency="EUR")


async def test_a_charge_moves_money_once_however_often_it_is_asked(case: Case) -> None:
    gateway, moved = case
    asked = charge()

    outcomes = await asyncio.gather(*(gateway.charge(asked) for _ in range(10)))

    expected = GatewayPayment(payment_id=asked.payment_id, status=PaymentStatus.CHARGED, amount=1250, currency="EUR")
    assert set(outcomes) == {expected}
    assert await gateway.look_up(asked.payment_id) == expected
    assert await moved(asked.payment_id) == ["charge"]


async def test_a_declined_charge_moves_nothing_and_says_why(case: Case) -> None:
    gateway, moved = case
    asked = charge("decline-")

    for _ in range(2):
        payment = await gateway.charge(asked)
        assert (payment.status, payment.reason) == (PaymentStatus.DECLINED, ReasonCode.CARD_DECLINED)

    assert await moved(asked.payment_id) == []


async def test_a_refund_gives_a_charge_back_once(case: Case) -> None:
    gateway, moved = case
    asked = charge()
    await gateway.charge(asked)

    refunds = await asyncio.gather(*(gateway.refund(asked.payment_id) for _ in range(10)))

    assert {payment.status for payment in refunds} == {PaymentStatus.REFUNDED}
    assert await moved(asked.payment_id) == ["charge", "refund"]


async def test_a_charge_after_its_refund_moves_nothing(case: Case) -> None:
    gateway, moved = case
    asked = charge()
    await gateway.charge(asked)
    await gateway.refund(asked.payment_id)

    assert (await gateway.charge(asked)).status is PaymentStatus.REFUNDED
    assert await moved(asked.payment_id) == ["charge", "refund"]


async def test_a_refund_that_comes_before_its_charge_makes_it_impossible(case: Case) -> None:
    gateway, moved = case
    asked = charge()

    assert (await gateway.refund(asked.payment_id)).status is PaymentStatus.VOIDED
    assert (await gateway.charge(asked)).status is PaymentStatus.VOIDED
    assert await moved(asked.payment_id) == []


async def test_a_refund_of_a_declined_charge_moves_nothing(case: Case) -> None:
    gateway, moved = case
    asked = charge("decline-")
    await gateway.charge(asked)

    assert (await gateway.refund(asked.payment_id)).status is PaymentStatus.VOIDED
    assert await moved(asked.payment_id) == []


async def test_of_a_charge_and_a_refund_at_once_no_charge_is_left(case: Case) -> None:
    gateway, moved = case
    for _ in range(10):
        asked = charge()

        await asyncio.gather(gateway.charge(asked), gateway.refund(asked.payment_id))

        assert await moved(asked.payment_id) in ([], ["charge", "refund"])


async def test_an_unknown_payment_is_not_there(case: Case) -> None:
    gateway, _ = case

    assert await gateway.look_up("p-nobody-knows") is None
