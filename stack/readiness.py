"""Whether the servers answer: each is asked in its own protocol, since an open port says little."""

import asyncio
import contextlib
import socket
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import asyncpg
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest, DescribeTaskQueueRequest
from temporalio.client import Client
from temporalio.service import RPCError

from stack.endpoints import Endpoints

CALL_TIMEOUT = timedelta(seconds=5)
POLL_INTERVAL_SECONDS = 0.1
NAMESPACE = "default"


class NotReadyError(Exception):
    """A server does not answer as it should; its message says how."""


def check_kafka(endpoints: Endpoints) -> None:
    """Asks the broker for its cluster, and finds a controller in it.

    Raises:
        NotReadyError: It does not answer, or has no controller yet.
    """
    _check_port(endpoints.kafka_bootstrap_servers.split(",")[0])
    _run(_ask_kafka(endpoints.kafka_bootstrap_servers), KafkaError)


def check_temporal(endpoints: Endpoints) -> None:
    """Asks Temporal for its default namespace, and its matching service for a task queue.

    Raises:
        NotReadyError: It does not answer, or has no such namespace yet.
    """
    _check_port(endpoints.temporal_host)
    _run(_ask_temporal(endpoints.temporal_host), RPCError, RuntimeError)


def check_postgres(endpoints: Endpoints) -> None:
    """Logs in to the application's database and runs a statement.

    Raises:
        NotReadyError: It does not answer, or refuses.
    """
    _check_port(f"{endpoints.db_host}:{endpoints.db_port}")
    _run(_ask_postgres(endpoints), asyncpg.PostgresError, asyncpg.InterfaceError)


CHECKS: dict[str, Callable[[Endpoints], None]] = {
    "kafka": check_kafka,
    "temporal": check_temporal,
    "postgres": check_postgres,
}


def unready_services(endpoints: Endpoints) -> dict[str, str]:
    """Asks all three at once.

    Returns:
        For each that does not answer, its name and why. Empty if all do. Takes some five seconds at most.
    """
    with ThreadPoolExecutor(len(CHECKS), thread_name_prefix="check") as pool:
        reasons = dict(zip(CHECKS, pool.map(lambda check: _reason(check, endpoints), CHECKS.values()), strict=True))
    return {service: reason for service, reason in reasons.items() if reason is not None}


def wait_until_ready(check: Callable[[], None], goes_on: Callable[[], bool], patience_seconds: float) -> None:
    """Repeats a check until it passes.

    Args:
        check: Raises NotReadyError as long as the server is not ready.
        goes_on: Gives False where waiting is of no use any more.
        patience_seconds: How long to go on.

    Raises:
        NotReadyError: It did not pass; the last reason.
    """
    deadline = time.monotonic() + patience_seconds
    while True:
        try:
            check()
        except NotReadyError:
            if not goes_on() or time.monotonic() >= deadline:
                raise
            time.sleep(POLL_INTERVAL_SECONDS)
        else:
            return


def _reason(check: Callable[[Endpoints], None], endpoints: Endpoints) -> str | None:
    try:
        check(endpoints)
    except NotReadyError as error:
        return str(error)
    return None


def _check_port(address: str) -> None:
    # First, since it is quick, and the clients log errors of their own where nothing listens.
    host, _, port = address.strip().rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=CALL_TIMEOUT.total_seconds()).close()
    except (OSError, ValueError) as error:
        raise NotReadyError(f"nothing answers at {address} ({error})") from error


def _run(question: Coroutine[Any, Any, None], *refusals: type[BaseException]) -> None:
    expected: tuple[type[BaseException], ...] = (*refusals, OSError, TimeoutError)

    async def ask() -> None:
        async with asyncio.timeout(CALL_TIMEOUT.total_seconds()):
            await question

    def ask_in_thread() -> None:
        asyncio.run(ask())

    # A thread of its own, so that it works whether or not the caller's thread runs an event loop.
    with ThreadPoolExecutor(1, thread_name_prefix="ask") as pool:
        try:
            pool.submit(ask_in_thread).result()
        except expected as error:
            raise NotReadyError(f"{type(error).__name__}: {error}") from error


async def _ask_kafka(bootstrap_servers: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers, request_timeout_ms=4000)
    try:
        await admin.start()
        cluster = await admin.describe_cluster()
    finally:
        with contextlib.suppress(KafkaError, OSError):
            await admin.close()
    if not cluster.get("brokers") or cluster.get("controller_id", -1) < 0:
        raise NotReadyError("Kafka has no controller yet")


async def _ask_temporal(host: str) -> None:
    client = await Client.connect(host)
    service = client.workflow_service
    await service.describe_namespace(DescribeNamespaceRequest(namespace=NAMESPACE), timeout=CALL_TIMEOUT)
    await service.describe_task_queue(
        DescribeTaskQueueRequest(
            namespace=NAMESPACE,
            task_queue=TaskQueue(name="readiness"),
            task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
        ),
        timeout=CALL_TIMEOUT,
    )


async def _ask_postgres(endpoints: Endpoints) -> None:
    connection = await asyncpg.connect(
        host=endpoints.db_host,
        port=endpoints.db_port,
        user=endpoints.db_user,
        password=endpoints.db_password,
        database=endpoints.db_name,
        timeout=CALL_TIMEOUT.total_seconds(),
    )
    try:
        await connection.execute("SELECT 1")
    finally:
        await connection.close(timeout=1)
