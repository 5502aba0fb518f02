"""Settings of the payment provider and the carrier."""

from pydantic import BaseModel, Field, SecretStr

from orders.settings.types import Seconds, WebAddress


class GatewaySettings(BaseModel):
    """The providers that charge and ship."""

    payment_gateway_url: WebAddress | None = Field(
        None, description="The payment provider. Without it, the embedded sandbox, which moves no money."
    )
    payment_gateway_api_key: SecretStr | None = Field(None, description="The payment provider's key.")
    payment_gateway_timeout_seconds: Seconds = Field(3, description="Longest wait for one answer of the provider.")
    carrier_gateway_url: WebAddress | None = Field(
        None, description="The carrier. Without it, the embedded sandbox, which ships nothing."
    )
    carrier_gateway_api_key: SecretStr | None = Field(None, description="The carrier's key.")
    carrier_gateway_timeout_seconds: Seconds = Field(3, description="Longest wait for one answer of the carrier.")
