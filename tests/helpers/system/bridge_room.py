"""A bridge of one's own on the shared servers: random topics, group, task queue and ids.

`tests.helpers.system.device_room` is such a room in a domain that the bridge's own tests made up, and
`tests.helpers.system.order_room` one for orders.
"""

import asyncio
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, TypeVar

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from temporalio.api.enums.v1 import EventType as HistoryEventType
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.service import RPCError, RPCStatusCode

import bridge
from bridge import SINGLE_ATTEMPT, BackOff, Bridge, BridgeConfig, Call, CallOutcome, GroupTimings, Kafka
from bridge.engine.attempts import CallMaker
from stack.endpoints import Endpoints
from tests.helpers.messages.kafka_io import (
    Outgoing,
    StoredRecord,
    delete_topics,
    group_offsets,
    produce,
    read_topic,
)
from tests.helpers.system.waiting import assert_eventually, patient_timeout

DEADLINE_SECONDS = 30.0

ArgumentT = TypeVar("ArgumentT")
RoomT = TypeVar("RoomT", bound="Room")


@dataclass(frozen=True)
class Room:
    """One test's topics, group, task queue and clients."""

    endpoints: Endpoints
    config: BridgeConfig
    mapping: bridge.Mapping
    client: Client
    name: str
    topics_by_kind: Mapping[str, str]
    """The topic of each kind of record."""

    def id_of(self, suffix: str | int = 1) -> str:
        """An id that no other test has."""
        return f"{self.name}-{suffix}"

    @property
    def servers(self) -> str:
        return self.endpoints.kafka_bootstrap_servers

    @property
    def task_queue(self) -> str:
        return f"{self.name}-tq"

    async def produce(self, *records: Outgoing) -> list[tuple[str, int, int]]:
        return await produce(self.servers, records)

    async def dead_letters(self) -> list[StoredRecord]:
        return await read_topic(self.servers, self.config.dead_letter_topic)

    async def await_drained(self, timeout: float = DEADLINE_SECONDS) -> None:  # noqa: ASYNC109 -- of many calls
        """Waits until everything in the source topics is committed."""
        offsets: list[Any] = []

        async def drained() -> bool:
            offsets[:] = await group_offsets(self.servers, self.config.group_id, list(self.mapping.topics))
            return all(partition.drained for partition in offsets)

        await assert_eventually(drained, timeout, lambda: f"everything committed; {offsets}")

    async def signals_of(self, workflow_id: str, argument_type: type[ArgumentT]) -> list[tuple[str, ArgumentT]]:
        """The signals in the history of the latest run, and their arguments."""
        history = await self.client.get_workflow_handle(workflow_id).fetch_history()
        found = []
        for event in history.events:
            if event.event_type == HistoryEventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED:
                signal = event.workflow_execution_signaled_event_attributes
                (argument,) = await pydantic_data_converter.decode(signal.input.payloads, [argument_type])
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

    def make_bridge(
        self,
        caller: CallMaker | None = None,
        *,
        client: Client | None = None,
        kafka: Kafka | None = None,
        mapping: bridge.Mapping | None = None,
        **changes: Any,
    ) -> Bridge:
        """A bridge that does not run yet.

        Args:
            caller: What makes the calls; None for the real one.
            client: Temporal's; None for the room's.
            kafka: Where Kafka is; None for the room's.
            mapping: What records mean; None for the room's.
            changes: Of the room's configuration.
        """
        return Bridge(
            replace(self.config, **changes),
            kafka or Kafka(self.servers),
            client or self.client,
            mapping or self.mapping,
            caller=caller,
        )

    @asynccontextmanager
    async def bridge(self, caller: CallMaker | None = None, **options: Any) -> AsyncIterator[Bridge]:
        """A bridge that runs until the block ends, and must then return by itself; see `make_bridge`."""
        running = self.make_bridge(caller, **options)
        task = asyncio.create_task(running.run())
        try:
            yield running
        finally:
            running.stop()
            async with patient_timeout(25):
                await task


class Noting:
    """Stands for Temporal: notes which workflows it would be asked for."""

    def __init__(self) -> None:
        self.given: Counter[str] = Counter()

    async def make(self, call: Call) -> CallOutcome:
        await asyncio.sleep(0.001)
        self.given[call.workflow_id] += 1
        return CallOutcome.DELIVERED


@asynccontextmanager
async def open_room_of(
    room: type[RoomT],
    endpoints: Endpoints,
    kinds: Sequence[str],
    make_mapping: Callable[[dict[str, str], str], bridge.Mapping],
    *,
    partitions: int = 3,
) -> AsyncIterator[RoomT]:
    """Makes a topic for each kind of record, and deletes the topics at the end.

    Args:
        room: The class of the room.
        endpoints: The servers.
        kinds: Of records.
        make_mapping: From the kind of each topic and the room's task queue.
        partitions: Of each topic.
    """
    name = f"br-{uuid.uuid4().hex[:10]}"
    topics = {kind: f"{name}.{kind}" for kind in kinds}
    dead_letter_topic = f"{name}.dead_letters"
    await create_topics(endpoints.kafka_bootstrap_servers, [*topics.values(), dead_letter_topic], partitions)
    config = BridgeConfig(
        group_id=f"{name}-group",
        dead_letter_topic=dead_letter_topic,
        rpc_timeout=timedelta(seconds=3),
        back_off=BackOff(timedelta(milliseconds=50), timedelta(milliseconds=500)),
        group=GroupTimings(session_timeout=timedelta(seconds=10), rebalance_timeout=timedelta(seconds=30)),
        commit_interval=timedelta(milliseconds=100),
    )
    mapping = make_mapping({topic: kind for kind, topic in topics.items()}, f"{name}-tq")
    client = await connect(endpoints.temporal_host)
    try:
        yield room(endpoints, config, mapping, client, name, topics)
    finally:
        await delete_topics(endpoints.kafka_bootstrap_servers, [*topics.values(), dead_letter_topic])


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
