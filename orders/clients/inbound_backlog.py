"""What Kafka holds for orders and the bridges have not handed over: their committed offsets against the ends."""

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from itertools import zip_longest
from typing import Final, TypeVar

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from activities.ports import InboundBacklog, KafkaUnavailableError
from bridge import Record, Refusal
from bridge.engine.translation import translate
from orders.clients.coalescing import Coalesced
from orders.clients.kafka import existing_partitions, kafka_consumer
from orders.clients.opened import Clients, open_clients
from orders.clients.progress import NO_PROGRESS, OffsetRange, Progress
from orders.clients.topic_scan import topic_scan
from orders.errors import NotFoundError, OrdersError, UnreachableError
from orders.settings import Settings
from schemas.activity_io import Backlog
from schemas.event_types import EventType

ASKED_EVERY: Final = timedelta(seconds=0.25)
"""Kafka is asked at most once in this time, for all orders that have asked by then. An activity that waits for its
answer has one of the worker's places meanwhile: a hundred places answer 400 orders a second."""
LOOK_TIMEOUT: Final = timedelta(seconds=12)
"""For one look at Kafka, connecting included: some six requests, each of which takes milliseconds, and at times the
reading of a few records. Within the 15 s that the activity's attempt has, so that its error can say why."""
READ_RECORDS_MAX: Final = 1_000
"""Most unsettled records of a partition that are read to see whose they are. A stuck order leaves a handful; where more
wait, the bridge is behind with everybody's, and reading them would not end any wait."""
READ_RANGES_MAX: Final = 30
"""Most places in a partition that are read: each costs a request of its own."""

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class PartitionView:
    """A partition at one moment."""

    begin: int
    """The first offset that there is: what was below is gone."""
    end: int
    """The high watermark, which is also above the records of open transactions.

    The last stable offset is not enough: it stands before an open transaction, and an approval in that may still come.
    """
    progress: Progress
    """How far the bridges are. Taken before `end`."""

    def unsettled(self, end: int) -> list[OffsetRange]:
        """The offsets before `end` that hold, or may hold, records that are not settled."""
        # A commit beyond the end is of an earlier topic of this name: it says nothing of what this one holds.
        progress = NO_PROGRESS if self.progress.offset > self.end else self.progress
        return progress.unsettled(self.begin, min(end, self.end))


@dataclass(frozen=True, slots=True)
class WaitingOrders:
    """The orders that a partition's unsettled records are for."""

    orders: frozenset[str]
    end: int
    """The records before this offset were looked at."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All inbound partitions at one moment."""

    views: Mapping[TopicPartition, PartitionView]
    waiting: Mapping[TopicPartition, WaitingOrders]
    """Of the partitions whose unsettled records were read."""

    def left_of(self, order_id: str, backlog: Iterable[Backlog]) -> tuple[Backlog, ...]:
        """What is left of a backlog, as far as it may concern the order."""
        return tuple(left for one in backlog if (left := self._left_of(order_id, one)) is not None)

    def _left_of(self, order_id: str, backlog: Backlog) -> Backlog | None:
        partition = TopicPartition(backlog.topic, backlog.partition)
        view = self.views.get(partition)
        if view is None:
            return None  # The topic was made anew with fewer partitions: those records are gone.
        records = sum(part.end - part.start for part in view.unsettled(backlog.end))
        waiting = self.waiting.get(partition)
        is_of_others = waiting is not None and backlog.end <= waiting.end and order_id not in waiting.orders
        return None if records == 0 or is_of_others else backlog.model_copy(update={"records": records})


@dataclass(frozen=True, slots=True)
class _Opened:
    """The clients of the moment."""

    clients: Clients
    consumer: AIOKafkaConsumer
    resources: AsyncExitStack


