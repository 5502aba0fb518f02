"""A provider over HTTP and its clients, for the tests of the gateways."""

import secrets
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from activities.adapters.http import HttpPaymentGateway, HttpProvider
from schemas.activity_io import ChargePayment
from tests.helpers.servers.gateway_server import RunningGateway, running_gateway

TIMEOUT, SHORT_TIMEOUT = timedelta(seconds=10), timedelta(seconds=0.5)
"""The first is longer than anything takes here that is not made to take long."""


@pytest.fixture(scope="module")
async def gateway(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningGateway]:
    async with running_gateway(tmp_path_factory.mktemp("gateway")) as one:
        yield one


@pytest.fixture
async def provider(gateway: RunningGateway) -> AsyncIterator[HttpProvider]:
    async with HttpProvider(
        base_url=gateway.url, api_key=gateway.api_key, timeout=TIMEOUT, settings="PAYMENT_GATEWAY"
    ) as one:
        yield one


@pytest.fixture
def payments(provider: HttpProvider) -> HttpPaymentGateway:
    return HttpPaymentGateway(provider)


@pytest.fixture
async def hasty(gateway: RunningGateway) -> AsyncIterator[HttpPaymentGateway]:
    """The same provider, by a client that does not wait for long."""
    async with HttpProvider(
        base_url=gateway.url, api_key=gateway.api_key, timeout=SHORT_TIMEOUT, settings="PAYMENT_GATEWAY"
    ) as one:
        yield HttpPaymentGateway(one)


@pytest.fixture
def charge() -> ChargePayment:
    return ChargePayment(order_id="o-1", payment_id=f"p-{secrets.token_hex(6)}", amount=1250, currency="EUR")
