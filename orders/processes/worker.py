"""A worker process: which workflows and activities run on which task queue, and how the process starts and stops."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

import structlog
from prometheus_client import CollectorRegistry
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client
from temporalio.runtime import Runtime
from temporalio.service import RPCError
from temporalio.worker import Interceptor, Worker

from activities.adapters.kafka import KafkaEventPublisher
from activities.adapters.measured import MeasuredBacklog, MeasuredPublisher
from activities.adapters.postgres import PostgresOrderStore, PostgresPaymentStore
from activities.definitions import activities_of
from activities.expiry import ExpiryActivities
from activities.orders import OrderActivities, OrderRules
from activities.payments import PaymentActivities
from activities.shipping import ShippingActivities
from orders.clients.database import database_engine
from orders.clients.gateways import carrier_gateway, payment_gateway
from orders.clients.inbound_backlog import KafkaInboundBacklog, order_by_contract
from orders.clients.kafka_login import kafka_security
from orders.clients.mistakes import Mistake, Server
from orders.clients.renewed_temporal import renew_workers
from orders.clients.temporal import connect_temporal, temporal_unreachable
from orders.errors import RefusedAtTheDoorError, UnreachableError
from orders.installation.search_attributes import require_search_attributes
from orders.processes.exit_status import ExitStatus
from orders.processes.figures import DatabaseFigures
from orders.processes.health_checks import WorkerHealth
from orders.processes.health_server import health_server
from orders.processes.sdk_warnings import let_late_cancels_pass
from orders.processes.server_watch import ServerWatch, kafka_watched, postgres_watched, temporal_watched
from orders.processes.versioning import deployment_config
from orders.processes.worker_size import worker_connections, worker_size
from orders.processes.workflow_threads import OneTurnAtATime, never_interrupt_turns
from orders.settings import Settings
from orders.telemetry.approval_waits import ApprovalWaits
from orders.telemetry.metrics_page import MetricsPage
from orders.telemetry.sdk_metrics import sdk_metrics
from orders.telemetry.traces import process_spans
from schemas.event_types import INBOUND, EventType
from workflows.names import ORDER_TASK_QUEUE, SHIPPING_TASK_QUEUE
from workflows.runner import ORDER_WORKFLOWS, SHIPPING_WORKFLOWS, workflow_runner

if TYPE_CHECKING:
    from orders.telemetry.spans import Spans

_log = structlog.get_logger("orders.worker")

_RETRY_SECONDS: Final = (0.5, 1.0, 2.0, 4.0)
"""Pauses between attempts to reach Temporal at the start; the last one is repeated."""


class TaskQueue(StrEnum):
    """The task queues that a worker may serve."""

    ORDER = ORDER_TASK_QUEUE
    SHIPPING = SHIPPING_TASK_QUEUE


class WorkerPart(StrEnum):
    """What a worker may be kept to. Workflows need the processor, activities wait for others: two processes do both."""

    WORKFLOWS = "workflows"
    """Workflows alone: it asks neither Postgres nor Kafka nor a provider for anything."""
    ACTIVITIES = "activities"
    """Our own records, calls of providers, and all that waits."""


@dataclass(frozen=True, slots=True)
class WorkerDuty:
    """What one worker process is to do."""

    queues: Sequence[TaskQueue] = tuple(TaskQueue)
    only: WorkerPart | None = None
    """None for both parts."""

    @property
    def runs_workflows(self) -> bool:
        """Whether it takes workflow tasks."""
        return self.only is not WorkerPart.ACTIVITIES

    @property
    def runs_activities(self) -> bool:
        """Whether it asks for activities."""
        return self.only is not WorkerPart.WORKFLOWS


_WORKFLOWS: Final[dict[TaskQueue, tuple[type, ...]]] = {
    TaskQueue.ORDER: ORDER_WORKFLOWS,
    TaskQueue.SHIPPING: SHIPPING_WORKFLOWS,
}


async def run_worker(settings: Settings, duty: WorkerDuty, stop: asyncio.Event) -> ExitStatus:
    """Serves the task queues until told to stop; whatever makes a worker give up ends the process.

    Waits for Temporal as long as it takes. Kafka, Postgres and the gateways are reached by each activity for itself,
    whose retries wait for them.
    """
    let_late_cancels_pass()
    sdk = sdk_metrics() if settings.worker_health_port else None
    connections = worker_connections(settings, queues=len(duty.queues) if duty.runs_activities else 0)
    async with (
        process_spans(settings.traces_endpoint, "worker") as spans,
        database_engine(settings, application_name="orders worker", connections=connections) as engine,
    ):
        registry = CollectorRegistry()
        figures = DatabaseFigures(engine, registry)
        watch = _watch(settings, duty)
        registry.register(watch)
        health = WorkerHealth(MetricsPage(registry, refresh=[figures.refresh], sdk=sdk), watch)
        server = (settings.health_bind_address, settings.worker_health_port, health.checks)
        async with health_server(*server, setting="WORKER_HEALTH_PORT"), health.servers.watching():
            client = await _connected(settings, duty, stop, watch, None if sdk is None else sdk.runtime)
            if client is not None:
                workers = _workers(
                    client, engine, settings, duty, health, interceptors=_interceptors(spans, measured=sdk is not None)
                )
                await _serve(workers, client, settings, duty, stop=stop, health=health)
    return ExitStatus.OK


def _watch(settings: Settings, duty: WorkerDuty) -> ServerWatch:
    """Looks at what the worker needs: Kafka, where it publishes, and Postgres, at least for its figures.

    At Temporal it looks once it is connected; until then whoever connects tells of it.
    """
    watch = ServerWatch(postgres=postgres_watched(settings))
    if duty.runs_activities and TaskQueue.ORDER in duty.queues:
        watch.also(Server.KAFKA, kafka_watched(settings, (settings.kafka_topic_order_events,)))
    return watch


def _interceptors(spans: "Spans | None", *, measured: bool) -> list[Interceptor]:
    """What looks at a worker's workflows and activities; nothing where nobody asks for it."""
    interceptors: list[Interceptor] = [ApprovalWaits()] if measured else []
    if spans is None:
        return interceptors
    from orders.telemetry.worker_traces import WorkerTraces  # noqa: PLC0415 -- brings OpenTelemetry along

    main_signal = INBOUND[EventType.ORDER_CREATED].signal
    return [*interceptors, WorkerTraces(spans.tracer, main_signal=main_signal)]


