"""From settings to what each room is told: the one place where the rooms meet."""

from datetime import timedelta

from activities.failpoints import Failpoints
from bridge.config import BackOff, BridgeConfig, EngineLimits, GroupTimings
from bridge.dead_letters.limit import DeadLetterLimits
from bridge.reading.event import DecodeLimits
from orders.clients.kafka import kafka_security
from orders.processes.exit_status import WrongSettingsError
from orders.settings import Settings
from orders.settings.general import Environment
from schemas.order import OrderPolicy


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


def failpoints(settings: Settings) -> Failpoints:
    """Where a test wants the process to be struck; usually nowhere."""
    return Failpoints.parse(settings.failpoints, production=settings.orders_environment is Environment.PRODUCTION)


def bridge_config(settings: Settings) -> BridgeConfig:
    """What the bridge is told.

    Raises:
        WrongSettingsError: the bridge finds a contradiction of its own, or a certificate cannot be read.
    """
    try:
        return _bridge_config(settings)
    except ValueError as error:
        raise WrongSettingsError(f"the bridge's settings contradict each other: {error}") from error


def _bridge_config(settings: Settings) -> BridgeConfig:
    return BridgeConfig(
        bootstrap_servers=settings.kafka_bootstrap_servers,
        group_id=settings.bridge_group_id,
        client_id=settings.bridge_client_id,
        topics={topic: event_type for event_type, topic in settings.inbound_topics.items()},
        dead_letter_topic=settings.kafka_topic_dead_letters,
        kafka_security=kafka_security(settings),
        policy=order_policy(settings),
        run_timeout=order_run_timeout(settings),
        limits=DecodeLimits(value_max_bytes=settings.bridge_value_max_bytes),
        rpc_timeout=_span(settings.bridge_rpc_timeout_seconds),
        back_off=BackOff(
            initial=_span(settings.bridge_retry_initial_interval_seconds),
            maximum=_span(settings.bridge_retry_maximum_interval_seconds),
        ),
        group=GroupTimings(
            session_timeout=_span(settings.bridge_session_timeout_seconds),
            heartbeat_interval=_span(settings.bridge_heartbeat_interval_seconds),
            rebalance_timeout=_span(settings.bridge_rebalance_timeout_seconds),
            max_poll_interval=_span(settings.bridge_max_poll_interval_seconds),
        ),
        poll_records_max=settings.bridge_poll_records_max,
        engine=EngineLimits(
            records_held_max=settings.bridge_records_held_max,
            bytes_held_max=settings.bridge_bytes_held_max,
            calls_in_flight_max=settings.bridge_calls_in_flight_max,
        ),
        commit_interval=_span(settings.bridge_commit_interval_seconds),
        commit_timeout=_span(settings.bridge_commit_timeout_seconds),
        drain_timeout=_span(settings.bridge_drain_timeout_seconds),
        dead_letter_limits=DeadLetterLimits(
            in_a_row_max=settings.bridge_dead_letters_in_a_row_max,
            share_max=settings.bridge_dead_letters_share_max,
            share_window=settings.bridge_dead_letters_share_window,
        ),
        probe_interval=_span(settings.bridge_probe_interval_seconds),
        watchdog_timeout=_span(settings.bridge_watchdog_timeout_seconds),
        failpoints=failpoints(settings),
    )


def _span(seconds: float) -> timedelta:
    return timedelta(seconds=seconds)
