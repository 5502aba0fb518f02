"""Finding dead letters: one pass over the topic, with no more kept than was asked for."""

import heapq
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from typing import Final

from aiokafka import TopicPartition

from bridge.dead_letters.letter import Letter
from orders.clients.topic_scan import TopicScan
from orders.errors import NotFoundError
from orders.operations.dead_letters.selection import Place, Selection
from orders.settings import Settings

_REASONS_MAX: Final = 200
"""There are about fifty codes; whoever else writes to the topic must not fill our memory with more."""


@dataclass(frozen=True, slots=True)
class Summary:
    """What a list shows of a dead letter: not its value, which may be large."""

    at: str
    timestamp_ms: int
    origin: str | None
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
            stage=letter.stage,
            error_code=letter.error_code,
            message=letter.message,
            key=letter.record.key[:200] if letter.record.key else letter.record.key,
            is_pointer=letter.is_pointer,
            replay_count=letter.replay_count,
        )


@dataclass(slots=True)
class Listing:
    """The newest of those that were selected, and how many there are in all."""

    limit: int
    matching: int = 0
    scanned: int = 0
    by_reason: Counter[str] = field(default_factory=Counter)
    _newest: list[tuple[int, int, Summary]] = field(default_factory=list)

    def add(self, letter: Letter) -> None:
        """Counts a selected letter, and keeps it while no newer ones need its place."""
        self.matching += 1
        if letter.error_code in self.by_reason or len(self.by_reason) < _REASONS_MAX:
            self.by_reason[letter.error_code] += 1
        # The running number tells entries of one millisecond apart, so that summaries are never compared.
        entry = (letter.record.timestamp_ms, self.matching, Summary.of(letter))
        if len(self._newest) < self.limit:
            heapq.heappush(self._newest, entry)
        else:
            heapq.heappushpop(self._newest, entry)

    @property
    def newest(self) -> list[Summary]:
        """Oldest first, as a log."""
        return [summary for _, _, summary in sorted(self._newest)]

    @property
    def cut(self) -> int:
        """How many are not in it."""
        return self.matching - len(self._newest)


async def list_letters(scan: TopicScan, selection: Selection, limit: int) -> Listing:
    """Looks through all dead letters."""
    listing = Listing(limit)
    async for letters in read_letters(scan, selection):
        for letter in letters:
            listing.scanned += 1
            if selection.takes(letter):
                listing.add(letter)
    return listing


async def read_letters(scan: TopicScan, selection: Selection) -> AsyncIterator[list[Letter]]:
    """All dead letters of the selection's time, a batch at a time; those that the filters refuse are still among them.

    Up to where the topic ended when this began.
    """
    async for batch in scan.read(await scan.ranges(since_ms=selection.since_ms)):
        yield [Letter.from_record(record) for record in batch]


async def get_letters(scan: TopicScan, settings: Settings, places: Iterable[Place]) -> dict[Place, Letter]:
    """The dead letters at these places.

    Raises:
        NotFoundError: one is not there.
    """
    topic = settings.kafka_topic_dead_letters
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
