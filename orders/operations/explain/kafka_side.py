"""What Kafka holds of an order: the records that name it, and its dead letters."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from bridge import Record, Refusal
from bridge.dead_letters.letter import Letter
from bridge.engine.translation import translate
from orders.clients.opened import Clients
from orders.clients.progress import NO_PROGRESS, OffsetRange, Progress
from orders.clients.topic_scan import TopicScan, topic_scan
from orders.mapping import OrderMapping
from orders.operations.dead_letters.finding import Summary
from orders.operations.naming import names_order
from orders.settings import Settings

FOUND_MAX: Final = 500
"""Most records, and most dead letters, that one page holds: the newest."""


@dataclass(frozen=True, slots=True)
class NamingRecord:
    """A record of an inbound topic that names the order."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    event_id: str | None
    """None where the record cannot be read."""
    event_type: str
    """What its topic holds."""
    error_code: str | None
    """Why it cannot."""
    identity: str
    """Tells it from another record that had its place before."""
    taken: bool | None
    """Whether the bridges have committed it as settled; None where that is not known."""

    @property
    def coordinates(self) -> str:
        """Where it is."""
        return f"{self.topic}:{self.partition}:{self.offset}"


@dataclass(frozen=True, slots=True)
class HeldRecord:
    """A record that names the order and stands behind a producer's open transaction: no bridge can read it yet."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    readable_to: int
    """The partition's last stable offset: where its first open transaction begins."""
    end: int
    """The partition's end (high watermark)."""

    @property
    def coordinates(self) -> str:
        """Where it is."""
        return f"{self.topic}:{self.partition}:{self.offset}"

    @property
    def waits_for(self) -> str:
        """What has to happen before it can be read."""
        return (
            f"the end of a producer's transaction on {self.topic}, partition {self.partition}, which can be read up to "
            f"offset {self.readable_to} of {self.end}: {self.coordinates} names the order, stands behind that, and may "
            "still be taken back. The transaction ends by its producer, or by the time-out that the producer gave it"
        )


@dataclass(frozen=True, slots=True)
class KafkaSide:
    """What was found."""

    records: tuple[NamingRecord, ...]
    """By time."""
    letters: tuple[Summary, ...]
    scanned: int
    """Records that were read."""
    skipped: int
    """Records that were not read, as they are older than the newest that the limit allows."""
    cut: bool
    """Whether more were found than a page holds."""
    held: tuple[HeldRecord, ...] = ()
    """Records that name it and cannot be read yet; their bytes may be those of a transaction that is taken back."""


async def look_in_kafka(clients: Clients, order_id: str, *, since: datetime | None, limit: int) -> KafkaSide:
    """Reads the inbound topics and the dead letters for the order.

    Args:
        clients: lead to Kafka.
        order_id: which order.
        since: only records with this timestamp and later; None for all.
        limit: most records read, over all partitions: the newest.

    Raises:
        OrdersError: Kafka does not answer, or a topic is missing.
    """
    settings = clients.settings
    async with topic_scan(clients, [*settings.inbound_topics.values(), settings.kafka_topic_dead_letters]) as scan:
        everything = await scan.ranges(since=since)
        ranges = newest(everything, limit)
        committed = await _committed(clients)
        found = await _read(settings, scan, ranges, order_id, committed, skipped=_size(everything) - _size(ranges))
        readable = await scan.ranges()
    return replace(found, held=await _held(clients, order_id, readable, limit))


async def _held(
    clients: Clients, order_id: str, readable: Mapping[TopicPartition, OffsetRange], limit: int
) -> tuple[HeldRecord, ...]:
    """The newest records that name the order and stand behind the beginning of an open transaction."""
    found: deque[HeldRecord] = deque(maxlen=FOUND_MAX)
    async with topic_scan(clients, clients.settings.inbound_topics.values(), committed_only=False) as scan:
        ends = {key: part.end for key, part in (await scan.ranges()).items()}
        behind = {key: OffsetRange(readable[key].end, end) for key, end in ends.items() if readable[key].end < end}
        async for batch in scan.read(newest(behind, limit)):
            for record in batch:
                if names_order(record.key, record.value, order_id):
                    part = behind[TopicPartition(record.topic, record.partition)]
                    where = (record.topic, record.partition, record.offset, record.timestamp_ms)
                    found.append(HeldRecord(*where, readable_to=part.start, end=part.end))
    return tuple(found)


async def _read(
    settings: Settings,
    scan: TopicScan,
    ranges: Mapping[TopicPartition, OffsetRange],
    order_id: str,
    committed: Mapping[TopicPartition, Progress] | None,
    *,
    skipped: int,
) -> KafkaSide:
    mapping = settings.order_mapping()
    records: deque[NamingRecord] = deque(maxlen=FOUND_MAX)
    letters: deque[Summary] = deque(maxlen=FOUND_MAX)
    found = scanned = 0
    async for batch in scan.read(ranges):
        scanned += len(batch)
        for record in batch:
            if not names_order(record.key, record.value, order_id):
                continue
            found += 1
            if record.topic == settings.kafka_topic_dead_letters:
                letters.append(Summary.of(Letter.from_record(record)))
            else:
                records.append(_naming_record(mapping, record, committed))
    return KafkaSide(
        records=tuple(sorted(records, key=lambda one: (one.timestamp_ms, one.topic, one.partition, one.offset))),
        letters=tuple(sorted(letters, key=lambda one: (one.timestamp_ms, one.at))),
        scanned=scanned,
        skipped=skipped,
        cut=found > len(records) + len(letters),
    )


def newest(ranges: Mapping[TopicPartition, OffsetRange], limit: int) -> dict[TopicPartition, OffsetRange]:
    """The last parts of the ranges, together no longer than the limit; what short ones leave, long ones get."""
    parts: dict[TopicPartition, OffsetRange] = {}
    left = limit
    by_size = sorted(ranges.items(), key=lambda item: item[1].end - item[1].start)
    for done, (key, part) in enumerate(by_size):
        share = min(part.end - part.start, left // (len(by_size) - done))
        parts[key] = OffsetRange(part.end - share, part.end)
        left -= share
    return parts


def _size(ranges: Mapping[TopicPartition, OffsetRange]) -> int:
    return sum(part.end - part.start for part in ranges.values())


async def _committed(clients: Clients) -> dict[TopicPartition, Progress] | None:
    """How far the bridges are; None where Kafka does not say."""
    try:
        admin = await clients.kafka_admin()
        offsets = await admin.list_consumer_group_offsets(clients.settings.bridge_group_id)
    except (KafkaError, TimeoutError):
        return None  # No bridge ever ran, or the user may not look: the rest of the page stands.
    return {key: Progress.of(value) for key, value in offsets.items()}


def _naming_record(
    mapping: OrderMapping, record: Record, committed: Mapping[TopicPartition, Progress] | None
) -> NamingRecord:
    event_id = error_code = taken = None
    translated = translate(record, mapping)
    if isinstance(translated, Refusal):
        error_code = str(translated.code)
    else:
        event_id = translated.signal_argument.event_id
    if committed is not None:
        progress = committed.get(TopicPartition(record.topic, record.partition), NO_PROGRESS)
        taken = progress.has_settled(record.offset)
    return NamingRecord(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        timestamp_ms=record.timestamp_ms,
        event_id=event_id,
        event_type=mapping.event_type_of(record.topic).value,
        error_code=error_code,
        identity=record.identity,
        taken=taken,
    )