async def _serve(
    opened: AbstractAsyncContextManager[list[Worker]],
    client: Client,
    settings: Settings,
    duty: WorkerDuty,
    *,
    stop: asyncio.Event,
    health: WorkerHealth,
) -> None:
    async with opened as workers, asyncio.TaskGroup() as tasks:
        for worker in workers:
            tasks.create_task(worker.run(), name=f"worker {worker.task_queue}")
        _log.info(
            "worker.started",
            task_queues=[str(queue) for queue in duty.queues],
            only=str(duty.only) if duty.only else None,
            identity=client.identity,
            build_id=settings.worker_build_id,
        )
        renewing = tasks.create_task(renew_workers(client, workers), name="worker credentials")
        tasks.create_task(_shut_down_when_told(workers, stop, renewing), name="worker stop")
        health.started(client, workers)
        health.servers.also(Server.TEMPORAL, temporal_watched(settings, client))


async def _shut_down_when_told(workers: Sequence[Worker], stop: asyncio.Event, renewing: "asyncio.Task[None]") -> None:
    await stop.wait()
    renewing.cancel()
    await asyncio.gather(*(worker.shutdown() for worker in workers))


async def _connected(
    settings: Settings, duty: WorkerDuty, stop: asyncio.Event, watch: ServerWatch, runtime: Runtime | None
) -> Client | None:
    """Temporal, as soon as it answers and has what the queues need; None where the process was told to stop before.

    Where Temporal does not let us in, it waits as well: certificates and keys are read again each time.

    Raises:
        WrongSettingsError: waiting would not help.
    """
    attempt, refused = 0, ""
    while not stop.is_set():
        try:
            client = await _connect(settings, duty, runtime)
        except RefusedAtTheDoorError as error:
            if error.mistake == Mistake.PLACE_MISSING:
                raise
            watch.lost(Server.TEMPORAL)
            if error.mistake != refused:
                refused = error.mistake
                _log.error("worker.temporal.misconfigured", mistake=refused, detail=error.sentence, action=error.action)
        except UnreachableError as error:
            watch.lost(Server.TEMPORAL)
            if attempt == 0 or refused:
                refused = ""
                _log.warning("worker.temporal.lost", detail=str(error), action="none: the worker waits and tries again")
        else:
            if attempt:
                _log.info("worker.temporal.recovered", attempts=attempt)
            return client
        pause = _RETRY_SECONDS[min(attempt, len(_RETRY_SECONDS) - 1)]
        attempt += 1
        try:
            async with asyncio.timeout(pause):
                await stop.wait()
        except TimeoutError:
            continue
    return None


