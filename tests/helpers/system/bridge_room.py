"""A bridge of one's own on the shared servers: random topics, group, task queue and order ids."""

import asyncio
import json
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from temporalio import workflow
from temporalio.api.enums.v1 import EventType as HistoryEventType
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from bridge.calls import SINGLE_ATTEMPT, Settlement
from bridge.config import BackOff, BridgeConfig, GroupTimings
from bridge.engine.attempts import Dispatches
from bridge.router import WorkflowCall
from bridge.service import Bridge
from schemas.event_types import EventType
from schemas.inbound import InboundEvent
from schemas.workflow_io import LateEventInput, OrderWorkflowInput
from stack.endpoints import Endpoints
from tests.helpers.messages.kafka_io import (
    Outgoing,
    StoredRecord,
    delete_topics,
    group_offsets,
    produce,
    read_topic,
)
from tests.helpers.system.waiting import assert_eventually
from workflows.names import LATE_EVENT_WORKFLOW, ORDER_WORKFLOW

DEADLINE_SECONDS = 30.0


@dataclass(frozen=True)
class Room:
    """One test's topics, group, task queue and clients."""

    endpoints: Endpoints
    config: BridgeConfig
    client: Client
    name: str
    topics_by_type: dict[EventType, str] = field(default_factory=dict)

    def order_id(self, suffix: str | int = 1) -> str:
        return f"{self.name}-{suffix}"

    def topic(self, event_type: EventType = EventType.ORDER_CREATED) -> str:
        return self.topics_by_type[event_type]

    async def produce(self, *records: Outgoing) -> list[tuple[str, int, int]]:
        return await produce(self.endpoints.kafka_bootstrap_servers, records)

    def created(self, order_id: str, **changes: Any) -> Outgoing:
        body = {"order_id": order_id, "payment_id": f"p-{order_id}"}
        return replace(Outgoing(self.topic(), json.dumps(body).encode(), key=order_id.encode()), **changes)

    async def dead_letters(self) -> list[StoredRecord]:
        return await read_topic(self.endpoints.kafka_bootstrap_servers, self.config.dead_letter_topic)

    async def await_drained(self, timeout: float = DEADLINE_SECONDS) -> None:  # noqa: ASYNC109 -- of many calls
        """Waits until everything in the source topics is committed."""
        offsets: list[Any] = []

        async def drained() -> bool:
            offsets[:] = await group_offsets(
                self.endpoints.kafka_bootstrap_servers, self.config.group_id, list(self.config.topics)
            )
            return all(partition.drained for partition in offsets)

        await assert_eventually(drained, timeout, lambda: f"everything committed; {offsets}")

    async def signals(self, workflow_id: str) -> list[tuple[str, InboundEvent]]:
        """The signals in the history of the latest run, and their arguments."""
        history = await self.client.get_workflow_handle(workflow_id).fetch_history()
        found = []
        for event in history.events:
            if event.event_type == HistoryEventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED:
                signal = event.workflow_execution_signaled_event_attributes
                (argument,) = await pydantic_data_converter.decode(signal.input.payloads, [InboundEvent])
                found.append((signal.signal_name, argument))
        return found

    async def status(self, workflow_id: str) -> WorkflowExecutionStatus | None:
        """The latest run's status; None where there is none."""
        try:
            return (await self.client.get_workflow_handle(workflow_id).describe()).status
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return None
            raise

    @asynccontextmanager
    async def bridge(
        self, client: Client | None = None, dispatcher: Dispatches | None = None, **changes: Any
    ) -> AsyncIterator[Bridge]:
        """A bridge that runs until the block ends, and must then return by itself."""
        bridge = Bridge(replace(self.config, **changes), client or self.client, dispatcher)
        running = asyncio.create_task(bridge.run())
        try:
            yield bridge
        finally:
            bridge.stop()
            async with asyncio.timeout(25):
                await running

    @asynccontextmanager
    async def worker(self) -> AsyncIterator[None]:
        """A worker with the test's workflows."""
        async with Worker(
            self.client,
            task_queue=self.config.task_queue,
            workflows=[EndingOrder, NotedLateEvent],
            workflow_runner=UnsandboxedWorkflowRunner(),
        ):
            yield