class KafkaInboundBacklog(InboundBacklog):
    """Compares what the bridges' group has committed with where the topics end.

    A partition whose committed offset stands still, as one order's call is refused again and again, must not keep the
    orders waiting whose records are settled long since. So the few records that are not settled are read, and an
    order waits only where one of them is its own.

    It connects at its first use. After any failure it lets its clients go, and makes new ones at the next.

    Args:
        settings: where Kafka is, the topics, and the bridges' group.
        order_of: the order that a record is for; None where the bridge sets the record aside.
    """

    def __init__(self, settings: Settings, order_of: Callable[[Record], str | None]) -> None:
        self._settings = settings
        self._order_of = order_of
        self._topics = settings.inbound_topics
        self._snapshots = Coalesced(self._look, ASKED_EVERY)
        self._opened: _Opened | None = None
        self._closing: set[asyncio.Task[None]] = set()
        self._offsets_before: dict[TopicPartition, int] = {}

    async def find(self, order_id: str, event_types: Collection[EventType]) -> tuple[Backlog, ...]:
        """See the port."""
        snapshot = await self._snapshots.answer()
        topics = {self._topics[event_type] for event_type in event_types}
        whole = [
            Backlog(topic=partition.topic, partition=partition.partition, end=view.end, records=0)
            for partition, view in sorted(snapshot.views.items())
            if partition.topic in topics
        ]
        return snapshot.left_of(order_id, whole)

    async def left_of(self, order_id: str, backlog: tuple[Backlog, ...]) -> tuple[Backlog, ...]:
        """See the port. What was handed over stays so: an answer that another order has just had will do."""
        return (await self._snapshots.recent_answer()).left_of(order_id, backlog)

    async def close(self) -> None:
        """Ends all connections."""
        self._let_go()
        if self._closing:
            await asyncio.wait(self._closing)

    def _let_go(self) -> None:
        """Closes the clients of the moment in the background.

        After an outage that takes up to ten seconds, for which the next question to Kafka does not wait.
        """
        opened, self._opened = self._opened, None
        if opened is not None:
            task = asyncio.create_task(opened.resources.aclose(), name="close the clients of a failed look")
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    async def _look(self) -> Snapshot:
        try:
            async with asyncio.timeout(LOOK_TIMEOUT.total_seconds()):
                views = await self._views()
                return Snapshot(views, await self._waiting(views))
        except NotFoundError as error:
            raise KafkaUnavailableError(str(error)) from error
        except (KafkaError, TimeoutError, OSError, UnreachableError) as error:
            self._let_go()
            raise KafkaUnavailableError(f"Kafka does not say how far the bridge is ({type(error).__name__})") from error

    async def _views(self) -> dict[TopicPartition, PartitionView]:
        opened = await self._connected()
        admin = await opened.clients.kafka_admin()
        # All partitions, also those that were added in this moment.
        partitions = await existing_partitions(admin, self._settings, self._topics.values())
        # Commits come first: one beyond the end is then a fact and no race.
        committed = await admin.list_consumer_group_offsets(self._settings.bridge_group_id)
        begins = await opened.consumer.beginning_offsets(partitions)
        ends = await opened.consumer.end_offsets(partitions)
        return {key: PartitionView(begins[key], ends[key], Progress.of(committed.get(key))) for key in partitions}

    async def _connected(self) -> "_Opened":
        if self._opened is None:
            async with AsyncExitStack() as resources:
                # What is passed over as it cannot be taken apart, the bridge has set aside and told of.
                clients = await resources.enter_async_context(open_clients(self._settings, note=lambda _: None))
                # Uncommitted, so that its ends are the high watermarks.
                options = {"isolation_level": "read_uncommitted"}
                consumer = await resources.enter_async_context(kafka_consumer(self._settings, **options))
                self._opened = _Opened(clients, consumer, resources.pop_all())
        return self._opened

    async def _waiting(self, views: Mapping[TopicPartition, PartitionView]) -> dict[TopicPartition, WaitingOrders]:
        """Whose the unsettled records are, where the committed offset has not moved since the last look."""
        before, self._offsets_before = (
            self._offsets_before,
            {key: view.progress.offset for key, view in views.items()},
        )
        stuck = {
            key: view
            for key, view in views.items()
            if before.get(key) == view.progress.offset and _is_readable(view.unsettled(view.end))
        }
        if not stuck:
            return {}
        try:
            return await self._read(stuck)
        except UnreachableError:
            raise
        except OrdersError:
            return {}  # Damaged: whose the records are is not known, so everybody waits.

    async def _read(self, stuck: Mapping[TopicPartition, PartitionView]) -> dict[TopicPartition, WaitingOrders]:
        orders: dict[TopicPartition, set[str]] = {key: set() for key in stuck}
        clients = (await self._connected()).clients
        async with topic_scan(clients, sorted({key.topic for key in stuck})) as scan:
            # As the bridge reads, so no further than to the first transaction that is still open.
            now = await scan.ranges()
            ends = {key: min(view.end, now[key].end) for key, view in stuck.items()}
            unsettled = {key: view.unsettled(ends[key]) for key, view in stuck.items()}
            # A partition is read one part at a time, all partitions side by side.
            for parts in zip_longest(*unsettled.values()):
                ranges = {key: part for key, part in zip(unsettled, parts, strict=True) if part is not None}
                async for records in scan.read(ranges):
                    for record in records:
                        order_id = self._order_of(record)
                        if order_id is not None:
                            orders[TopicPartition(record.topic, record.partition)].add(order_id)
        return {key: WaitingOrders(frozenset(orders[key]), ends[key]) for key in stuck}


def order_by_contract(settings: Settings) -> Callable[[Record], str | None]:
    """Reads the order of a record as the bridge does; None for a record that the bridge sets aside."""
    mapping = settings.order_mapping()

    def order_of(record: Record) -> str | None:
        translated = translate(record, mapping)
        return None if isinstance(translated, Refusal) else str(translated.argument.order_id)

    return order_of


def _is_readable(unsettled: list[OffsetRange]) -> bool:
    records = sum(part.end - part.start for part in unsettled)
    return 0 < records <= READ_RECORDS_MAX and len(unsettled) <= READ_RANGES_MAX
