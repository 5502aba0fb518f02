"""The shipping activities on the port in memory."""

from typing import Any

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.errors import GATEWAY_UNAVAILABLE, SHIPMENT_REFUSED
from activities.shipping import ShippingActivities
from schemas.activity_io import DispatchedCarrier, PreparedPackage, Shipment
from schemas.order import Address
from tests.helpers.fakes import FakeCarrierGateway


@pytest.fixture
def carrier() -> FakeCarrierGateway:
    return FakeCarrierGateway()


def shipment(zip_code: str = "12345", attempt: int = 1) -> Shipment:
    return Shipment(order_id="o-1", address=Address(zip_code=zip_code), attempt=attempt)


async def run(activity: Any, argument: Shipment) -> Any:
    return await ActivityEnvironment().run(activity, argument)


async def test_a_package_is_prepared_and_dispatched(carrier: FakeCarrierGateway) -> None:
    activities = ShippingActivities(carrier)

    assert await run(activities.prepare_package, shipment()) == PreparedPackage(package_id="package-o-1")
    assert await run(activities.dispatch_carrier, shipment()) == DispatchedCarrier(tracking_id="track-o-1")


async def test_a_refused_shipment_is_not_retried_within_the_attempt(carrier: FakeCarrierGateway) -> None:
    with pytest.raises(ApplicationError) as failed:
        await run(ShippingActivities(carrier).dispatch_carrier, shipment("FAIL0"))

    assert (failed.value.type, failed.value.non_retryable) == (SHIPMENT_REFUSED, True)


@pytest.mark.parametrize("method", ["prepare", "dispatch"])
async def test_a_carrier_that_does_not_answer_is_asked_again(carrier: FakeCarrierGateway, method: str) -> None:
    activities = ShippingActivities(carrier)
    activity: Any = activities.prepare_package if method == "prepare" else activities.dispatch_carrier
    carrier.fail_next(1, method)

    with pytest.raises(ApplicationError) as failed:
        await run(activity, shipment())

    assert (failed.value.type, failed.value.non_retryable) == (GATEWAY_UNAVAILABLE, False)
    assert await run(activity, shipment())
