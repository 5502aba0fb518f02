"""The settings of each part. A field's name in upper case is the setting's name; its description is its meaning.

The descriptions are what ``.env.example`` and docs/settings.md say: sentences for a person who runs the system.
"""

from enum import StrEnum
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field, SecretStr

from orders.settings.types import (
    BuildId,
    CodecKeys,
    Count,
    DeploymentName,
    KafkaServers,
    Name,
    OptionalPort,
    Port,
    Seconds,
    SizeBytes,
    TemporalServer,
    Topic,
    WebAddress,
)
from schemas.base import AMOUNT_MAX
from schemas.event_types import EventType


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
    temporal_api_key: SecretStr | None = Field(None, description="API key, as Temporal Cloud gives out.")
    temporal_codec_keys: CodecKeys | None = Field(
        None,
        description=(
            "Encrypts everything in Temporal's history (AES-256-GCM): id:key,id:key, each key 32 bytes in base64. "
            "The first encrypts, all decrypt; bridges, workers and commands need the same ones. Unset: no encryption."
        ),
    )
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


class DatabaseSettings(BaseModel):
    """The application's Postgres."""

    db_user: Name = Field("orders", description="Postgres user.")
    db_password: SecretStr | None = Field(None, description="Its password.")
    db_host: Name = Field("127.0.0.1", description="Postgres host.")
    db_port: Port = Field(5432, description="Postgres port.")
    db_name: Name = Field("orders", description="Postgres database.")
    db_pool_size: Count = Field(10, description="Most connections that one process holds.")
    db_connect_timeout_seconds: Seconds = Field(
        2, description="How long to try to connect, or to wait for a free connection, before Postgres counts as down."
    )
    db_statement_timeout_seconds: Seconds = Field(3, description="Longest that one statement may take.")
    db_lock_timeout_seconds: Seconds = Field(2, description="Longest that one statement may wait for a lock.")


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


class BridgeSettings(BaseModel):
    """A bridge process."""

    bridge_group_id: Name = Field("order-bridge", description="Kafka consumer group that all bridges share.")
    bridge_client_id: Name = Field("order-bridge", description="What the bridge calls itself towards Kafka.")
    bridge_health_port: OptionalPort = Field(
        0, description="Port on which a bridge answers whether it is alive and ready; 0 for none."
    )
    bridge_poll_records_max: Count = Field(500, description="Most records that one poll takes.")
    bridge_records_held_max: Count = Field(
        2_000, description="Most records that are held unsettled; then nothing more is taken until half are settled."
    )
    bridge_bytes_held_max: SizeBytes = Field(64 * 1024 * 1024, description="Most bytes of such records.")
    bridge_calls_in_flight_max: Count = Field(100, description="Most calls on Temporal at once.")
    bridge_value_max_bytes: SizeBytes = Field(
        512 * 1024, description="Longest value of a record; a longer one is set aside. Temporal's own limit is 2 MiB."
    )
    bridge_rpc_timeout_seconds: Seconds = Field(
        10, description="How long one call on Temporal may take before it is made again."
    )
    bridge_retry_initial_interval_seconds: Seconds = Field(
        0.1, description="Before the second attempt while a server is away; doubled each time."
    )
    bridge_retry_maximum_interval_seconds: Seconds = Field(
        5, description="Longest pause between two attempts while a server is away."
    )
    bridge_heartbeat_interval_seconds: Seconds = Field(
        3, description="How often a bridge tells Kafka that it lives; at most a third of the session time-out."
    )
    bridge_session_timeout_seconds: Seconds = Field(
        30, description="A bridge that Kafka has not heard of for so long loses its partitions to the others."
    )
    bridge_rebalance_timeout_seconds: Seconds = Field(
        45, description="How long a bridge may take to let go of partitions before Kafka takes them."
    )
    bridge_max_poll_interval_seconds: Seconds = Field(
        300, description="A bridge whose poll loop stands still for so long leaves the group."
    )
    bridge_commit_interval_seconds: Seconds = Field(
        0.5, description="Between two commits of offsets: what a crash may deliver again."
    )
    bridge_commit_timeout_seconds: Seconds = Field(5, description="How long one commit may take.")
    bridge_drain_timeout_seconds: Seconds = Field(
        10, description="How long records in flight may finish before the bridge stops or lets partitions go."
    )
    bridge_dead_letters_in_a_row_max: int = Field(
        500,
        ge=0,
        le=10**9,
        description="Most records set aside without a good one between; then the bridge stops, and sets nothing aside.",
    )
    bridge_dead_letters_share_max: float = Field(
        0.5, ge=0, le=1, description="Largest share of records set aside, likewise; 1 lifts this limit."
    )
    bridge_dead_letters_share_window: Count = Field(1_000, description="The records over which that share is taken.")
    bridge_dead_letters_limit_action: Literal["end", "wait"] = Field(
        "end",
        description="At either limit: end with status 5, or (for supervisors that start again whatever ends) wait, not "
        "ready, until told to stop.",
    )
    bridge_probe_interval_seconds: Seconds = Field(
        5, description="How often the bridge asks whether Kafka and Temporal answer."
    )
    bridge_watchdog_timeout_seconds: Seconds = Field(
        60, description="Without progress for so long, although both servers answer, the bridge ends to begin anew."
    )


