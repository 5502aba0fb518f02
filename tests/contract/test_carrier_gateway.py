"""What every `CarrierGateway` does: the one in memory, the embedded sandbox, and the one over HTTP."""

import asyncio
import secrets

import pytest

from activities.adapters.http import HttpCarrierGateway
from activities.adapters.sandbox import SandboxCarrierGateway
from activities.ports import CarrierGateway, ShipmentRefusedError
from schemas.order import Address
from tests.helpers.fakes import FakeCarrierGateway

HOME = Address(street="1 Long Road", zip_code="12345")
NOWHERE = Address(zip_code="FAIL0")
FLAKY = Address(zip_code="FLAKY")


@pytest.fixture(params=["fake", "sandbox", "http"])
def carrier(request: pytest.FixtureRequest) -> CarrierGateway:
    if request.param == "fake":
        return FakeCarrierGateway()
    if request.param == "sandbox":
        return SandboxCarrierGateway(request.getfixturevalue("engine"))
    return HttpCarrierGateway(request.getfixturevalue("provider"))


@pytest.fixture
def order_id() -> str:
    return f"o-{secrets.token_hex(6)}"


async def test_a_package_is_prepared_and_dispatched_once_however_often_it_is_asked(
    carrier: CarrierGateway, order_id: str
) -> None:
    packages = await asyncio.gather(*(carrier.prepare(order_id, HOME, 1) for _ in range(5)))
    tracking = await asyncio.gather(*(carrier.dispatch(order_id, HOME, 1) for _ in range(5)))

    assert len(set(packages)) == 1
    assert len(set(tracking)) == 1
    assert set(packages) != set(tracking)


async def test_two_orders_have_two_shipments(carrier: CarrierGateway, order_id: str) -> None:
    assert await carrier.dispatch(order_id, HOME, 1) != await carrier.dispatch(f"{order_id}-2", HOME, 1)


async def test_some_addresses_are_never_shipped_to(carrier: CarrierGateway, order_id: str) -> None:
    for attempt in range(1, 5):
        await carrier.prepare(order_id, NOWHERE, attempt)
        with pytest.raises(ShipmentRefusedError):
            await carrier.dispatch(order_id, NOWHERE, attempt)


async def test_some_addresses_are_shipped_to_at_the_third_attempt(carrier: CarrierGateway, order_id: str) -> None:
    for attempt in (1, 2, 1):
        await carrier.prepare(order_id, FLAKY, attempt)
        with pytest.raises(ShipmentRefusedError):
            await carrier.dispatch(order_id, FLAKY, attempt)

    assert await carrier.dispatch(order_id, FLAKY, 3)


async def test_what_is_dispatched_stays_so(carrier: CarrierGateway, order_id: str) -> None:
    tracking_id = await carrier.dispatch(order_id, HOME, 1)

    assert await carrier.dispatch(order_id, NOWHERE, 2) == tracking_id
