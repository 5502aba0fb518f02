"""Sending dead letters back to where they came from."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from bridge.dead_letters.replay_headers import replay_headers
from bridge.record import Header, Record
from orders.clients.kafka import kafka_producer, kafka_unreachable
from orders.clients.opened import Clients
from orders.clients.topic_scan import TopicScan, topic_scan
from orders.errors import OrdersError, UnreachableError
from orders.operations.dead_letters.finding import dead_letter_scan, get_letters, read_letters
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
from orders.operations.dead_letters.source import SourceGoneError, fetch_source
from orders.settings import Settings

CHUNK_RECORDS_MAX: Final = 2_000
CHUNK_BYTES_MAX: Final = 32 * 1024 * 1024
"""What is held in memory at once."""
_PRODUCE_MAX_BYTES: Final = 64 * 1024 * 1024
"""Above what any topic takes: the broker's limit for the source topic decides."""


@dataclass(frozen=True, slots=True)
class ReplayOutcome:
    """What a replay did; of a dry run, what it would do."""

    planned: Sequence[Planned]
    """What was selected and may be replayed, in the order in which it is sent."""
    replayed: int
    duplicates: int
    """Dead letters that were left out, as another one of the same record is replayed."""
    refused: Sequence[Refused]
    """What was selected and not replayed; no more than the limit."""
    refused_count: int


async def replay(
    clients: Clients,
    which: Selection | Sequence[Place],
    *,
    replays_max: int | None,
    limit: int,
    dry_run: bool,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> ReplayOutcome:
    """Sends dead letters back to where they came from, in order, each acknowledged.

    Args:
        clients: lead to Kafka.
        which: filters, or places in the dead-letter topic.
        replays_max: a record that was replayed so often, and set aside each time, is refused; None for no limit.
        limit: nothing is done where more than so many are selected.
        dry_run: whether to find out only what would be done.
        progress: told how many are done, and how many there are; never called in a dry run.

    Raises:
        UnreachableError: Kafka stopped answering; the text says how far the replay came. It may simply be repeated.
        NotFoundError: there is no dead letter at one of the places, or a topic is missing.
        OrdersError: more than the limit are selected, or a topic refuses a record; nothing after it was sent.
    """
    async with dead_letter_scan(clients) as scan:
        planned, plan = await _plan(clients, scan, which, replays_max=replays_max, limit=limit)
        done, lost = 0, list[Refused]()
        if planned and not dry_run:
            done, lost = await _send_all(clients, scan, planned, progress)
    return ReplayOutcome(planned, done, plan.duplicates, [*plan.refused, *lost], plan.refused_count + len(lost))


async def _plan(
    clients: Clients, scan: TopicScan, which: Selection | Sequence[Place], *, replays_max: int | None, limit: int
) -> tuple[list[Planned], ReplayPlan]:
    """Finds what is to be replayed; only coordinates are kept of it."""
    plan = ReplayPlan(clients.settings.inbound_topics.values(), replays_max=replays_max, limit=limit)
    try:
        if isinstance(which, Selection):
            async for letters in read_letters(scan, which):
                for letter in letters:
                    if which.takes(letter):
                        plan.add(letter)
        else:
            for letter in (await get_letters(scan, clients.settings.kafka_topic_dead_letters, which)).values():
                plan.add(letter)
    except TooManyError:
        raise OrdersError(
            f"more than {limit} dead letters are selected: narrow the filters, or raise --limit; nothing was replayed"
        ) from None
    return plan.finish(), plan


async def _send_all(
    clients: Clients, scan: TopicScan, planned: list[Planned], progress: Callable[[int, int], None]
) -> tuple[int, list[Refused]]:
    """Sends the planned letters; returns how many were sent, and what could not be."""
    settings = clients.settings
    done = 0
    refused: list[Refused] = []
    # A producer of its own, and not an idempotent one: after the broker refuses one record as too large, its next ones
    # fail as out of order (seen in aiokafka 0.14). The event's identity makes a repeat harmless.
    options = {"enable_idempotence": False, "max_request_size": _PRODUCE_MAX_BYTES}
    async with (
        kafka_producer(settings, **options) as producer,
        topic_scan(clients, settings.inbound_topics.values()) as sources,
    ):
        try:
            for part in chunks(planned, records_max=CHUNK_RECORDS_MAX, bytes_max=CHUNK_BYTES_MAX):
                records, lost = await _load(settings, scan, sources, part)
                refused += lost
                for wave in waves(records):
                    await asyncio.gather(*[await _send(producer, record) for record in wave])
                    done += len(wave)
                    progress(done + len(refused), len(planned))
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
    letters = await get_letters(scan, settings.kafka_topic_dead_letters, [one.place for one in part])
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
            source = await fetch_source(sources, origin)
        except SourceGoneError as error:
            refused.append(Refused(letter.at, str(error)))
        else:
            records.append(_replay_record(one, source, source.headers))
    return records, refused


def _replay_record(planned: Planned, source: Record, headers: tuple[Header, ...]) -> ReplayRecord:
    return ReplayRecord(
        topic=planned.origin.topic,
        partition=planned.origin.partition,
        timestamp_ms=planned.origin.timestamp_ms if planned.origin.timestamp_ms >= 0 else None,
        key=source.key,
        value=source.value,
        headers=replay_headers(headers, planned.first_identity, planned.replay_count + 1),
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