class OrderSettings(BaseModel):
    """The order's rules, handed to each workflow as its policy when it starts."""

    order_approval_timeout_seconds: Seconds = Field(
        30, description="How long approval is awaited before the order is EXPIRED."
    )
    order_early_event_ttl_seconds: Seconds = Field(
        900, description="How long events that came before their order.created wait for it."
    )
    order_shipping_attempts: int = Field(
        3, ge=1, le=100, description="How often shipping is tried before the payment is refunded."
    )
    order_shipping_retry_delay_seconds: Seconds = Field(
        2, description="Between the end of a failed shipping attempt and the next."
    )
    order_activity_start_to_close_seconds: Seconds = Field(
        4, description="Longest that one attempt of one activity may take."
    )
    order_activity_schedule_to_close_seconds: Seconds = Field(
        600,
        description=(
            "Longest that all tries of a charge, or of one step of a shipping attempt, may take together: the charge's "
            "outcome is then unknown and it is voided, or given back; the shipping attempt is lost. All other "
            "activities, refunds included, are retried without limit."
        ),
    )
    order_retry_initial_interval_seconds: Seconds = Field(
        0.2, description="Before an activity's second attempt; doubled each time."
    )
    order_retry_maximum_interval_seconds: Seconds = Field(
        10, description="Longest pause between two attempts of an activity."
    )
    order_run_timeout_seconds: Seconds | None = Field(
        None,
        description=(
            "Ends a workflow run that takes longer, whatever it is doing. Off by default: "
            "a run that is cut off answers nobody and refunds nothing."
        ),
    )
    order_amount_max: int = Field(
        AMOUNT_MAX, ge=0, le=AMOUNT_MAX, description="Highest total, in minor units; an order above it is REJECTED."
    )


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


class WorkerSettings(BaseModel):
    """A worker process."""

    worker_build_id: BuildId | None = Field(
        None,
        description="Names this build of the workers, and has Temporal keep each order on the build it began on. New "
        "orders go to the build that an operator has made the current one (docs/evolving-workflows.md). Unset, any "
        "worker takes any order. All workers of one build have the same value, on both task queues.",
    )
    worker_deployment_name: DeploymentName = Field(
        "orders",
        description="What Temporal calls all builds of the workers together; of use with WORKER_BUILD_ID only.",
    )
    worker_health_port: OptionalPort = Field(
        0, description="Port on which a worker answers whether it is alive and ready; 0 for none."
    )
    worker_concurrent_activities: Count = Field(50, description="Activities that run at once on each task queue.")
    worker_concurrent_workflow_tasks: int = Field(
        50, ge=2, le=10_000, description="Workflow tasks that run at once on each task queue."
    )
    worker_cached_workflows: Count = Field(
        1_000, description="Workflows kept in memory; one that is not is replayed from its history."
    )
    worker_activity_pollers: int = Field(5, ge=1, le=100, description="Pollers for activities on each task queue.")
    worker_workflow_pollers: int = Field(5, ge=2, le=100, description="Pollers for workflow tasks on each task queue.")
    worker_shutdown_grace_seconds: Seconds = Field(
        10, description="How long running activities may finish when the worker stops; then they are cancelled."
    )
