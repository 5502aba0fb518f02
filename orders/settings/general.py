"""Settings of the installation as a whole."""

from collections.abc import Iterator
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, Field

from orders.failpoints import Failpoints
from orders.settings.types import Name, PlainServers


class Environment(StrEnum):
    """Where this installation runs."""

    DEVELOPMENT = "development"
    PRODUCTION = "production"


class GeneralSettings(BaseModel):
    """The installation."""

    orders_environment: Environment = Field(
        Environment.DEVELOPMENT,
        description="development, or production, which refuses the embedded sandbox gateways, failpoints, and ways to "
        "servers on which somebody could listen or stand in between.",
    )
    orders_unprotected: PlainServers = Field(
        "",
        description="Servers that production may reach without TLS, or without knowing whom it reaches, as something "
        "else keeps the way safe, such as a mesh: some of kafka, temporal, postgres, payment, carrier and kafka-oauth, "
        "separated by commas.",
    )
    events_source: Name = Field(
        "/orders",
        description="ce_source of everything published on order.events: a URI reference that names this installation.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="What is logged at least.")
    log_format: Literal["auto", "console", "json"] = Field(
        "auto", description="console for a person, json for a collector; auto is console on a terminal, else json."
    )
    health_bind_address: Name = Field(
        "127.0.0.1",
        description="Where bridges, workers and the API answer /livez and /readyz; 0.0.0.0 for all of the machine's "
        "addresses.",
    )
    failpoints: str = Field(
        "",
        description=(
            "For tests: where a bridge or worker is to be struck, as name:action[@hit], several separated by commas. "
            "Refused in production."
        ),
    )

    @property
    def is_production(self) -> bool:
        """Whether real orders are at stake, so that neither stand-ins nor failpoints are allowed."""
        return self.orders_environment is Environment.PRODUCTION

    def parse_failpoints(self) -> Failpoints | None:
        """The failpoints that FAILPOINTS sets, with no hit counted yet; None where it sets none.

        Raises:
            ValueError: FAILPOINTS is malformed, or set in production.
        """
        return Failpoints.parse(self.failpoints, production=self.is_production)


def contradictions(settings: GeneralSettings) -> Iterator[str]:
    """A sentence where FAILPOINTS is malformed, or set in production."""
    try:
        settings.parse_failpoints()
    except ValueError as error:
        yield str(error).replace("in production", "with ORDERS_ENVIRONMENT=production")
