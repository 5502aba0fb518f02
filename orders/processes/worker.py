"""A worker process: which workflows and activities run on which task queue, and how the process starts and stops."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from enum import StrEnum
from typing import Any, Final

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client
from temporalio.service import RPCError
from temporalio.worker import Worker

from activities.adapters.kafka import KafkaEventPublisher
from activities.adapters.postgres import PostgresOrderStore, PostgresPaymentStore
from activities.definitions import activities_of
from activities.expiry import ExpiryActivities
from activities.orders import OrderActivities, OrderRules
from activities.payments import PaymentActivities
from activities.shipping import ShippingActivities
from orders.clients.database import database_engine
from orders.clients.gateways import carrier_gateway, payment_gateway
from orders.clients.inbound_backlog import KafkaInboundBacklog, order_by_contract
from orders.clients.kafka import kafka_security
from orders.clients.temporal import connect_temporal, temporal_unreachable
from orders.errors import UnreachableError
from orders.installation.search_attributes import require_search_attributes
from orders.processes.exit_status import ExitStatus
from orders.processes.health_checks import WorkerHealth
from orders.processes.health_server import health_server
from orders.processes.versioning import deployment_config
from orders.processes.workflow_threads import OneTurnAtATime
from orders.settings import Settings
from workflows.names import ORDER_TASK_QUEUE, SHIPPING_TASK_QUEUE
from workflows.runner import ORDER_WORKFLOWS, SHIPPING_WORKFLOWS, workflow_runner

_log = structlog.get_logger("orders.worker")

_RETRY_SECONDS: Final = (0.5, 1.0, 2.0, 4.0)
"""Pauses between attempts to reach Temporal at the start; the last one is repeated."""


class TaskQueue(StrEnum):
    """The task queues that a worker may serve."""

    ORDER = ORDER_TASK_QUEUE
    SHIPPING = SHIPPING_TASK_QUEUE


_WORKFLOWS: Final[dict[TaskQueue, tuple[type, ...]]] = {
    TaskQueue.ORDER: ORDER_WORKFLOWS,
    TaskQueue.SHIPPING: SHIPPING_WORKFLOWS,
}


async def run_worker(settings: Settings, queues: Sequence[TaskQueue], stop: asyncio.Event) -> ExitStatus:
    """Serves the task queues until told to stop; whatever makes a worker give up ends the process.

    Waits for Temporal as long as it takes. Kafka, Postgres and the gateways are reached by each activity for itself,
    whose retries wait for them.
    """
    health = WorkerHealth()
    server = (settings.health_bind_address, settings.worker_health_port, health.checks)
    async with health_server(*server, setting="WORKER_HEALTH_PORT"):
        client = await _connected(settings, queues, stop)
        if client is not None:
            await _serve(client, settings, queues, stop, health)
    return ExitStatus.OK


async def _serve(
    client: Client, settings: Settings, queues: Sequence[TaskQueue], stop: asyncio.Event, health: WorkerHealth
) -> None:
    async with (
        database_engine(settings, application_name="orders worker") as engine,
        _workers(client, engine, settings, queues, health) as workers,
        asyncio.TaskGroup() as tasks,
    ):
        for worker in workers:
            tasks.create_task(worker.run(), name=f"worker {worker.task_queue}")
        _log.info(
            "worker.started",
            task_queues=[str(queue) for queue in queues],
            identity=client.identity,
            build_id=settings.worker_build_id,
        )
        tasks.create_task(_shut_down_when_told(workers, stop), name="worker stop")
        health.started(client, workers)


async def _shut_down_when_told(workers: Sequence[Worker], stop: asyncio.Event) -> None:
    await stop.wait()
    await asyncio.gather(*(worker.shutdown() for worker in workers))


async def _connected(settings: Settings, queues: Sequence[TaskQueue], stop: asyncio.Event) -> Client | None:
    """Temporal, as soon as it answers and has what the queues need; None where the process was told to stop before.

    Raises:
        WrongSettingsError: waiting would not help.
    """
    attempt = 0
    while not stop.is_set():
        try:
            client = await _connect(settings, queues)
        except UnreachableError as error:
            if attempt == 0:
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


async def _connect(settings: Settings, queues: Sequence[TaskQueue]) -> Client:
    client = await connect_temporal(settings)
    if settings.temporal_search_attributes and TaskQueue.ORDER in queues:
        try:
            await require_search_attributes(client)
        except RPCError as error:
            raise UnreachableError(f"{temporal_unreachable(settings)} ({error.status.name})") from error
    return client


@asynccontextmanager
async def _workers(
    client: Client, engine: AsyncEngine, settings: Settings, queues: Sequence[TaskQueue], health: WorkerHealth
) -> AsyncIterator[list[Worker]]:
    async with AsyncExitStack() as resources:
        workers = []
        threads = OneTurnAtATime(settings.worker_concurrent_workflow_tasks * len(queues))
        # What is still under way then holds nothing up: the process leaves without waiting for its threads.
        resources.callback(threads.shutdown, wait=False)
        if TaskQueue.ORDER in queues:
            activities = await _order_activities(resources, engine, settings, health)
            workers.append(_worker(client, settings, TaskQueue.ORDER, activities, threads))
        if TaskQueue.SHIPPING in queues:
            carrier = await resources.enter_async_context(carrier_gateway(settings, engine))
            shipping = ShippingActivities(carrier, settings.parse_failpoints())
            health.watch(shipping.access)
            workers.append(_worker(client, settings, TaskQueue.SHIPPING, activities_of(shipping), threads))
        yield workers


async def _order_activities(
    resources: AsyncExitStack, engine: AsyncEngine, settings: Settings, health: WorkerHealth
) -> list[Callable[..., Any]]:
    publisher = KafkaEventPublisher(
        bootstrap_servers=settings.kafka_bootstrap_servers,
        topic=settings.kafka_topic_order_events,
        source=settings.events_source,
        security=kafka_security(settings),
    )
    resources.push_async_callback(publisher.close)
    gateway = await resources.enter_async_context(payment_gateway(settings, engine))
    struck = settings.parse_failpoints()
    rules = OrderRules(amount_max=settings.order_amount_max, amount_required=settings.amount_required)
    orders = OrderActivities(PostgresOrderStore(engine), publisher, rules, struck)
    payments = PaymentActivities(PostgresPaymentStore(engine), gateway, struck)
    health.watch(payments.access)
    backlog = KafkaInboundBacklog(settings, order_by_contract(settings))
    resources.push_async_callback(backlog.close)
    return activities_of(orders, payments, ExpiryActivities(backlog))


def _worker(
    client: Client,
    settings: Settings,
    queue: TaskQueue,
    activities: Sequence[Callable[..., Any]],
    threads: OneTurnAtATime,
) -> Worker:
    return Worker(
        client,
        task_queue=queue.value,
        workflows=_WORKFLOWS[queue],
        activities=activities,
        workflow_runner=workflow_runner(),
        workflow_task_executor=threads,
        max_concurrent_activities=settings.worker_concurrent_activities,
        max_concurrent_workflow_tasks=settings.worker_concurrent_workflow_tasks,
        max_concurrent_activity_task_polls=settings.worker_activity_pollers,
        max_concurrent_workflow_task_polls=settings.worker_workflow_pollers,
        max_cached_workflows=settings.worker_cached_workflows,
        graceful_shutdown_timeout=timedelta(seconds=settings.worker_shutdown_grace_seconds),
        deployment_config=deployment_config(settings),
    )
