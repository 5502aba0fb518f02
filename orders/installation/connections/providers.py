"""The payment provider and the carrier: asked for something that they never heard of."""

from datetime import timedelta
from typing import Final

from pydantic import SecretStr

from activities.adapters.http import HttpProvider
from activities.ports import GatewayContractError, GatewayNotAskedError, GatewayUnavailableError
from orders.installation.connections.findings import Finding, Verdict
from orders.settings import Settings

_NOTHING: Final = "connection-check"
"""No payment and no shipment has this id."""


async def try_providers(settings: Settings) -> list[Finding]:
    """Asks both; only reads."""
    return [
        await _try_one(
            "payment gateway",
            settings.payment_gateway_url,
            settings.payment_gateway_api_key,
            settings.payment_gateway_timeout_seconds,
            path=f"/payments/{_NOTHING}",
        ),
        await _try_one(
            "carrier gateway",
            settings.carrier_gateway_url,
            settings.carrier_gateway_api_key,
            settings.carrier_gateway_timeout_seconds,
            path=f"/shipments/{_NOTHING}",
        ),
    ]


async def _try_one(
    server: str, url: str | None, key: SecretStr | None, timeout_seconds: float, *, path: str
) -> Finding:
    setting = server.replace(" ", "_").upper()
    if url is None:
        detail = f"{setting}_URL is not set: the embedded sandbox stands in, which neither charges nor ships"
        return Finding(server, "connection", Verdict.LIMITED, detail)
    provider = HttpProvider(
        base_url=url,
        api_key=key.get_secret_value() if key else None,
        timeout=timedelta(seconds=timeout_seconds),
        settings=setting,
    )
    async with provider:
        try:
            await provider.call("GET", path)
        except GatewayNotAskedError as error:
            return Finding(server, "connection", Verdict.MISSING, str(error))
        except GatewayUnavailableError as error:
            return Finding(server, "connection", Verdict.MISSING, f"{url}: {error}", "start it, or look at its own log")
        except GatewayContractError:
            # A carrier need not be able to look anything up, and then answers as it likes.
            return Finding(server, "connection", Verdict.OK, f"{url} answers; whether it takes the key is not known")
    return Finding(server, "connection", Verdict.OK, f"{url} answers, and takes the key")
