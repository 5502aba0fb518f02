"""Topics, records and bridges of a measurement's own."""

import asyncio
import itertools
import json
import random
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from bridge import (
    SINGLE_ATTEMPT,
    Bridge,
    BridgeConfig,
    BridgeMetrics,
    BridgeTraces,
    Call,
    CallOutcome,
    Header,
    Kafka,
)
from bridge.engine.attempts import CallMaker
from orders.mapping import OrderMapping
from schemas.event_types import EventType
from stack.endpoints import Endpoints

DEADLINE_SECONDS = 600.0


@dataclass
class BenchRoom:
    """One measurement's topics and clients."""

    endpoints: Endpoints
    client: Client
    name: str
    topics: dict[str, EventType]
    dead_letter_topic: str
    _groups: "itertools.count[int]" = field(default_factory=itertools.count)

    @property
    def created(self) -> str:
        """The topic of ``order.created``."""
        return next(topic for topic, event_type in self.topics.items() if event_type is EventType.ORDER_CREATED)

    def topic(self, event_type: EventType) -> str:
        """The topic of an event type."""
        return next(topic for topic, of in self.topics.items() if of is event_type)

    def config(self, **changes: Any) -> BridgeConfig:
        """A bridge's configuration with a group of its own, so that it reads from the beginning."""
        config = BridgeConfig(group_id=f"{self.name}-{next(self._groups)}", dead_letter_topic=self.dead_letter_topic)
        return replace(config, **changes)

    @property
    def kafka(self) -> Kafka:
        """Where Kafka is."""
        return Kafka(self.endpoints.kafka_bootstrap_servers)

    @cached_property
    def mapping(self) -> OrderMapping:
        """What the records mean."""
        return OrderMapping(self.topics, task_queue=f"{self.name}-tq")

    @asynccontextmanager
    async def committed_records(self, group_id: str) -> AsyncIterator[Callable[[], Awaitable[int]]]:
        """Asks how many records a group has committed, of topics that it read from the beginning."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.endpoints.kafka_bootstrap_servers)

        async def ask() -> int:
            offsets = await admin.list_consumer_group_offsets(group_id)
            return sum(offset.offset for offset in offsets.values())

        await admin.start()
        try:
            yield ask
        finally:
            await admin.close()

    def producer(self) -> Any:
        """A producer, to be started."""
        return AIOKafkaProducer(
            bootstrap_servers=self.endpoints.kafka_bootstrap_servers, linger_ms=5, max_batch_size=131_072
        )

    async def produce(self, records: Iterable[tuple[str, str, dict[str, Any]]], headers: Sequence[Header] = ()) -> int:
        """Produces (topic, key, body) records in order, each with these headers; returns how many."""
        count = 0
        async with self.producer() as producer:
            last = None
            for topic, key, body in records:
                last = await producer.send(topic, json.dumps(body).encode(), key.encode(), headers=list(headers))
                count += 1
            await producer.flush()
            if last is not None:
                await last
        return count


@asynccontextmanager
async def open_bench_room(*, partitions: int) -> AsyncIterator[BenchRoom]:
    """Makes the topics on the servers that the environment names.

    Raises:
        LookupError: The environment names no servers.
    """
    name = f"bench-{uuid.uuid4().hex[:8]}"
    topics = {f"{name}.{event_type.value}": event_type for event_type in EventType}
    dead_letter_topic = f"{name}.dead_letters"
    async with join_bench_room(name, topics, dead_letter_topic) as room:
        admin = AIOKafkaAdminClient(bootstrap_servers=room.endpoints.kafka_bootstrap_servers)
        await admin.start()
        try:
            await admin.create_topics([NewTopic(topic, partitions, 1) for topic in [*topics, dead_letter_topic]])
            await asyncio.sleep(1)  # Leaders are elected meanwhile; the producer would wait for them anyway.
            yield room
        finally:
            await admin.delete_topics([*topics, dead_letter_topic])
            await admin.close()


@asynccontextmanager
async def join_bench_room(name: str, topics: dict[str, EventType], dead_letter_topic: str) -> AsyncIterator[BenchRoom]:
    """The room whose topics another process has made.

    Raises:
        LookupError: The environment names no servers.
    """
    endpoints = Endpoints.from_environment()
    if endpoints is None:
        raise LookupError("no servers: start them with `orders stack up`, and set what `orders stack env` prints")
    client = await Client.connect(
        endpoints.temporal_host, data_converter=pydantic_data_converter, retry_config=SINGLE_ATTEMPT
    )
    yield BenchRoom(endpoints, client, name, topics, dead_letter_topic)


def zipf_keys(count: int, *, keys: int, exponent: float, seed: int = 1) -> Sequence[int]:
    """Key numbers, the k-th as frequent as 1 / k**exponent."""
    weights = [1 / rank**exponent for rank in range(1, keys + 1)]
    return random.Random(seed).choices(range(keys), weights, k=count)  # noqa: S311 -- a workload, and no secret


@dataclass
class CountingCaller:
    """Acknowledges everything, after a while or at once, and says when so many are through."""

    expected: int
    seconds: float = 0.0
    count: int = 0
    first_at: float | None = None
    last_at: float = 0.0
    done: asyncio.Event = field(default_factory=asyncio.Event)
    before: Callable[[Call], "asyncio.Future[None] | None"] | None = None
    """Called before each call, which waits for what it returns; None holds no call up."""
    not_counted: str = ""
    """A workflow whose calls are not counted."""

    async def make(self, call: Call) -> CallOutcome:
        """Acknowledges a call, and counts it."""
        loop = asyncio.get_running_loop()
        if self.first_at is None:
            self.first_at = loop.time()
        if self.before is not None and (hold := self.before(call)) is not None:
            await hold
        if self.seconds:
            await asyncio.sleep(self.seconds)
        if self.not_counted and call.workflow_id == self.not_counted:
            return CallOutcome.DELIVERED
        self.count += 1
        if self.count == self.expected:
            self.last_at = loop.time()
            self.done.set()
        return CallOutcome.DELIVERED

    @property
    def elapsed_seconds(self) -> float:
        """From the first call to the last."""
        assert self.first_at is not None  # noqa: S101 -- it was called
        return self.last_at - self.first_at


@asynccontextmanager
async def running(
    room: BenchRoom,
    config: BridgeConfig,
    caller: CallMaker | None = None,
    *,
    metrics: BridgeMetrics | None = None,
    traces: BridgeTraces | None = None,
) -> AsyncIterator[Bridge]:
    """A bridge that runs until the block ends."""
    bridge = Bridge(
        config, room.kafka, room.client, room.mapping, caller=caller, metrics=metrics, traces=traces
    )  # fmt: skip
    task = asyncio.create_task(bridge.run())
    try:
        yield bridge
    finally:
        bridge.stop()
        await task


async def until(event: asyncio.Event) -> None:
    """Waits for the event that ends a turn; a turn that lasts too long fails."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        await event.wait()
