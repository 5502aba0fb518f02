"""Settings of Kafka."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field, SecretStr

from orders.settings.types import Count, KafkaServers, Seconds, Topic
from schemas.event_types import EventType


class KafkaSettings(BaseModel):
    """Kafka and its topics."""

    kafka_bootstrap_servers: KafkaServers = Field(
        "127.0.0.1:9092", description="Kafka brokers to begin with, as host:port, several separated by commas."
    )
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL."
    )
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = Field(
        None, description="PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512; for the SASL protocols."
    )
    kafka_sasl_username: str | None = Field(None, description="SASL user.")
    kafka_sasl_password: SecretStr | None = Field(None, description="Its password.")
    kafka_ssl_ca_file: Path | None = Field(None, description="CA certificates (PEM) to trust instead of the system's.")
    kafka_ssl_cert_file: Path | None = Field(None, description="Client certificate (PEM) for mutual TLS.")
    kafka_ssl_key_file: Path | None = Field(None, description="The client certificate's private key (PEM).")
    kafka_request_timeout_seconds: Seconds = Field(
        10, description="How long a command waits for a broker's answer before it says that it cannot reach Kafka."
    )
    kafka_topic_order_created: Topic = Field(EventType.ORDER_CREATED.value, description="Topic of placed orders.")
    kafka_topic_order_approved: Topic = Field(EventType.ORDER_APPROVED.value, description="Topic of approvals.")
    kafka_topic_order_cancelled: Topic = Field(EventType.ORDER_CANCELLED.value, description="Topic of cancellations.")
    kafka_topic_order_address_updated: Topic = Field(
        EventType.ORDER_ADDRESS_UPDATED.value, description="Topic of changed addresses."
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
        """The topic of each inbound event type."""
        return {
            EventType.ORDER_CREATED: self.kafka_topic_order_created,
            EventType.ORDER_APPROVED: self.kafka_topic_order_approved,
            EventType.ORDER_CANCELLED: self.kafka_topic_order_cancelled,
            EventType.ORDER_ADDRESS_UPDATED: self.kafka_topic_order_address_updated,
        }
