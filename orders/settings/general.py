"""The settings of each part. A field's name in upper case is the setting's name; its description is its meaning.

The descriptions are what ``.env.example`` and docs/settings.md say: sentences for a person who runs the system.
"""

from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, Field

from orders.settings.types import (
    Name,
)


class Environment(StrEnum):
    """Where this installation runs."""

    DEVELOPMENT = "development"
    PRODUCTION = "production"


class GeneralSettings(BaseModel):
    """The installation."""

    orders_environment: Environment = Field(
        Environment.DEVELOPMENT,
        description="development, or production, which refuses the embedded sandbox gateways.",
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
        description="Where bridges and workers answer /livez and /readyz; 0.0.0.0 for all of the machine's addresses.",
    )
    failpoints: str = Field(
        "",
        description=(
            "For tests: where a bridge or worker is to be struck, as name:action[@hit], several separated by commas. "
            "Refused in production."
        ),
    )
