"""Reading topics from one offset to another, without a consumer group and in bounded memory."""

import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from typing import cast

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from bridge.kafka.lenient_records import bound_unfolding, read_leniently
from bridge.kafka.positions import is_of_one_partition
from bridge.record import Record
from orders.clients.kafka import existing_partitions, kafka_consumer, kafka_unreachable
from orders.clients.opened import Clients
from orders.clients.progress import OffsetRange
from orders.errors import OrdersError, UnreachableError
from orders.settings import Settings

_POLL_MS = 250
_POLL_RECORDS_MAX = 500
_FETCH_MAX_BYTES = 8 * 1024 * 1024
_PARTITION_FETCH_MAX_BYTES = 1024 * 1024
"""Bounds of what the client holds ahead of us: this much for each partition."""


def timestamp_ms(moment: datetime) -> int:
    """A moment as records are stamped with: milliseconds since 1970."""
    return round(moment.timestamp() * 1_000)


class TopicScan:
    """Reads parts of topics. Make one with `topic_scan`."""

    def __init__(self, consumer: AIOKafkaConsumer, settings: Settings, partitions: list[TopicPartition]) -> None:
        self._consumer = consumer
        self._settings = settings
        self.partitions = partitions
        """Every partition of the topics."""
        self.unread_batches: list[str] = []
        """Batches of records that cannot be taken apart and were passed over, each by its last record's coordinates."""

    async def ranges(self, *, since: datetime | None = None) -> dict[TopicPartition, OffsetRange]:
        """What the partitions hold now: from their beginnings, or from a time on, to their ends.

        Args:
            since: the first record with that timestamp or a later one begins the range; None for the beginning.
        """
        ends = await self._consumer.end_offsets(self.partitions)
        starts = await self._consumer.beginning_offsets(self.partitions)
        if since is not None:
            since_ms = max(0, timestamp_ms(since))
            found = await self._consumer.offsets_for_times(dict.fromkeys(self.partitions, since_ms))
            starts = {key: found[key].offset if found[key] is not None else ends[key] for key in self.partitions}
        return {key: OffsetRange(min(starts[key], ends[key]), ends[key]) for key in self.partitions}

    async def read(self, ranges: Mapping[TopicPartition, OffsetRange]) -> AsyncIterator[list[Record]]:
        """The records in the ranges, a batch at a time; within a partition in order.

        Raises:
            UnreachableError: Kafka stopped answering on the way.
            OrdersError: what Kafka holds is damaged.
        """
        left = {key: part for key, part in ranges.items() if part.start < part.end}
        self._consumer.assign(list(left))
        for key, part in left.items():
            self._consumer.seek(key, part.start)
        moved = time.monotonic()
        while left:
            polled = await self._poll(list(left))
            for key, batch in polled.items():
                yield self._readable([Record.from_consumed(one) for one in batch if one.offset < left[key].end])
            ended = [key for key, part in left.items() if await self._consumer.position(key) >= part.end]
            for key in ended:
                del left[key]
            if polled or ended:
                moved = time.monotonic()
            elif time.monotonic() - moved > self._settings.kafka_request_timeout_seconds:
                # The client itself would wait for ever, without a word.
                raise UnreachableError(kafka_unreachable(self._settings))

    async def _poll(self, partitions: list[TopicPartition]) -> dict[TopicPartition, list[ConsumerRecord]]:
        try:
            polled = await self._consumer.getmany(*partitions, timeout_ms=_POLL_MS, max_records=_POLL_RECORDS_MAX)
        except Exception as error:
            if not is_of_one_partition(error):
                raise
            topics = ", ".join(sorted({partition.topic for partition in partitions}))
            raise OrdersError(
                f"what Kafka holds in one of {topics} is damaged and cannot be read ({type(error).__name__}: {error}); "
                "where the bridge reads it too, its log says at which offset (bridge.partition.held)"
            ) from error
        return cast("dict[TopicPartition, list[ConsumerRecord]]", polled)

    def _readable(self, records: list[Record]) -> list[Record]:
        for record in records:
            if record.is_unread_batch and record.coordinates not in self.unread_batches:
                self.unread_batches.append(record.coordinates)
        return [record for record in records if not record.is_unread_batch]

    async def fetch(self, wanted: Mapping[TopicPartition, Iterable[int]]) -> dict[TopicPartition, dict[int, Record]]:
        """Single records, read from all partitions at once. A record that is not there any more is not in the answer.

        All that is found is held in memory, so the caller bounds how many are wanted.
        """
        ranges = await self.ranges()
        names: dict[TopicPartition, set[int]] = {}
        for key, offsets in wanted.items():
            # Reading beyond the end would wait for what is still to be written.
            part = ranges.get(key, OffsetRange(0, 0))
            names[key] = {offset for offset in offsets if part.start <= offset < part.end}
        parts = {key: _neighbours(sorted(offsets)) for key, offsets in names.items()}
        found: dict[TopicPartition, dict[int, Record]] = {key: {} for key in wanted}
        for number in range(max(map(len, parts.values()), default=0)):
            round_ = {key: ranges[number] for key, ranges in parts.items() if number < len(ranges)}
            async for batch in self.read(round_):
                for record in batch:
                    key = TopicPartition(record.topic, record.partition)
                    if record.offset in names[key]:
                        found[key][record.offset] = record
        return found


_NEIGHBOURS_MAX_GAP = 100
"""Reading over so many records is cheaper than seeking past them, which throws away what was fetched ahead."""


def _neighbours(offsets: list[int]) -> list[OffsetRange]:
    """Sorted offsets as ranges without wide gaps."""
    parts: list[OffsetRange] = []
    for offset in offsets:
        if parts and offset - parts[-1].end <= _NEIGHBOURS_MAX_GAP:
            parts[-1] = OffsetRange(parts[-1].start, offset + 1)
        else:
            parts.append(OffsetRange(offset, offset + 1))
    return parts


@asynccontextmanager
async def topic_scan(
    clients: Clients, topics: Iterable[str], *, committed_only: bool = True
) -> AsyncIterator[TopicScan]:
    """A reader of the topics; says at the end, as a note, what could not be read.

    Args:
        clients: lead to Kafka.
        topics: which.
        committed_only: whether to read as the bridge does: up to where the first open transaction of a producer begins,
            and nothing of a transaction that was taken back.

    Raises:
        UnreachableError: Kafka does not answer.
        NotFoundError: a topic does not exist.
    """
    settings = clients.settings
    read_leniently()
    bound_unfolding(settings.bridge_fetch_unfolded_max_bytes, "BRIDGE_FETCH_UNFOLDED_MAX_BYTES")
    try:
        async with (
            kafka_consumer(
                settings,
                isolation_level="read_committed" if committed_only else "read_uncommitted",
                auto_offset_reset="earliest",  # Where a purge overtakes us, we go on with what is left.
                fetch_max_bytes=_FETCH_MAX_BYTES,
                max_partition_fetch_bytes=_PARTITION_FETCH_MAX_BYTES,
            ) as consumer,
        ):
            scan = TopicScan(
                consumer, settings, await existing_partitions(await clients.kafka_admin(), settings, topics)
            )
            yield scan
            if scan.unread_batches:
                clients.note(
                    f"passed over {len(scan.unread_batches)} batches of records that cannot be read, the first of "
                    f"them up to {scan.unread_batches[0]}; see `orders dlq list`, batch_unreadable and batch_too_large"
                )
    except (KafkaError, TimeoutError) as error:
        raise UnreachableError(f"{kafka_unreachable(settings)} ({type(error).__name__})") from error