async def _connect(settings: Settings, duty: WorkerDuty, runtime: Runtime | None) -> Client:
    client = await connect_temporal(settings, runtime=runtime)
    if settings.temporal_search_attributes and duty.runs_workflows and TaskQueue.ORDER in duty.queues:
        try:
            await require_search_attributes(client)
        except RPCError as error:
            raise UnreachableError(f"{temporal_unreachable(settings)} ({error.status.name})") from error
    return client


@asynccontextmanager
async def _workers(
    client: Client,
    engine: AsyncEngine,
    settings: Settings,
    duty: WorkerDuty,
    health: WorkerHealth,
    *,
    interceptors: Sequence[Interceptor],
) -> AsyncIterator[list[Worker]]:
    async with AsyncExitStack() as resources:
        shared = {**_shared_options(settings, duty), "interceptors": interceptors}
        # What is still under way then holds nothing up: the process leaves without waiting for its threads.
        resources.callback(shared["workflow_task_executor"].shutdown, wait=False)
        workers = []
        for queue in duty.queues:
            owners = await _ACTIVITIES[queue](resources, engine, settings, health) if duty.runs_activities else []
            activities = activities_of(*owners)
            workflows = _WORKFLOWS[queue] if duty.runs_workflows else ()
            worker = Worker(client, task_queue=queue.value, workflows=workflows, activities=activities, **shared)
            never_interrupt_turns(worker)
            workers.append(worker)
        yield workers


def _shared_options(settings: Settings, duty: WorkerDuty) -> dict[str, Any]:
    """What all workers of this process are made with."""
    return {
        "workflow_runner": workflow_runner(sandboxed=settings.worker_sandbox),
        # A turn that waited for a thread would count as one that takes too long: as many threads as there are turns.
        "workflow_task_executor": OneTurnAtATime(settings.worker_concurrent_workflow_tasks * len(duty.queues)),
        "deployment_config": deployment_config(settings),
        **worker_size(settings, queues=len(duty.queues)),
    }


async def _order_activities(
    resources: AsyncExitStack, engine: AsyncEngine, settings: Settings, health: WorkerHealth
) -> list[object]:
    """Those on our own records, and those that ask the payment provider and Kafka."""
    publisher = KafkaEventPublisher(
        bootstrap_servers=settings.kafka_bootstrap_servers,
        topic=settings.kafka_topic_order_events,
        source=settings.events_source,
        security=kafka_security(settings),
    )
    resources.push_async_callback(publisher.close)
    struck = settings.parse_failpoints()
    rules = OrderRules(amount_max=settings.order_amount_max, amount_required=settings.amount_required)
    store = PostgresOrderStore(engine)
    resources.push_async_callback(store.close)
    records = OrderActivities(store, MeasuredPublisher(publisher), rules, struck)
    gateway = await resources.enter_async_context(payment_gateway(settings, engine))
    payments = PaymentActivities(PostgresPaymentStore(engine), gateway, struck)
    health.watch(payments.access)
    backlog = KafkaInboundBacklog(settings, order_by_contract(settings))
    resources.push_async_callback(backlog.close)
    return [records, payments, ExpiryActivities(MeasuredBacklog(backlog))]


async def _shipping_activities(
    resources: AsyncExitStack, engine: AsyncEngine, settings: Settings, health: WorkerHealth
) -> list[object]:
    """Those that ask the carrier."""
    carrier = await resources.enter_async_context(carrier_gateway(settings, engine))
    shipping = ShippingActivities(carrier, settings.parse_failpoints())
    health.watch(shipping.access)
    return [shipping]


_ACTIVITIES: Final[dict[TaskQueue, Callable[..., Awaitable[list[object]]]]] = {
    TaskQueue.ORDER: _order_activities,
    TaskQueue.SHIPPING: _shipping_activities,
}
