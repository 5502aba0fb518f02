"""Settings of Temporal."""

from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel, Field, SecretStr

from orders.settings.contradictions import half_a_pair, unused
from orders.settings.types import CodecKeys, HeaderSecret, Name, Seconds, TemporalServer, WebAddress, secret_file


class TemporalSettings(BaseModel):
    """Temporal's front end."""

    temporal_host: TemporalServer = Field("127.0.0.1:7233", description="Temporal's front end, as host:port.")
    temporal_namespace: Name = Field("default", description="The namespace, which must exist.")
    temporal_tls: bool = Field(False, description="Whether to connect by TLS. An API key needs it.")
    temporal_tls_server_ca_file: Path | None = Field(
        None, description="CA certificates (PEM) to trust instead of the system's."
    )
    temporal_tls_client_cert_file: Path | None = Field(None, description="Client certificate (PEM) for mutual TLS.")
    temporal_tls_client_key_file: Path | None = Field(None, description="The client certificate's private key (PEM).")
    temporal_tls_client_key_password: SecretStr | None = Field(
        None, description="The pass phrase of that key, where it is encrypted."
    )
    temporal_tls_client_key_password_file: Path | None = secret_file("TEMPORAL_TLS_CLIENT_KEY_PASSWORD")
    temporal_api_key: HeaderSecret | None = Field(None, description="API key, as Temporal Cloud gives out.")
    temporal_api_key_file: Path | None = secret_file("TEMPORAL_API_KEY")
    temporal_codec_keys: CodecKeys | None = Field(
        None,
        description=(
            "Encrypts everything in Temporal's history (AES-256-GCM): id:key,id:key, each key 32 bytes in base64. "
            "The first encrypts, all decrypt; bridges, workers and commands need the same ones. Unset: no encryption."
        ),
    )
    temporal_codec_keys_file: Path | None = secret_file("TEMPORAL_CODEC_KEYS")
    temporal_codec_allow_unencrypted: bool = Field(
        False,
        description=(
            "Whether payloads without encryption are read although TEMPORAL_CODEC_KEYS is set: for the time in which "
            "encryption is introduced. Otherwise they are refused."
        ),
    )
    temporal_search_attributes: bool = Field(
        True,
        description=(
            "Whether orders can be searched in Temporal by their state, customer and payment. "
            "orders migrate registers the search attributes, and a worker needs them."
        ),
    )
    temporal_ui_url: WebAddress | None = Field(None, description="Temporal's web UI; only shown to people.")
    temporal_connect_timeout_seconds: Seconds = Field(
        5, description="How long a command tries to reach Temporal before it says that it cannot. Processes wait on."
    )


def contradictions(settings: TemporalSettings) -> Iterator[str]:
    """A sentence for each pair of these settings that cannot both be meant."""
    if not settings.temporal_tls:
        tls = {name for name in TemporalSettings.model_fields if name.startswith("temporal_tls_")}
        yield from unused(settings, tls | {"temporal_api_key", "temporal_api_key_file"}, "TEMPORAL_TLS=false")
    if settings.temporal_codec_allow_unencrypted and settings.temporal_codec_keys is None:
        yield "TEMPORAL_CODEC_ALLOW_UNENCRYPTED is set without TEMPORAL_CODEC_KEYS: nothing is encrypted anyway"
    yield from half_a_pair(settings, "temporal_tls_client_cert_file", "temporal_tls_client_key_file")
