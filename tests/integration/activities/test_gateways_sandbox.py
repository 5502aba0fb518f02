"""The embedded sandbox on a real server: its magic values, and its memory across processes."""

import secrets
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.adapters.postgres import create_engine
from activities.adapters.sandbox import SandboxCarrierGateway, SandboxPaymentGateway
from activities.ports import DatabaseUnavailableError, GatewayUnavailableError
from schemas.activity_io import ChargePayment
from schemas.order import Address
from schemas.states import PaymentStatus
from stack.endpoints import Endpoints
from tests.helpers.servers.databases import migrated_engine


@pytest.fixture(scope="module")
async def engine(endpoints: Endpoints) -> AsyncIterator[AsyncEngine]:
    async with migrated_engine(endpoints) as one:
        yield one


@pytest.fixture
async def other(engine: AsyncEngine) -> AsyncIterator[AsyncEngine]:
    """As another process would come to the same database."""
    one = create_engine(engine.url)
    yield one
    await one.dispose()


async def test_a_slow_payment_is_charged_by_the_first_call_and_answered_by_the_second(
    engine: AsyncEngine, other: AsyncEngine
) -> None:
    payment_id = f"slow-{secrets.token_hex(6)}"
    charge = ChargePayment(order_id="o-1", payment_id=payment_id, amount=1250, currency="EUR")
    with pytest.raises(GatewayUnavailableError, match="did not answer in time"):
        await SandboxPaymentGateway(engine).charge(charge)

    payment = await SandboxPaymentGateway(other).charge(charge)

    assert payment.status is PaymentStatus.CHARGED
    async with engine.connect() as connection:
        ledger = await connection.execute(
            text("SELECT kind, amount, currency FROM sandbox_ledger WHERE payment_id = :id"), {"id": payment_id}
        )
        assert [tuple(row) for row in ledger] == [("charge", 1250, "EUR")]


async def test_a_shipment_is_known_to_every_process(engine: AsyncEngine, other: AsyncEngine) -> None:
    order_id, home = f"o-{secrets.token_hex(6)}", Address(street="1 Long Road", zip_code="12345")
    tracking_id = await SandboxCarrierGateway(engine).dispatch(order_id, home, 1)

    again = await SandboxCarrierGateway(other).dispatch(order_id, Address(zip_code="FAIL0"), 2)

    assert again == tracking_id
    async with engine.connect() as connection:
        statement = text("SELECT address_json FROM sandbox_shipments WHERE order_id = :id")
        assert await connection.scalar(statement, {"id": order_id}) == {"street": "1 Long Road", "zip_code": "12345"}


async def test_books_that_cannot_be_opened_are_an_outage_of_ours(engine: AsyncEngine) -> None:
    nowhere = create_engine(engine.url.set(database="nowhere"))
    charge = ChargePayment(order_id="o-1", payment_id="p-1", amount=1, currency="EUR")

    with pytest.raises(DatabaseUnavailableError):
        await SandboxPaymentGateway(nowhere).charge(charge)

    await nowhere.dispose()
