"""The installation at one moment: bridges and their partitions, workers and their queues, how far everything is."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any, Final

from aiokafka import TopicPartition
from aiokafka.coordinator.protocol import ConsumerProtocol

from bridge.record import moment_of
from orders.clients.opened import Clients
from orders.clients.progress import NO_PROGRESS, OffsetRange, Progress
from orders.clients.temporal import reaching_temporal
from orders.clients.topic_scan import TopicScan, topic_scan
from orders.operations.pollers import last_polls
from workflows.names import ORDER_TASK_QUEUE, SHIPPING_TASK_QUEUE

_RANGES_MAX: Final = 10_000
"""Most ranges of one partition that are counted: its commit's metadata holds about 2,000."""
_STUCK_PARTITIONS_MAX: Final = 200
"""Most partitions whose oldest unsettled record is read; those with the most of them."""


@dataclass(frozen=True, slots=True)
class BridgeMember:
    """A bridge, as the consumer group knows it."""

    member_id: str
    client_id: str
    host: str
    partitions: tuple[TopicPartition, ...]


@dataclass(frozen=True, slots=True)
class PartitionOverview:
    """How far the bridges are with a partition of an inbound topic."""

    topic: str
    partition: int
    owner: str | None
    """The client id of the bridge that has it; None where none has."""
    unread: int
    """Records behind all that was settled: not read yet, or in flight."""
    held: int
    """Records that are not settled while later ones are: tried again, or waiting behind another of their order."""
    end: int
    """The offset behind the last record that can be read."""
    oldest_offset: int | None
    """Of the first record that is not settled; None where all are."""
    oldest_at: datetime | None
    """That record's time; None where nobody set one, or it cannot be read."""

    @property
    def name(self) -> str:
        """``topic:partition``."""
        return f"{self.topic}:{self.partition}"

    @property
    def unsettled(self) -> int:
        """Records that are not handed over to Temporal."""
        return self.unread + self.held


@dataclass(frozen=True, slots=True)
class BridgesOverview:
    """The bridges' side."""

    group: str
    group_state: str
    """Kafka's word: ``Stable``, ``PreparingRebalance``, ``Empty`` …"""
    members: tuple[BridgeMember, ...]
    partitions: tuple[PartitionOverview, ...]


@dataclass(frozen=True, slots=True)
class WorkerOverview:
    """A worker that asks a task queue for work."""

    queue: str
    identity: str
    last_poll_at: datetime


@dataclass(frozen=True, slots=True)
class WorkersOverview:
    """The workers' side."""

    queues: tuple[str, ...]
    workers: tuple[WorkerOverview, ...]

    @property
    def unserved(self) -> tuple[str, ...]:
        """Queues that no worker asks."""
        served = {one.queue for one in self.workers}
        return tuple(queue for queue in self.queues if queue not in served)


async def bridges_overview(clients: Clients) -> BridgesOverview:
    """Asks Kafka how far the bridges are.

    Raises:
        UnreachableError: it does not answer.
        NotFoundError: a topic is missing.
    """
    settings = clients.settings
    async with topic_scan(clients, settings.inbound_topics.values()) as scan:
        admin = await clients.kafka_admin()
        async with asyncio.timeout(settings.kafka_request_timeout_seconds):
            # Commits come first: one beyond the end is then a fact and no race.
            committed = await admin.list_consumer_group_offsets(settings.bridge_group_id)
            described = await admin.describe_consumer_groups([settings.bridge_group_id])
        ranges = await scan.ranges()
        state, members = _members(described)
        progress = {key: Progress.of(committed.get(key)) for key in scan.partitions}
        firsts = await _oldest(scan, {key: _unsettled(progress[key], ranges[key]) for key in scan.partitions})
    owners = {partition: one.client_id for one in members for partition in one.partitions}
    partitions = tuple(
        _partition(key, owners.get(key), progress[key], ranges[key], firsts.get(key)) for key in scan.partitions
    )
    return BridgesOverview(settings.bridge_group_id, state, members, partitions)


def _members(described: Sequence[Any]) -> tuple[str, tuple[BridgeMember, ...]]:
    group = described[0].groups[0]
    state, members = group[2], group[5]
    found = []
    for member_id, client_id, host, _metadata, assignment in (tuple(member)[:5] for member in members):
        partitions = ConsumerProtocol.ASSIGNMENT.decode(assignment).partitions() if assignment else []
        found.append(BridgeMember(member_id, client_id, str(host).lstrip("/"), tuple(sorted(partitions))))
    return str(state), tuple(sorted(found, key=lambda one: one.client_id))


def _unsettled(progress: Progress, part: OffsetRange) -> list[OffsetRange]:
    # A commit beyond the end is of an earlier topic of this name: it says nothing of what this one holds.
    believed = NO_PROGRESS if progress.offset > part.end else progress
    return list(islice(believed.unsettled(part.start, part.end), _RANGES_MAX))


async def _oldest(
    scan: TopicScan, unsettled: Mapping[TopicPartition, list[OffsetRange]]
) -> dict[TopicPartition, tuple[int, int | None]]:
    """Of each partition with unsettled records, the first one's offset, and its timestamp in ms where it has one."""
    behind = sorted((key for key, parts in unsettled.items() if parts), key=lambda key: -_size(unsettled[key]))
    wanted = {key: [unsettled[key][0].start] for key in behind[:_STUCK_PARTITIONS_MAX]}
    records = await scan.fetch(wanted) if wanted else {}
    found: dict[TopicPartition, tuple[int, int | None]] = {}
    for key in behind:
        first = unsettled[key][0].start
        record = records.get(key, {}).get(first)
        found[key] = first, None if record is None or record.timestamp_ms < 0 else record.timestamp_ms
    return found


def _size(parts: Iterable[OffsetRange]) -> int:
    return sum(part.end - part.start for part in parts)


def _partition(
    key: TopicPartition,
    owner: str | None,
    progress: Progress,
    part: OffsetRange,
    first: tuple[int, int | None] | None,
) -> PartitionOverview:
    known_to = progress.beyond.end if progress.beyond is not None else progress.offset
    parts = _unsettled(progress, part)
    unread = _size(OffsetRange(max(one.start, known_to), one.end) for one in parts if one.end > known_to)
    offset, timestamp_ms = first or (None, None)
    return PartitionOverview(
        topic=key.topic,
        partition=key.partition,
        owner=owner,
        unread=unread,
        held=_size(parts) - unread,
        end=part.end,
        oldest_offset=offset,
        oldest_at=None if timestamp_ms is None else moment_of(timestamp_ms),
    )


async def workers_overview(clients: Clients) -> WorkersOverview:
    """Asks Temporal who asks the task queues for work.

    Raises:
        UnreachableError: it does not answer.
        WrongSettingsError: it does not let us in, or has no such namespace.
    """
    client = await clients.temporal()
    queues = (ORDER_TASK_QUEUE, SHIPPING_TASK_QUEUE)
    with reaching_temporal(clients.settings):
        polls = {queue: await last_polls(client, queue) for queue in queues}
    workers = tuple(
        WorkerOverview(queue, identity, at) for queue in sorted(queues) for identity, at in sorted(polls[queue].items())
    )
    return WorkersOverview(queues, workers)
