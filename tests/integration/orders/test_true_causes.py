"""What ``orders explain`` and ``orders status`` say of an order that stands still, against each true cause of it."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaProducer
from temporalio import workflow
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from orders.processes.exit_status import ExitStatus
from schemas.event_types import EventType
from schemas.workflow_io import OrderStatus, OrderWorkflowInput
from stack.endpoints import Endpoints
from tests.helpers.messages.kafka_io import Outgoing
from tests.helpers.system.command_line import run_in_process
from tests.helpers.system.system import OrderSystem, order_system
from tests.helpers.system.waiting import assert_eventually
from workflows.converter import DATA_CONVERTER
from workflows.names import ORDER_WORKFLOW, STATUS_QUERY, order_workflow_id

ORDER_QUEUE = "order-tq"
OUTPUT_OF_A_DEFECT = "the mapping of steps is broken"


@pytest_asyncio.fixture(scope="module")
async def system(endpoints: Endpoints, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[OrderSystem]:
    """Topics, tables and a namespace; no bridge and no worker but those of a test."""
    async with order_system(endpoints, tmp_path_factory.mktemp("causes"), start=False) as opened:
        yield opened


@workflow.defn(name=ORDER_WORKFLOW)
class BrokenWorkflow:
    """A deployment whose code raises in every workflow task."""

    @workflow.run
    async def run(self, _order: OrderWorkflowInput) -> None:
        raise RuntimeError(OUTPUT_OF_A_DEFECT)


@workflow.defn(name=ORDER_WORKFLOW)
class SleepingWorkflow:
    """A deployment that works: it begins with a timer."""

    @workflow.run
    async def run(self, order: OrderWorkflowInput) -> None:
        await asyncio.sleep(2 if order.order_id.startswith("changed") else 3_600)
        await asyncio.sleep(3_600)

    @workflow.query(name=STATUS_QUERY)
    def status(self) -> OrderStatus:
        raise RuntimeError(OUTPUT_OF_A_DEFECT)


@workflow.defn(name=ORDER_WORKFLOW)
class ChangedWorkflow:
    """The next version, which begins otherwise: no history of the version before can be replayed with it."""

    @workflow.run
    async def run(self, _order: OrderWorkflowInput) -> None:
        await workflow.execute_activity("another", schedule_to_close_timeout=timedelta(hours=1))


async def connected(system: OrderSystem, identity: str | None = None) -> Client:
    return await Client.connect(
        system.endpoints.temporal_host,
        namespace=system.client.namespace,
        data_converter=DATA_CONVERTER,
        identity=identity,
    )


@asynccontextmanager
async def workers(system: OrderSystem, code: type, count: int = 1) -> AsyncIterator[None]:
    """Workers of one deployment, each with an identity of its own."""
    async with AsyncExitStack() as running:
        for number in range(count):
            worker = Worker(
                await connected(system, f"{code.__name__}-{number}"),
                task_queue=ORDER_QUEUE,
                workflows=[code],
                workflow_runner=UnsandboxedWorkflowRunner(),
                max_cached_workflows=0,
            )
            await running.enter_async_context(worker)
        yield


async def start(system: OrderSystem, order_id: str) -> None:
    client = await connected(system)
    await client.start_workflow(
        ORDER_WORKFLOW,
        OrderWorkflowInput(order_id=order_id),
        id=order_workflow_id(order_id),
        task_queue=ORDER_QUEUE,
    )


async def explained(system: OrderSystem, order_id: str) -> dict[str, Any]:
    ended = await run_in_process(["explain", order_id, "--json"], system.settings)
    assert ended.returncode == 0, ended.stderr
    known: dict[str, Any] = json.loads(ended.stdout)
    return known


async def until_it_waits_for(system: OrderSystem, order_id: str, *texts: str) -> Sequence[str]:
    known: dict[str, Any] = {}

    async def says_so() -> bool:
        known.update(await explained(system, order_id))
        return bool(known["waits_for"]) and all(text in known["waits_for"][0] for text in texts)

    await assert_eventually(says_so, 60, lambda: f"{texts} in what is known: {known}")
    return list(known["waits_for"])


async def test_a_record_behind_an_open_transaction_is_neither_unknown_nor_lost(system: OrderSystem) -> None:
    """Until the transaction ends, Kafka hands out neither what is in it nor what others write behind it."""
    order_id, topic = f"held-{system.tag}", system.topic_of(EventType.ORDER_CREATED)
    value = json.dumps({"order_id": order_id, "payment_id": "p"}).encode()
    servers = system.endpoints.kafka_bootstrap_servers
    producer = AIOKafkaProducer(bootstrap_servers=servers, transactional_id=f"held-{system.tag}")
    await producer.start()
    try:
        async with producer.transaction():
            begun = await producer.send_and_wait(topic, b"{}", key=b"another", partition=0)
            ((_, _, offset),) = await system.produce([Outgoing(topic, value, order_id.encode(), partition=0)])
            known = await explained(system, order_id)
            page = await run_in_process(["explain", order_id], system.settings)
    finally:
        await producer.stop()
    (held,) = known["kafka"]["held_by_transactions"]
    assert (held["offset"], held["readable_to"], held["end"]) == (offset, begun.offset, offset + 1)
    (sentence,) = known["waits_for"]
    assert f"can be read up to offset {begun.offset} of {offset + 1}: {topic}:0:{offset} names the order" in sentence
    assert "behind a producer's open transaction" in page.stdout
    (record,) = (await explained(system, order_id))["kafka"]["records"]
    assert record["outcome"] == "waits in Kafka: no bridge has settled it"


async def test_an_order_without_a_worker_waits_for_one(system: OrderSystem) -> None:
    """First of all: what asked the task queue for work is remembered by Temporal for minutes."""
    await start(system, "nobody-1")
    (sentence, *_) = (await explained(system, "nobody-1"))["waits_for"]
    assert sentence.startswith(f"a worker: none asks {ORDER_QUEUE} for work; start one with ")


async def test_a_deployment_that_raises_is_not_a_worker_that_is_missing(system: OrderSystem) -> None:
    await start(system, "broken-1")
    async with workers(system, BrokenWorkflow, count=2):
        (sentence, *_) = await until_it_waits_for(system, "broken-1", "2 workers ask", OUTPUT_OF_A_DEFECT)
        status = await run_in_process(["status", "broken-1"], system.settings)
    assert "the task has failed" in sentence
    assert "workflow_worker_unhandled_failure" in sentence
    assert "start one" not in sentence
    assert status.returncode == ExitStatus.UNREACHABLE
    assert OUTPUT_OF_A_DEFECT in status.stderr
    assert "start one" not in status.stderr


async def test_a_deployment_that_cannot_replay_is_named_as_that(system: OrderSystem) -> None:
    """Once its timer fires, the run's task fails by the changed code."""
    await start(system, "changed-1")
    async with workers(system, SleepingWorkflow):

        async def begun() -> bool:
            history = await system.client.get_workflow_handle(order_workflow_id("changed-1")).fetch_history()
            return any(event.HasField("timer_started_event_attributes") for event in history.events)

        await assert_eventually(begun, 30)
    async with workers(system, ChangedWorkflow):
        (sentence, *_) = await until_it_waits_for(system, "changed-1", "non_deterministic_error")
    assert "go back to the version before" in sentence


async def test_a_worker_that_is_asked_and_cannot_answer_is_quoted(system: OrderSystem) -> None:
    """Its run goes on, and no task of it fails: only a query meets the defect."""
    await start(system, "asked-1")
    async with workers(system, SleepingWorkflow):
        await until_it_waits_for(system, "asked-1", "the one that was asked says", OUTPUT_OF_A_DEFECT)
