"""Sending dead letters back to where they came from."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Final

from aiokafka.errors import KafkaError

from orders.clients.kafka import kafka_producer, kafka_unreachable
from orders.clients.opened import Clients
from orders.clients.topic_scan import TopicScan, topic_scan
from orders.errors import OrdersError, UnreachableError
from orders.operations.dead_letters.finding import dead_letter_scan, get_letters, read_letters
from orders.operations.dead_letters.loading import Loading
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
    trust: bool = False,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> ReplayOutcome:
    """Sends dead letters back to where they came from, in order, each acknowledged.

    Args:
        clients: lead to Kafka.
        which: filters, or places in the dead-letter topic.
        replays_max: a record that was replayed so often, and set aside each time, is refused; None for no limit.
        limit: nothing is done where more than so many are selected.
        dry_run: whether to find out only what would be done.
        trust: whether dead letters are believed of which nobody knows whether a bridge wrote them.
        progress: told how many are done, and how many there are; never called in a dry run.

    Raises:
        UnreachableError: Kafka stopped answering; the text says how far the replay came. It may simply be repeated.
        NotFoundError: there is no dead letter at one of the places, or a topic is missing.
        OrdersError: more than the limit are selected, or a topic refuses a record; nothing after it was sent.
    """
    async with dead_letter_scan(clients) as scan:
        planned, plan = await _plan(clients, scan, which, replays_max=replays_max, limit=limit)
        done, lost = 0, list[Refused]()
        if planned and dry_run:
            lost = await _doubted(clients, scan, planned, trust=trust)
            doubted = {one.at for one in lost}
            planned = [one for one in planned if str(one.place) not in doubted]
        elif planned:
            done, lost = await _send_all(clients, scan, planned, progress, trust=trust)
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


async def _doubted(clients: Clients, scan: TopicScan, planned: list[Planned], *, trust: bool) -> list[Refused]:
    """Which of the planned letters would not be sent, as nobody knows whether a bridge wrote them."""
    doubted: list[Refused] = []
    async with _sources(clients) as sources:
        loading = Loading(clients.settings, scan, sources, trust)
        for part in chunks(planned, records_max=CHUNK_RECORDS_MAX, bytes_max=CHUNK_BYTES_MAX):
            _, refused = await loading.load(part)
            doubted += [one for one in refused if one.is_doubted]
    return doubted


def _sources(clients: Clients) -> AbstractAsyncContextManager[TopicScan]:
    return topic_scan(clients, clients.settings.inbound_topics.values())


async def _send_all(
    clients: Clients, scan: TopicScan, planned: list[Planned], progress: Callable[[int, int], None], *, trust: bool
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
        _sources(clients) as sources,
    ):
        loading = Loading(settings, scan, sources, trust)
        try:
            for part in chunks(planned, records_max=CHUNK_RECORDS_MAX, bytes_max=CHUNK_BYTES_MAX):
                records, lost = await loading.load(part)
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
