"""The providers that charge and ship: over HTTP where an address is set, else the embedded sandbox."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.adapters.http import HttpCarrierGateway, HttpPaymentGateway, HttpProvider
from activities.adapters.measured import MeasuredCarrierGateway, MeasuredPaymentGateway
from activities.adapters.sandbox import SandboxCarrierGateway, SandboxPaymentGateway
from activities.ports import CarrierGateway, PaymentGateway
from orders.settings import Settings

_log = structlog.get_logger("orders.gateways")


@asynccontextmanager
async def payment_gateway(settings: Settings, engine: AsyncEngine) -> AsyncIterator[PaymentGateway]:
    """The payment provider; the engine is the sandbox's."""
    if settings.payment_gateway_url is None:
        _log.warning("gateway.sandbox", gateway="payment", action="set PAYMENT_GATEWAY_URL to move real money")
        yield MeasuredPaymentGateway(SandboxPaymentGateway(engine))
        return
    key = settings.payment_gateway_api_key
    async with HttpProvider(
        base_url=settings.payment_gateway_url,
        api_key=key.get_secret_value() if key else None,
        timeout=timedelta(seconds=settings.payment_gateway_timeout_seconds),
        settings="PAYMENT_GATEWAY",
    ) as provider:
        yield MeasuredPaymentGateway(HttpPaymentGateway(provider))


@asynccontextmanager
async def carrier_gateway(settings: Settings, engine: AsyncEngine) -> AsyncIterator[CarrierGateway]:
    """The carrier; the engine is the sandbox's."""
    if settings.carrier_gateway_url is None:
        _log.warning("gateway.sandbox", gateway="carrier", action="set CARRIER_GATEWAY_URL to ship real packages")
        yield MeasuredCarrierGateway(SandboxCarrierGateway(engine))
        return
    key = settings.carrier_gateway_api_key
    async with HttpProvider(
        base_url=settings.carrier_gateway_url,
        api_key=key.get_secret_value() if key else None,
        timeout=timedelta(seconds=settings.carrier_gateway_timeout_seconds),
        settings="CARRIER_GATEWAY",
    ) as provider:
        yield MeasuredCarrierGateway(HttpCarrierGateway(provider))
