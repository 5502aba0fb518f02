"""The settings as one frozen model, and what makes two of them contradict each other."""

from collections.abc import Iterator
from datetime import timedelta
from itertools import combinations
from typing import Final, Self

from pydantic import model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from activities.failpoints import Failpoints
from orders.settings.bridge import BridgeSettings
from orders.settings.database import DatabaseSettings
from orders.settings.gateways import GatewaySettings
from orders.settings.general import Environment, GeneralSettings
from orders.settings.kafka import KafkaSettings
from orders.settings.order import OrderSettings
from orders.settings.temporal import TemporalSettings
from orders.settings.types import _span
from orders.settings.worker import WorkerSettings
from schemas.order import OrderPolicy

STOP_TIMEOUT_SECONDS = 25.0
"""A process that is told to stop has stopped by then: below the 30 s after which orchestrators kill (I13)."""

ENDPOINT_SETTINGS = ("kafka_bootstrap_servers", "temporal_host", "db_host")
"""Where none of these is set, commands use a running local stack."""

GROUPS = (
    GeneralSettings,
    TemporalSettings,
    KafkaSettings,
    DatabaseSettings,
    BridgeSettings,
    OrderSettings,
    GatewaySettings,
    WorkerSettings,
)
"""In the order in which they are documented."""


