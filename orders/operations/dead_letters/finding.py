"""Finding dead letters: one pass over their topic, in which no more is kept than was asked for."""

import heapq
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Final

from aiokafka import TopicPartition

from bridge.dead_letters.letter import Letter
from bridge.record import Header, Record
from orders.clients.opened import Clients
from orders.clients.topic_scan import TopicScan, topic_scan
from orders.errors import NotFoundError
from orders.operations.dead_letters.selection import Place, Selection
from orders.operations.dead_letters.source import SourceGoneError, fetch_source

_REASONS_MAX: Final = 200
"""There are about fifty codes; whoever else writes to the topic must not fill our memory with more."""


@dataclass(frozen=True, slots=True)
class Summary:
    """What a list shows of a dead letter: all but its value, which may be large."""

    at: str
    timestamp_ms: int
    origin: str | None
    identity: str | None
    """Which record it was made of, told from another that has its place now; None where nobody knows."""
    stage: str
    error_code: str
    message: str
    key: bytes | None
    is_pointer: bool
    replay_count: int

    @classmethod
    def of(cls, letter: Letter) -> "Summary":
        """The summary of a letter."""
        return cls(
            at=letter.at,
            timestamp_ms=letter.record.timestamp_ms,
            origin=str(letter.origin) if letter.origin else None,
            identity=letter.origin.identity if letter.origin else None,
            stage=letter.stage,
            error_code=letter.error_code,
            message=letter.message,
            key=letter.record.key[:200] if letter.record.key else letter.record.key,
            is_pointer=letter.is_pointer,
            replay_count=letter.replay_count,
        )


@dataclass(slots=True)
class Listing:
    """The newest of the dead letters that were selected, and how many are selected in all."""

    limit: int
    matching: int = 0
    scanned: int = 0
    codes: Counter[str] = field(default_factory=Counter)
    """How many of those that were looked at, selected or not, have each reason."""
    by_reason: Counter[str] = field(default_factory=Counter)
    _newest: list[tuple[int, int, Summary]] = field(default_factory=list)

    def add(self, letter: Letter) -> None:
        """Counts a selected letter, and keeps it while no newer ones need its place."""
        self.matching += 1
        _count(self.by_reason, letter.error_code)
        # The running number tells entries of one millisecond apart, so that summaries are never compared.
        entry = (letter.record.timestamp_ms, self.matching, Summary.of(letter))
        if len(self._newest) < self.limit:
            heapq.heappush(self._newest, entry)
        else:
            heapq.heappushpop(self._newest, entry)

    @property
    def newest(self) -> list[Summary]:
        """The summaries that were kept, oldest first, as in a log."""
        return [summary for _, _, summary in sorted(self._newest)]

    @property
    def cut(self) -> int:
        """How many of the selected ones were not kept."""
        return self.matching - len(self._newest)


def _count(codes: Counter[str], code: str) -> None:
    """Counts a reason; a stranger may write any number of reasons on the topic, and only so many are held."""
    if code in codes or len(codes) < _REASONS_MAX:
        codes[code] += 1


@dataclass(frozen=True, slots=True)
class Shown:
    """A dead letter, and the record whose value is shown."""

    letter: Letter
    source: Record
    """The letter's own record; of a pointer, the original."""
    gone: str | None = None
    """Why the original of a pointer cannot be had; None where it can, and where the letter is no pointer."""

    @property
    def headers(self) -> tuple[Header, ...]:
        """The source record's headers."""
        return self.letter.source_headers if self.source is self.letter.record else self.source.headers


def dead_letter_scan(clients: Clients) -> AbstractAsyncContextManager[TopicScan]:
    """A reader of the dead-letter topic."""
    return topic_scan(clients, [clients.settings.kafka_topic_dead_letters])


async def list_letters(clients: Clients, selection: Selection, limit: int) -> Listing:
    """Looks through all dead letters, keeps the newest that are selected, and counts the rest.

    Args:
        clients: lead to Kafka.
        selection: which.
        limit: how many are kept at most.

    Raises:
        UnreachableError: Kafka does not answer.
        NotFoundError: there is no such topic.
        OrdersError: what Kafka holds is damaged.
    """
    listing = Listing(limit)
    async with dead_letter_scan(clients) as scan:
        async for letters in read_letters(scan, selection):
            for letter in letters:
                listing.scanned += 1
                _count(listing.codes, letter.error_code)
                if selection.takes(letter):
                    listing.add(letter)
    return listing


async def show_letter(clients: Clients, place: Place) -> Shown:
    """One dead letter whole; of a pointer also the original, where its topic still keeps it.

    Raises:
        NotFoundError: there is no dead letter at the place, or no such topic.
        UnreachableError: Kafka does not answer.
    """
    async with dead_letter_scan(clients) as scan:
        letter = (await get_letters(scan, clients.settings.kafka_topic_dead_letters, [place]))[place]
    # A dead letter that somebody forged must not lead us into other topics.
    inbound = clients.settings.inbound_topics.values()
    if not letter.is_pointer or letter.origin is None or letter.origin.topic not in inbound:
        return Shown(letter, letter.record)
    async with topic_scan(clients, [letter.origin.topic]) as sources:
        try:
            return Shown(letter, await fetch_source(sources, letter.origin))
        except SourceGoneError as error:
            return Shown(letter, letter.record, str(error))


async def read_letters(scan: TopicScan, selection: Selection) -> AsyncIterator[list[Letter]]:
    """All dead letters since the selection's beginning, a batch at a time, up to where the topic ends now.

    The selection's other filters are not applied, so that the caller can count what was read.
    """
    async for batch in scan.read(await scan.ranges(since=selection.since)):
        yield [Letter.from_record(record) for record in batch]


async def get_letters(scan: TopicScan, topic: str, places: Iterable[Place]) -> dict[Place, Letter]:
    """The dead letters at these places.

    Args:
        scan: a reader of the dead-letter topic.
        topic: that topic's name.
        places: where in it.

    Raises:
        NotFoundError: one is not there.
    """
    wanted: dict[TopicPartition, list[int]] = {}
    asked = list(places)
    for place in asked:
        wanted.setdefault(TopicPartition(topic, place.partition), []).append(place.offset)
    records = await scan.fetch(wanted)
    found: dict[Place, Letter] = {}
    for place in asked:
        record = records[TopicPartition(topic, place.partition)].get(place.offset)
        if record is None:
            raise NotFoundError(
                f"there is no dead letter at {place}: it was purged or has expired, or never was; see `orders dlq list`"
            )
        found[place] = Letter.from_record(record)
    return found
