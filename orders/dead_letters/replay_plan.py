"""Which dead letters are sent again, in which order, and which not. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from bridge.records import Header
from orders.dead_letters.letter import Letter, Origin
from orders.dead_letters.selection import Place

REPLAYS_MAX_DEFAULT: Final = 3
WAVE_RECORDS_MAX: Final = 500


@dataclass(frozen=True, slots=True, order=True)
class Planned:
    """A dead letter that is to be replayed, without what is in it; sorted as the source topics had them."""

    topic: str
    partition: int
    """Of the source: it goes back there, so that what was in order stays in order."""
    first_offset: int
    """Of the record that was set aside first: a replay that was set aside again keeps its place."""
    origin: Origin = field(compare=False)
    place: Place = field(compare=False)
    first_coordinates: str = field(compare=False)
    replay_count: int = field(compare=False)
    size_bytes: int = field(compare=False)


@dataclass(frozen=True, slots=True)
class Refused:
    """A dead letter that is not replayed, and why."""

    at: str
    why: str


class TooManyError(Exception):
    """More dead letters are selected than may be replayed at once."""


class ReplayPlan:
    """Collects what is to be replayed.

    Args:
        topics: The inbound topics: nothing goes anywhere else, whatever a dead letter says of its origin.
        replays_max: A record that was replayed so often, and set aside each time, is refused; None for no limit.
        limit: Most that one plan holds.
    """

    def __init__(self, topics: Iterable[str], *, replays_max: int | None, limit: int) -> None:
        self._topics = frozenset(topics)
        self._replays_max = replays_max
        self._limit = limit
        self._by_first: dict[str, Planned] = {}
        self.refused: list[Refused] = []
        self.refused_count = 0
        self.duplicates = 0
        """Dead letters of a record of which there is another one: only the last is replayed."""

    def add(self, letter: Letter) -> None:
        """Takes a selected letter in, or refuses it.

        Raises:
            TooManyError: the limit is reached.
        """
        planned = self._planned(letter)
        if isinstance(planned, Refused):
            self._refuse(planned)
            return
        other = self._by_first.get(planned.first_coordinates)
        if other is None:
            if len(self._by_first) >= self._limit:
                raise TooManyError
            self._by_first[planned.first_coordinates] = planned
            return
        # Set aside twice: by a bridge that ended before it could commit, or again after a replay. Sending both would
        # double them with every replay that fails.
        self.duplicates += 1
        if (planned.replay_count, planned.place) > (other.replay_count, other.place):
            self._by_first[planned.first_coordinates] = planned

    def finish(self) -> list[Planned]:
        """What is to be sent, in the order of the source topics; the loop guard has its word here."""
        kept = []
        for planned in sorted(self._by_first.values()):
            if self._replays_max is not None and planned.replay_count >= self._replays_max:
                self._refuse(
                    Refused(
                        str(planned.place),
                        f"was replayed {planned.replay_count} times already and set aside each time: look at it with "
                        f"`orders dlq show {planned.place}`, then replay it with --force",
                    )
                )
            else:
                kept.append(planned)
        return kept

    def _planned(self, letter: Letter) -> Planned | Refused:
        origin, first = letter.origin, letter.first_coordinates
        if origin is None or first is None:
            return Refused(letter.at, "is no dead letter of ours, or of another version: it does not say where it was")
        if origin.topic not in self._topics:
            return Refused(letter.at, f"comes from the topic {origin.topic!r}, which is none of the inbound topics")
        _, first_partition, first_offset = first.rsplit(":", 2)
        return Planned(
            topic=origin.topic,
            partition=origin.partition,
            first_offset=int(first_offset) if int(first_partition) == origin.partition else origin.offset,
            origin=origin,
            place=Place(letter.record.partition, letter.record.offset),
            first_coordinates=first,
            replay_count=letter.replay_count,
            size_bytes=letter.record.size_bytes,
        )

    def _refuse(self, refused: Refused) -> None:
        self.refused_count += 1
        if len(self.refused) < self._limit:
            self.refused.append(refused)


@dataclass(frozen=True, slots=True)
class ReplayRecord:
    """A record as it goes back to its topic."""

    topic: str
    partition: int
    timestamp_ms: int | None
    """The source's, so that an event whose time is its record's happens when it happened."""
    key: bytes | None
    value: bytes | None
    headers: tuple[Header, ...]


def waves(records: Sequence[ReplayRecord]) -> Iterator[list[ReplayRecord]]:
    """The records in groups that may be on their way together.

    A later record of an order is sent only once the earlier one is acknowledged: should one be refused, none of its
    order has overtaken it. A record without a key may be any order's, so it goes alone.
    """
    wave: list[ReplayRecord] = []
    keys: set[tuple[str, int, bytes]] = set()
    for record in records:
        key = None if record.key is None else (record.topic, record.partition, record.key)
        if wave and (key is None or key in keys or len(wave) >= WAVE_RECORDS_MAX):
            yield wave
            wave, keys = [], set()
        wave.append(record)
        if key is None:
            yield wave
            wave = []
        else:
            keys.add(key)
    if wave:
        yield wave


def chunks(planned: Sequence[Planned], *, records_max: int, bytes_max: int) -> Iterator[list[Planned]]:
    """Consecutive parts of the plan, each small enough to be held in memory."""
    part: list[Planned] = []
    size = 0
    for one in planned:
        if part and (len(part) >= records_max or size + one.size_bytes > bytes_max):
            yield part
            part, size = [], 0
        part.append(one)
        size += one.size_bytes
    if part:
        yield part
