"""The bridge's process."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Final

import structlog
from prometheus_client import CollectorRegistry
from temporalio.runtime import Runtime

from bridge import (
    SINGLE_ATTEMPT,
    Bridge,
    BridgeMetrics,
    BridgeTraces,
    DeadLetterLimitError,
    Explanation,
    FencedError,
    Kafka,
    SettledBefore,
    StuckError,
    UnexpectedDeliveryError,
)
from orders.clients.database import database_engine
from orders.clients.diagnoses.kafka import kafka_diagnosis
from orders.clients.diagnoses.temporal import temporal_diagnosis
from orders.clients.kafka_login import kafka_security
from orders.clients.recorded_events import RecordedEvents
from orders.clients.temporal import lazy_temporal
from orders.errors import BeginsAnewError, WrongSettingsError
from orders.processes.exit_status import ExitStatus
from orders.processes.health_checks import bridge_checks
from orders.processes.health_server import health_server
from orders.processes.server_watch import DEPENDENCY_PREFIX, ServerWatch, postgres_watched
from orders.settings import Settings
from orders.telemetry.metrics_page import MetricsPage
from orders.telemetry.sdk_metrics import sdk_metrics
from orders.telemetry.traces import process_spans

METRICS_PREFIX: Final = "orders_bridge"

log = structlog.get_logger("bridge")


async def run_bridge(settings: Settings, stop: asyncio.Event) -> ExitStatus:
    """Runs the bridge until it is told to stop.

    Where nothing moves any more it ends by itself, with FAILURE: whoever supervises it starts a new one. At the limit
    of dead letters a new one would set aside as many again, so the status is another, or it waits.

    Raises:
        WrongSettingsError: another bridge has its name, or a certificate cannot be read.
        BeginsAnewError: going on could lose records.
    """
    async with AsyncExitStack() as resources:
        registry, sdk = CollectorRegistry(), sdk_metrics() if settings.bridge_health_port else None
        metrics = None if sdk is None else BridgeMetrics(registry, METRICS_PREFIX, dependency_prefix=DEPENDENCY_PREFIX)
        # What the bridge asks itself it knows; of Postgres it asks only now and then.
        watch = ServerWatch(postgres=postgres_watched(settings)) if settings.bridge_look_up_recorded else ServerWatch()
        await resources.enter_async_context(watch.watching())
        spans = await resources.enter_async_context(process_spans(settings.traces_endpoint, "bridge"))
        ratio, group_id = settings.traces_sample_ratio, settings.bridge_group_id
        running = await make_bridge(
            settings,
            await _recorded_events(settings, resources),
            metrics=metrics,
            runtime=None if sdk is None else sdk.runtime,
            traces=None if spans is None else BridgeTraces(spans.tracer, ratio=ratio, group_id=group_id),
        )

        async def refresh() -> None:
            if metrics is not None:
                status = await running.status_in_turns()
                metrics.update(replace(status, dependencies=(*status.dependencies, *watch.states)))

        return await _run(running, settings, stop, MetricsPage(registry, refresh=[refresh], sdk=sdk))


async def _run(running: Bridge, settings: Settings, stop: asyncio.Event, page: MetricsPage) -> ExitStatus:
    stopping = asyncio.create_task(_stop_when_told(running, stop), name="bridge-stop")
    health = (settings.health_bind_address, settings.bridge_health_port, bridge_checks(running, page))
    try:
        async with health_server(*health, setting="BRIDGE_HEALTH_PORT"):
            try:
                await running.run()
            except FencedError as error:
                raise WrongSettingsError(f"{error} (BRIDGE_INSTANCE_ID)") from error
            except UnexpectedDeliveryError as error:
                raise BeginsAnewError(
                    f"{error} The bridge ended, as going on could lose records. Started again it goes on from what it "
                    "has committed, or from the beginning of a topic that was made anew"
                ) from error
            # The bridge has logged both, with what to do: a traceback would say nothing more.
            except StuckError:
                return ExitStatus.FAILURE
            except DeadLetterLimitError:
                if settings.bridge_dead_letters_limit_action == "wait":
                    log.warning(
                        "bridge.waiting", action="look at the dead letters (`orders dlq list`); then restart it"
                    )
                    await stop.wait()
                return ExitStatus.NEEDS_A_PERSON
    finally:
        stopping.cancel()
    return ExitStatus.OK


async def _stop_when_told(running: Bridge, stop: asyncio.Event) -> None:
    await stop.wait()
    running.stop()


async def _recorded_events(settings: Settings, resources: AsyncExitStack) -> SettledBefore | None:
    """Who knows which events of finished orders were recorded before; None where nobody is to be asked."""
    if not settings.bridge_look_up_recorded:
        return None
    engine = database_engine(settings, application_name="orders bridge")
    return RecordedEvents(await resources.enter_async_context(engine))


async def make_bridge(
    settings: Settings,
    settled_before: SettledBefore | None = None,
    *,
    metrics: BridgeMetrics | None = None,
    runtime: Runtime | None = None,
    traces: BridgeTraces | None = None,
) -> Bridge:
    """A bridge for orders, which has not connected to anything yet.

    Args:
        settings: how it works, and where the servers are.
        settled_before: knows which events of finished orders need no call; None where nobody does.
        metrics: what it counts with; None where nobody looks.
        runtime: what Temporal's client runs on; None is the SDK's own, which measures nothing.
        traces: what it traces with; None where nobody does.

    Raises:
        WrongSettingsError: a certificate cannot be read.
    """
    config = settings.bridge_config(
        dead_letter_topic=settings.kafka_topic_dead_letters, failpoints=settings.parse_failpoints()
    )
    kafka = Kafka(settings.kafka_bootstrap_servers, **kafka_security(settings))
    client = await lazy_temporal(settings, retry_config=SINGLE_ATTEMPT, runtime=runtime)
    mapping = settings.order_mapping()
    return Bridge(
        config,
        kafka,
        client,
        mapping,
        settled_before=settled_before,
        metrics=metrics,
        traces=traces,
        explain=_explains(settings),
    )


def _explains(settings: Settings) -> Callable[[str, BaseException], Awaitable[Explanation | None]]:
    """Finds out why a server does not let us in, in the words of `orders.clients.mistakes`."""

    async def explain(server: str, error: BaseException) -> Explanation | None:
        try:
            if server == "temporal":
                found = await temporal_diagnosis(settings, error)
            else:
                topics = (*settings.inbound_topics.values(), settings.kafka_topic_dead_letters)
                found = await kafka_diagnosis(settings, error, topics=topics)
        except WrongSettingsError as unusable:
            return Explanation("files_unusable", str(unusable), "correct it; the bridge tries again by itself")
        return None if found is None else Explanation(found.mistake.value, found.sentence, found.action)

    return explain
