"""Sending dead letters back to where they came from."""

import asyncio
from collections.abc import Callable
from typing import Any, Final

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from bridge.dead_letters.letter import Origin
from bridge.dead_letters.replay_headers import replay_headers
from bridge.record import Header, Record
from orders.clients.kafka import kafka_producer, kafka_unreachable
from orders.clients.topic_scan import TopicScan, topic_scan
from orders.errors import OrdersError, UnreachableError
from orders.operations.dead_letters.finding import get_letters, read_letters
from orders.operations.dead_letters.replay_plan import (
    Planned,
    Refused,
    ReplayPlan,
    ReplayRecord,
    TooManyError,
    chunks,
    waves,
)
from orders.operations.dead_letters.selection import Place, Selection
from orders.settings import Settings

CHUNK_RECORDS_MAX: Final = 2_000
CHUNK_BYTES_MAX: Final = 32 * 1024 * 1024
"""What is held in memory at once."""
_PRODUCE_MAX_BYTES: Final = 64 * 1024 * 1024
"""Above what any topic takes: the broker's limit for the source topic decides."""


async def plan_replay(
    settings: Settings,
    scan: TopicScan,
    which: Selection | list[Place],
    *,
    replays_max: int | None,
    limit: int,
) -> tuple[list[Planned], ReplayPlan]:
    """Finds what is to be replayed; only coordinates are kept of it.

    Raises:
        OrdersError: more than the limit are selected, or a place is empty.
    """
    plan = ReplayPlan(settings.inbound_topics.values(), replays_max=replays_max, limit=limit)
    try:
        if isinstance(which, Selection):
            async for letters in read_letters(scan, which):
                for letter in letters:
                    if which.takes(letter):
                        plan.add(letter)
        else:
            for letter in (await get_letters(scan, settings, which)).values():
                plan.add(letter)
    except TooManyError:
        raise OrdersError(
            f"more than {limit} dead letters are selected: narrow the filters, or raise --limit; nothing was replayed"
        ) from None
    return plan.finish(), plan


async def replay(
    settings: Settings, scan: TopicScan, planned: list[Planned], progress: Callable[[int], None]
) -> tuple[int, list[Refused]]:
    """Sends the planned letters back, in order, each acknowledged.

    Args:
        settings: where Kafka is.
        scan: a reader of the dead-letter topic.
        planned: what, from `plan_replay`.
        progress: told how many are done.

    Returns:
        How many were sent, and what could not be.

    Raises:
        UnreachableError: Kafka stopped answering; the text says how far it came. It may simply be repeated.
        OrdersError: a topic refuses a record; nothing after it was sent.
    """
    done = 0
    refused: list[Refused] = []
    # Not an idempotent one: after the broker refuses one record as too large, its next ones fail as out of order (seen
    # in aiokafka 0.14). The event's identity makes a repeat harmless.
    options = {"enable_idempotence": False, "max_request_size": _PRODUCE_MAX_BYTES}
    async with (
        kafka_producer(settings, **options) as producer,
        topic_scan(settings, settings.inbound_topics.values()) as sources,
    ):
        try:
            for part in chunks(planned, records_max=CHUNK_RECORDS_MAX, bytes_max=CHUNK_BYTES_MAX):
                records, lost = await _load(settings, scan, sources, part)
                refused += lost
                for wave in waves(records):
                    await asyncio.gather(*[await _send(producer, record) for record in wave])
                    done += len(wave)
                    progress(done + len(refused))
        except (KafkaError, TimeoutError, UnreachableError) as error:
            raise _interrupted(settings, error, done, len(planned)) from error
    return done, refused


def _interrupted(settings: Settings, error: Exception, done: int, total: int) -> OrdersError:
    so_far = (
        f"{done} of {total} were replayed before; repeat the command: what is sent twice stays one event, "
        "but counts as a further replay"
    )
    if isinstance(error, KafkaError) and not error.retriable:
        return OrdersError(f"Kafka refused a record ({type(error).__name__}): {so_far}")
    return UnreachableError(f"{kafka_unreachable(settings)}; {so_far}")


# Loading ------------------------------------------------------------------------------------------------------------


async def _load(
    settings: Settings, scan: TopicScan, sources: TopicScan, part: list[Planned]
) -> tuple[list[ReplayRecord], list[Refused]]:
    """The records to send, in the plan's order."""
    letters = await get_letters(scan, settings, [one.place for one in part])
    records: list[ReplayRecord] = []
    refused: list[Refused] = []
    partitions = set(sources.partitions)
    for one in part:
        letter, origin = letters[one.place], one.origin
        if TopicPartition(origin.topic, origin.partition) not in partitions:
            refused.append(Refused(letter.at, f"its partition {origin.topic}:{origin.partition} is not there any more"))
            continue
        if not letter.is_pointer:
            records.append(_replay_record(one, letter.record, letter.source_headers))
            continue
        try:
            source = await fetch_source(sources, origin, letter.record.key)
        except SourceGoneError as error:
            refused.append(Refused(letter.at, str(error)))
        else:
            records.append(_replay_record(one, source, source.headers))
    return records, refused


class SourceGoneError(Exception):
    """The record that a pointer stands for cannot be had; the text says why, about the pointer."""


async def fetch_source(sources: TopicScan, origin: Origin, key: bytes | None) -> Record:
    """The record that a pointer stands for, from where it was.

    Args:
        sources: a reader of the inbound topics.
        origin: where it was.
        key: the pointer's; None where it has none.

    Raises:
        SourceGoneError: it is not there any more.
    """
    partition = TopicPartition(origin.topic, origin.partition)
    record = (await sources.fetch({partition: [origin.offset]}))[partition].get(origin.offset)
    if record is None:
        raise SourceGoneError(
            f"is a pointer, and {origin} cannot be read: its topic does not keep it any more, or it never could be read"
        )
    if record.timestamp_ms != origin.timestamp_ms or (key is not None and record.key != key):
        raise SourceGoneError(
            f"is a pointer, and at {origin} is another record now: was the topic deleted and made anew?"
        )
    return record


def _replay_record(planned: Planned, source: Record, headers: tuple[Header, ...]) -> ReplayRecord:
    return ReplayRecord(
        topic=planned.origin.topic,
        partition=planned.origin.partition,
        timestamp_ms=planned.origin.timestamp_ms if planned.origin.timestamp_ms >= 0 else None,
        key=source.key,
        value=source.value,
        headers=replay_headers(headers, planned.first_coordinates, planned.replay_count + 1),
    )


# Sending ------------------------------------------------------------------------------------------------------------


async def _send(producer: Any, record: ReplayRecord) -> Any:
    """Hands a record to the client; what is returned is done once it is acknowledged."""
    if record.key is not None or record.value is not None:
        return await producer.send(
            record.topic,
            value=record.value,
            key=record.key,
            partition=record.partition,
            timestamp_ms=record.timestamp_ms,
            headers=list(record.headers),
        )
    # ``send`` refuses a record that has neither, which Kafka allows; a batch of our own takes it.
    batch = producer.create_batch()
    batch.append(key=None, value=None, timestamp=record.timestamp_ms, headers=list(record.headers))
    batch.close()
    return await producer.send_batch(batch, record.topic, partition=record.partition)