class Noting:
    """Stands for Temporal: notes what it would be given."""

    def __init__(self) -> None:
        self.given: Counter[str] = Counter()

    async def dispatch(self, call: WorkflowCall) -> Settlement:
        await asyncio.sleep(0.001)
        self.given[call.order_id] += 1
        return Settlement.DELIVERED


@asynccontextmanager
async def open_room(endpoints: Endpoints, *, partitions: int = 3) -> AsyncIterator[Room]:
    """Makes the topics, and deletes them at the end."""
    name = f"br-{uuid.uuid4().hex[:10]}"
    topics = {f"{name}.{event_type.value}": event_type for event_type in EventType}
    dead_letter_topic = f"{name}.dead_letters"
    await create_topics(endpoints.kafka_bootstrap_servers, [*topics, dead_letter_topic], partitions)
    config = BridgeConfig(
        bootstrap_servers=endpoints.kafka_bootstrap_servers,
        group_id=f"{name}-group",
        topics=topics,
        dead_letter_topic=dead_letter_topic,
        task_queue=f"{name}-tq",
        rpc_timeout=timedelta(seconds=3),
        back_off=BackOff(timedelta(milliseconds=50), timedelta(milliseconds=500)),
        group=GroupTimings(session_timeout=timedelta(seconds=10), rebalance_timeout=timedelta(seconds=30)),
        commit_interval=timedelta(milliseconds=100),
    )
    client = await connect(endpoints.temporal_host)
    try:
        yield Room(endpoints, config, client, name, {event_type: topic for topic, event_type in topics.items()})
    finally:
        await delete_topics(endpoints.kafka_bootstrap_servers, [*topics, dead_letter_topic])


async def connect(address: str, *, lazy: bool = False, namespace: str = "default") -> Client:
    """A client as a bridge's is made."""
    return await Client.connect(
        address,
        namespace=namespace,
        data_converter=pydantic_data_converter,
        retry_config=SINGLE_ATTEMPT,
        lazy=lazy,
    )


async def create_topics(
    bootstrap_servers: str, topics: Sequence[str], partitions: int, configs: dict[str, str] | None = None
) -> None:
    """Makes the topics and waits until every partition has a leader."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    await admin.start()
    try:
        await admin.create_topics(
            [
                NewTopic(topic, num_partitions=partitions, replication_factor=1, topic_configs=configs)
                for topic in topics
            ]
        )

        async def all_led() -> bool:
            described = await admin.describe_topics(list(topics))
            led = [p for topic in described for p in topic["partitions"] if p["leader"] >= 0]
            return len(led) == partitions * len(topics)

        await assert_eventually(all_led, message="a leader for every partition")
    finally:
        await admin.close()


@workflow.defn(name=ORDER_WORKFLOW)
class EndingOrder:
    """Completes when cancelled, fails when approved; until then it takes signals."""

    @workflow.init
    def __init__(self, _order: OrderWorkflowInput) -> None:
        self._end: str | None = None

    @workflow.run
    async def run(self, _order: OrderWorkflowInput) -> str:
        await workflow.wait_condition(lambda: self._end is not None)
        return str(self._end)

    @workflow.signal
    def order_created(self, event: InboundEvent) -> None: ...

    @workflow.signal
    def update_address(self, event: InboundEvent) -> None: ...

    @workflow.signal
    def approve_order(self, event: InboundEvent) -> None: ...

    @workflow.signal
    def cancel_order(self, event: InboundEvent) -> None:
        self._end = event.event_id


@workflow.defn(name=LATE_EVENT_WORKFLOW)
class NotedLateEvent:
    """Completes with the event's id."""

    @workflow.run
    async def run(self, late: LateEventInput) -> str:
        return late.event.event_id
