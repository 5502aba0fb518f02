"""The bridge's process."""

import asyncio

import structlog

from bridge.calls import SINGLE_ATTEMPT
from bridge.config import BackOff, BridgeConfig, EngineLimits, GroupTimings
from bridge.dead_letters.limit import DeadLetterLimitError, DeadLetterLimits
from bridge.reading.event import DecodeLimits
from bridge.service import Bridge
from bridge.supervision.watchdog import StuckError
from orders.clients.kafka import kafka_security
from orders.clients.temporal import lazy_temporal
from orders.errors import WrongSettingsError
from orders.processes.exit_status import ExitStatus
from orders.processes.health_checks import bridge_checks
from orders.processes.health_server import health_server
from orders.settings import Settings
from orders.settings.types import span

log = structlog.get_logger("bridge")


async def run_bridge(settings: Settings, stop: asyncio.Event) -> ExitStatus:
    """Runs the bridge until it is told to stop.

    Where going on could lose records it ends by itself, with FAILURE: whoever supervises it starts a new one. At the
    limit of dead letters a new one would set aside as many again, so the status is another, or it waits.
    """
    running = Bridge(bridge_config(settings), await lazy_temporal(settings, retry_config=SINGLE_ATTEMPT))
    stopping = asyncio.create_task(_stop_when_told(running, stop), name="bridge-stop")
    health = (settings.health_bind_address, settings.bridge_health_port, bridge_checks(running))
    try:
        async with health_server(*health, setting="BRIDGE_HEALTH_PORT"):
            try:
                await running.run()
            # The bridge has logged both, with what to do: a traceback would say nothing more.
            except StuckError:
                return ExitStatus.FAILURE
            except DeadLetterLimitError:
                if settings.bridge_dead_letters_limit_action == "wait":
                    log.warning("bridge.waiting", action="look at the dead letters (orders dlq list); then restart it")
                    await stop.wait()
                return ExitStatus.NEEDS_A_PERSON
    finally:
        stopping.cancel()
    return ExitStatus.OK


async def _stop_when_told(running: Bridge, stop: asyncio.Event) -> None:
    await stop.wait()
    running.stop()


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
        policy=settings.order_policy(search_attributes=settings.temporal_search_attributes),
        run_timeout=settings.order_run_timeout,
        limits=DecodeLimits(value_max_bytes=settings.bridge_value_max_bytes),
        rpc_timeout=span(settings.bridge_rpc_timeout_seconds),
        back_off=BackOff(
            initial=span(settings.bridge_retry_initial_interval_seconds),
            maximum=span(settings.bridge_retry_maximum_interval_seconds),
        ),
        group=GroupTimings(
            session_timeout=span(settings.bridge_session_timeout_seconds),
            heartbeat_interval=span(settings.bridge_heartbeat_interval_seconds),
            rebalance_timeout=span(settings.bridge_rebalance_timeout_seconds),
            max_poll_interval=span(settings.bridge_max_poll_interval_seconds),
        ),
        poll_records_max=settings.bridge_poll_records_max,
        engine=EngineLimits(
            records_held_max=settings.bridge_records_held_max,
            bytes_held_max=settings.bridge_bytes_held_max,
            calls_in_flight_max=settings.bridge_calls_in_flight_max,
        ),
        commit_interval=span(settings.bridge_commit_interval_seconds),
        commit_timeout=span(settings.bridge_commit_timeout_seconds),
        drain_timeout=span(settings.bridge_drain_timeout_seconds),
        dead_letter_limits=DeadLetterLimits(
            in_a_row_max=settings.bridge_dead_letters_in_a_row_max,
            share_max=settings.bridge_dead_letters_share_max,
            share_window=settings.bridge_dead_letters_share_window,
        ),
        probe_interval=span(settings.bridge_probe_interval_seconds),
        watchdog_timeout=span(settings.bridge_watchdog_timeout_seconds),
        failpoints=settings.parse_failpoints(),
    )
