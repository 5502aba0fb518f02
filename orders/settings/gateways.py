"""Settings of the payment provider and the carrier."""

from pathlib import Path

from pydantic import BaseModel, Field

from orders.settings.types import HeaderSecret, Seconds, WebAddress, secret_file


class GatewaySettings(BaseModel):
    """The providers that charge and ship."""

    payment_gateway_url: WebAddress | None = Field(
        None, description="The payment provider. Without it, the embedded sandbox, which moves no money."
    )
    payment_gateway_api_key: HeaderSecret | None = Field(None, description="The payment provider's key.")
    payment_gateway_api_key_file: Path | None = secret_file("PAYMENT_GATEWAY_API_KEY")
    payment_gateway_timeout_seconds: Seconds = Field(3, description="Longest wait for one answer of the provider.")
    carrier_gateway_url: WebAddress | None = Field(
        None, description="The carrier. Without it, the embedded sandbox, which ships nothing."
    )
    carrier_gateway_api_key: HeaderSecret | None = Field(None, description="The carrier's key.")
    carrier_gateway_api_key_file: Path | None = secret_file("CARRIER_GATEWAY_API_KEY")
    carrier_gateway_timeout_seconds: Seconds = Field(3, description="Longest wait for one answer of the carrier.")
