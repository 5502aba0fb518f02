"""Settings of Kafka."""

from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field, SecretStr

from orders.settings.contradictions import half_a_pair, unused
from orders.settings.types import Count, HeaderSecret, KafkaServers, Name, Seconds, Topic, WebAddress, secret_file
from schemas.event_types import INBOUND, EventType


class KafkaSettings(BaseModel):
    """Kafka and its topics."""

    kafka_bootstrap_servers: KafkaServers = Field(
        "127.0.0.1:9092", description="Kafka brokers to begin with, as host:port, several separated by commas."
    )
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL."
    )
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"] | None = Field(
        None, description="PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER; for the SASL protocols."
    )
    kafka_sasl_username: str | None = Field(None, description="SASL user, for PLAIN and SCRAM.")
    kafka_sasl_password: SecretStr | None = Field(None, description="Its password.")
    kafka_sasl_password_file: Path | None = secret_file("KAFKA_SASL_PASSWORD")
    kafka_oauth_token_url: WebAddress | None = Field(
        None,
        description="Where an OpenID provider gives out tokens, for OAUTHBEARER: its token endpoint, which is asked "
        "with the client's id and secret (client credentials), and again before a token ends.",
    )
    kafka_oauth_client_id: Name | None = Field(None, description="The client's id at the provider.")
    kafka_oauth_client_secret: HeaderSecret | None = Field(None, description="The client's secret.")
    kafka_oauth_client_secret_file: Path | None = secret_file("KAFKA_OAUTH_CLIENT_SECRET")
    kafka_oauth_scope: Name | None = Field(None, description="Scopes that the token is asked for, with blanks between.")
    kafka_oauth_audience: Name | None = Field(
        None,
        description="Whom the token is for, where the provider wants to be told: sent as audience and as resource.",
    )
    kafka_oauth_ca_file: Path | None = Field(
        None, description="CA certificates (PEM) to trust for the provider, instead of the system's."
    )
    kafka_ssl_ca_file: Path | None = Field(None, description="CA certificates (PEM) to trust instead of the system's.")
    kafka_ssl_cert_file: Path | None = Field(None, description="Client certificate (PEM) for mutual TLS.")
    kafka_ssl_key_file: Path | None = Field(None, description="The client certificate's private key (PEM).")
    kafka_ssl_key_password: SecretStr | None = Field(
        None, description="The pass phrase of that key, where it is encrypted."
    )
    kafka_ssl_key_password_file: Path | None = secret_file("KAFKA_SSL_KEY_PASSWORD")
    kafka_request_timeout_seconds: Seconds = Field(
        10, description="How long a command waits for a broker's answer before it says that it cannot reach Kafka."
    )
    kafka_topic_order_created: Topic = Field(
        INBOUND[EventType.ORDER_CREATED].topic, description="Topic of placed orders."
    )
    kafka_topic_order_approved: Topic = Field(
        INBOUND[EventType.ORDER_APPROVED].topic, description="Topic of approvals."
    )
    kafka_topic_order_cancelled: Topic = Field(
        INBOUND[EventType.ORDER_CANCELLED].topic, description="Topic of cancellations."
    )
    kafka_topic_order_address_updated: Topic = Field(
        INBOUND[EventType.ORDER_ADDRESS_UPDATED].topic, description="Topic of changed addresses."
    )
    kafka_topic_order_events: Topic = Field("order.events", description="Topic that everything is published on.")
    kafka_topic_dead_letters: Topic = Field("order.dead_letters", description="Topic of records set aside.")
    kafka_topic_partitions: Count = Field(
        6,
        description=(
            "Partitions of each topic that orders migrate creates. The four inbound topics need equal counts, "
            "so that one order's messages are owned by one bridge."
        ),
    )
    kafka_topic_replication_factor: int | None = Field(
        None,
        ge=1,
        le=32_767,
        description="Replicas of each topic that orders migrate creates; unset, 3 or as many as there are brokers.",
    )

    @property
    def inbound_topics(self) -> dict[EventType, str]:
        """The topic of each inbound event type: the setting that has the event type in its name."""
        return {one: getattr(self, f"kafka_topic_{one.value.replace('.', '_')}") for one in EventType}


def contradictions(settings: KafkaSettings) -> Iterator[str]:
    """A sentence for each pair of these settings that cannot both be meant."""
    yield from _topics_of_one_name(settings)
    protocol = settings.kafka_security_protocol
    ssl = {name for name in KafkaSettings.model_fields if name.startswith("kafka_ssl_")}
    if protocol.startswith("SASL_"):
        yield from _incomplete_sasl(settings)
    else:
        yield from unused(
            settings, {*_PASSWORD, *_OAUTH, "kafka_sasl_mechanism"}, f"KAFKA_SECURITY_PROTOCOL={protocol}"
        )
    if not protocol.endswith("SSL"):
        yield from unused(settings, ssl, f"KAFKA_SECURITY_PROTOCOL={protocol}")
    yield from half_a_pair(settings, "kafka_ssl_cert_file", "kafka_ssl_key_file")


_PASSWORD = ("kafka_sasl_username", "kafka_sasl_password", "kafka_sasl_password_file")
_OAUTH = tuple(name for name in KafkaSettings.model_fields if name.startswith("kafka_oauth_"))
_OAUTH_NEEDED = ("kafka_oauth_client_id", "kafka_oauth_client_secret", "kafka_oauth_token_url")


def _incomplete_sasl(settings: KafkaSettings) -> Iterator[str]:
    mechanism = settings.kafka_sasl_mechanism
    by_token = mechanism == "OAUTHBEARER"
    needed: tuple[str, ...] = _OAUTH_NEEDED if by_token else ("kafka_sasl_password", "kafka_sasl_username")
    if mechanism is None:
        yield f"KAFKA_SECURITY_PROTOCOL={settings.kafka_security_protocol} needs KAFKA_SASL_MECHANISM, which is not set"
    because = f"KAFKA_SASL_MECHANISM={mechanism}" if mechanism else "no KAFKA_SASL_MECHANISM"
    yield from (
        f"KAFKA_SECURITY_PROTOCOL={settings.kafka_security_protocol} needs {name.upper()}, which is not set"
        for name in needed
        if getattr(settings, name) is None
    )
    yield from unused(settings, _PASSWORD if by_token else _OAUTH, because)


def _topics_of_one_name(settings: KafkaSettings) -> Iterator[str]:
    names = [name for name in KafkaSettings.model_fields if name.startswith("kafka_topic_")]
    topics = [name for name in names if isinstance(getattr(settings, name), str)]
    for first, second in combinations(topics, 2):
        if getattr(settings, first) == getattr(settings, second):
            yield (
                f"{first.upper()} and {second.upper()} are both {getattr(settings, first)!r}: "
                "each needs a topic of its own"
            )