class Settings(
    GeneralSettings,
    TemporalSettings,
    KafkaSettings,
    DatabaseSettings,
    BridgeSettings,
    OrderSettings,
    GatewaySettings,
    WorkerSettings,
    BaseSettings,
):
    """Everything that can be set."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="ignore",
        env_file=".env",
        env_file_encoding="utf-8",
        env_ignore_empty=True,
        hide_input_in_errors=True,
    )

    @property
    def names_endpoints(self) -> bool:
        """Whether the environment or ``.env`` says where any server is."""
        return not self.model_fields_set.isdisjoint(ENDPOINT_SETTINGS)

    @model_validator(mode="after")
    def _nothing_contradicts(self) -> Self:
        contradictions = list(_contradictions(self))
        if contradictions:
            raise ValueError("\n".join(contradictions))
        return self


def _contradictions(settings: Settings) -> Iterator[str]:
    """One sentence for each pair of settings that cannot both be meant, naming both."""
    yield from _contradictory_times(settings)
    yield from _contradictory_topics(settings)
    yield from _contradictory_security(settings)
    yield from _sandbox_in_production(settings)
    try:
        Failpoints.parse(settings.failpoints, production=settings.orders_environment is Environment.PRODUCTION)
    except ValueError as error:
        yield str(error).replace("in production", "with ORDERS_ENVIRONMENT=production")


_NOT_LONGER: Final = (
    # (must not be longer, than)
    ("order_activity_start_to_close_seconds", "order_activity_schedule_to_close_seconds"),
    ("order_retry_initial_interval_seconds", "order_retry_maximum_interval_seconds"),
    # A run that ends before its order could be approved, or its first event come, is cut off for no fault of its own.
    ("order_approval_timeout_seconds", "order_run_timeout_seconds"),
    ("order_early_event_ttl_seconds", "order_run_timeout_seconds"),
    ("bridge_retry_initial_interval_seconds", "bridge_retry_maximum_interval_seconds"),
    ("bridge_session_timeout_seconds", "bridge_max_poll_interval_seconds"),
    # A gateway's answer that comes after the attempt is over is an outcome that nobody hears of.
    ("payment_gateway_timeout_seconds", "order_activity_start_to_close_seconds"),
    ("carrier_gateway_timeout_seconds", "order_activity_start_to_close_seconds"),
)

_STOPPING: Final = (
    ("bridge_drain_timeout_seconds", "bridge_commit_timeout_seconds", "bridge_commit_timeout_seconds"),
    ("worker_shutdown_grace_seconds",),
)
"""Spans that a stop may have to wait for, one after the other."""


def _contradictory_times(settings: Settings) -> Iterator[str]:
    for shorter, longer in _NOT_LONGER:
        low, high = getattr(settings, shorter), getattr(settings, longer)
        if high is not None and low > high:
            yield (
                f"{longer.upper()} ({high:g}) is below {shorter.upper()} ({low:g}): raise the first or lower the second"
            )
    if settings.bridge_heartbeat_interval_seconds * 3 > settings.bridge_session_timeout_seconds:
        yield (
            f"BRIDGE_HEARTBEAT_INTERVAL_SECONDS ({settings.bridge_heartbeat_interval_seconds:g}) is above a third of "
            f"BRIDGE_SESSION_TIMEOUT_SECONDS ({settings.bridge_session_timeout_seconds:g})"
        )
    # A commit may be under way when the drain ends: it is waited for, and the last one comes after it.
    letting_go = settings.bridge_drain_timeout_seconds + 2 * settings.bridge_commit_timeout_seconds
    if letting_go >= settings.bridge_rebalance_timeout_seconds:
        yield (
            "BRIDGE_DRAIN_TIMEOUT_SECONDS and twice BRIDGE_COMMIT_TIMEOUT_SECONDS together "
            f"({letting_go:g}) are not below BRIDGE_REBALANCE_TIMEOUT_SECONDS "
            f"({settings.bridge_rebalance_timeout_seconds:g})"
        )
    patience = {
        "BRIDGE_REBALANCE_TIMEOUT_SECONDS": settings.bridge_rebalance_timeout_seconds,
        "twice BRIDGE_RPC_TIMEOUT_SECONDS": 2 * settings.bridge_rpc_timeout_seconds,
    }
    for name, seconds in patience.items():
        if settings.bridge_watchdog_timeout_seconds <= seconds:
            yield (
                f"BRIDGE_WATCHDOG_TIMEOUT_SECONDS ({settings.bridge_watchdog_timeout_seconds:g}) is not above {name} "
                f"({seconds:g})"
            )
    for names in _STOPPING:
        total = sum(getattr(settings, name) for name in names)
        if total >= STOP_TIMEOUT_SECONDS:
            listed = " and ".join(name.upper() for name in dict.fromkeys(names))
            yield (
                f"{listed} ({total:g} in all) not below the {STOP_TIMEOUT_SECONDS:g} seconds within which a process "
                "that is told to stop has stopped: lower it"
            )


def _contradictory_topics(settings: Settings) -> Iterator[str]:
    names = [name for name in KafkaSettings.model_fields if name.startswith("kafka_topic_")]
    topics = [name for name in names if isinstance(getattr(settings, name), str)]
    for first, second in combinations(topics, 2):
        if getattr(settings, first) == getattr(settings, second):
            yield (
                f"{first.upper()} and {second.upper()} are both {getattr(settings, first)!r}: "
                "each needs a topic of its own"
            )


def _contradictory_security(settings: Settings) -> Iterator[str]:
    protocol = settings.kafka_security_protocol
    sasl = {name for name in KafkaSettings.model_fields if name.startswith("kafka_sasl_")}
    ssl = {name for name in KafkaSettings.model_fields if name.startswith("kafka_ssl_")}
    if protocol.startswith("SASL_"):
        yield from (
            f"KAFKA_SECURITY_PROTOCOL={protocol} needs {name.upper()}, which is not set"
            for name in sorted(sasl)
            if getattr(settings, name) is None
        )
    else:
        yield from _unused(settings, sasl, f"KAFKA_SECURITY_PROTOCOL={protocol}")
    if not protocol.endswith("SSL"):
        yield from _unused(settings, ssl, f"KAFKA_SECURITY_PROTOCOL={protocol}")
    if not settings.temporal_tls:
        tls = {name for name in TemporalSettings.model_fields if name.startswith("temporal_tls_")}
        yield from _unused(settings, tls | {"temporal_api_key"}, "TEMPORAL_TLS=false")
    if settings.temporal_codec_allow_unencrypted and settings.temporal_codec_keys is None:
        yield "TEMPORAL_CODEC_ALLOW_UNENCRYPTED is set without TEMPORAL_CODEC_KEYS: nothing is encrypted anyway"
    yield from _half_a_pair(settings, "kafka_ssl_cert_file", "kafka_ssl_key_file")
    yield from _half_a_pair(settings, "temporal_tls_client_cert_file", "temporal_tls_client_key_file")


def _unused(settings: Settings, names: set[str], because: str) -> Iterator[str]:
    """A credential that would silently not be used is a mistake, and often a dangerous one."""
    for name in sorted(names):
        if getattr(settings, name) is not None:
            yield f"{name.upper()} is set, but with {because} it would not be used: unset the one or change the other"


def _half_a_pair(settings: Settings, certificate: str, key: str) -> Iterator[str]:
    if (getattr(settings, certificate) is None) != (getattr(settings, key) is None):
        yield f"{certificate.upper()} and {key.upper()} are set together or not at all"


def _sandbox_in_production(settings: Settings) -> Iterator[str]:
    if settings.orders_environment is not Environment.PRODUCTION:
        return
    for name in ("payment_gateway_url", "carrier_gateway_url"):
        if getattr(settings, name) is None:
            yield (
                f"ORDERS_ENVIRONMENT=production needs {name.upper()}: "
                "the embedded sandbox that stands in for it neither charges nor ships"
            )


def failpoints(settings: Settings) -> Failpoints:
    """Where a test wants the process to be struck; usually nowhere."""
    return Failpoints.parse(settings.failpoints, production=settings.orders_environment is Environment.PRODUCTION)


def order_policy(settings: Settings) -> OrderPolicy:
    """What a workflow is told when it starts."""
    return OrderPolicy(
        approval_timeout=_span(settings.order_approval_timeout_seconds),
        early_event_time_to_live=_span(settings.order_early_event_ttl_seconds),
        shipping_attempts=settings.order_shipping_attempts,
        shipping_retry_delay=_span(settings.order_shipping_retry_delay_seconds),
        activity_start_to_close=_span(settings.order_activity_start_to_close_seconds),
        activity_schedule_to_close=_span(settings.order_activity_schedule_to_close_seconds),
        retry_initial_interval=_span(settings.order_retry_initial_interval_seconds),
        retry_maximum_interval=_span(settings.order_retry_maximum_interval_seconds),
        search_attributes=settings.temporal_search_attributes,
    )


def order_run_timeout(settings: Settings) -> timedelta | None:
    """The longest that a run may take; None for no limit."""
    seconds = settings.order_run_timeout_seconds
    return None if seconds is None else _span(seconds)
