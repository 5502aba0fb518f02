"""Settings of traces."""

from typing import Annotated

from pydantic import BaseModel, Field

from orders.settings.types import WebAddress


class TelemetrySettings(BaseModel):
    """What the processes tell of themselves."""

    traces_endpoint: WebAddress | None = Field(
        None,
        description="Where traces are sent by OTLP over HTTP, the whole address: http://localhost:4318/v1/traces. "
        "Without it nothing is traced.",
    )
    traces_sample_ratio: Annotated[float, Field(ge=0, le=1)] = Field(
        0.01,
        description="Which share of the messages and requests that come without a trace begins one, from 0 to 1. One "
        "that comes with a trace follows its sender's decision.",
    )
