"""Settings of the API's process."""

from collections.abc import Iterator
from typing import Final

from pydantic import BaseModel, Field

from orders.settings.types import Count, Name, OptionalPort, WebAddress

CODEC_PATH: Final = "/codec"
"""Where the API decrypts what Temporal's UI and command line show."""


class ApiSettings(BaseModel):
    """The REST API and the console."""

    api_host: Name = Field(
        "127.0.0.1", description="Where the API and the console listen; 0.0.0.0 for all of the machine's addresses."
    )
    api_port: OptionalPort = Field(8000, description="Port of the API and the console; 0 for a free one.")
    api_health_port: OptionalPort = Field(
        0,
        description="Port on which the API's process answers whether it is alive and ready, and "
        "with its metrics (/metrics); 0 for none.",
    )
    api_requests_max: Count = Field(
        2_000, description="Requests that are served at once, waits and streams included; more are answered with 503."
    )
    api_streams_max: Count = Field(
        1_000, description="Event streams that are open at once; more are answered with 503."
    )
    api_body_max_bytes: int = Field(
        512 * 1024,
        ge=1_024,
        le=1024 * 1024,
        description="Longest body of a request; a longer one is answered with 413.",
    )
    api_codec_ui_origin: WebAddress | None = Field(
        None,
        description="Where Temporal's UI is, such as https://temporal.example: its pages may then have this API "
        "decrypt what they show, at /codec, for who is signed in with the role viewer. Unset, nobody's may.",
    )
    api_trusted_proxies: Name | None = Field(
        None,
        description="Addresses of the proxies before the API, separated by commas, whose X-Forwarded-For and "
        "X-Forwarded-Proto are believed; unset, nobody's are.",
    )


def contradictions(settings: ApiSettings, *, has_codec_keys: bool, production: bool) -> Iterator[str]:
    """A sentence for each setting of this group that cannot be meant.

    Args:
        settings: this group's.
        has_codec_keys: whether Temporal's payloads are encrypted.
        production: whether real orders are at stake.
    """
    origin = settings.api_codec_ui_origin
    if origin is None:
        return
    if not has_codec_keys:
        yield "API_CODEC_UI_ORIGIN is set without TEMPORAL_CODEC_KEYS: there is nothing to decrypt"
    if origin.count("/") != 2:  # noqa: PLR2004 -- those of ://
        yield "API_CODEC_UI_ORIGIN is an origin, as https://temporal.example, without a path: browsers send no more"
    if production and not origin.startswith("https://"):
        yield "ORDERS_ENVIRONMENT=production needs an https:// address as API_CODEC_UI_ORIGIN"
