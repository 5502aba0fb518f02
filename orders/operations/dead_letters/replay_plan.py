"""Which dead letters are sent again, in which order, and which not. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

from bridge.dead_letters.headers import key_in_pointer
from bridge.dead_letters.letter import Letter, Origin
from bridge.record import Header
from orders.operations.dead_letters.selection import Place

REPLAYS_MAX_DEFAULT: Final = 3
WAVE_RECORDS_MAX: Final = 500


class Claim(NamedTuple):
    """Which record a dead letter says it repeats.

    A header says so, which any sender can put on. It counts for records of the letter's own key and partition only.
    """

    first_identity: str
    partition: int
    key: bytes | None
    """As a pointer keeps it: a record may be copied the first time, and be too large to be copied after a replay."""


@dataclass(frozen=True, slots=True, order=True)
class Planned:
    """A dead letter that is to be replayed, without its value. Sorting gives the order of the source topics."""

    topic: str
    partition: int
    """Of the source: it goes back there, so that what was in order stays in order."""
    first_offset: int
    """Where the record was when it was first set aside, so that one that was set aside again keeps its place.

    A header says so, which any sender can put on: `ReplayPlan` believes it where no other selected record contradicts.
    """
    own_offset: int
    """The lowest offset at which a bridge read the record. A bridge wrote it, so no sender can forge it."""
    claim: Claim = field(compare=False)
    content: bytes | None = field(compare=False)
    """A digest of what the record holds; None for a pointer, which does not hold it."""
    origin: Origin = field(compare=False)
    place: Place = field(compare=False)
    replay_count: int = field(compare=False)
    size_bytes: int = field(compare=False)

    @property
    def first_identity(self) -> str:
        """Where the record was when it was first set aside: its event's identity, where its sender gave it none."""
        return self.claim.first_identity

    @property
    def age(self) -> tuple[int, Place]:
        """Compares dead letters of one record: greater for the one that was set aside later."""
        return self.replay_count, self.place

    def seems_the_same_as(self, other: "Planned") -> bool:
        """Whether two dead letters with one claim are of the same record, as far as can be told.

        Where both hold the record, their contents decide. A pointer does not: then timestamps decide, as a replay has
        the timestamp of the record that it repeats, unless that record had none.
        """
        if self.content is not None and other.content is not None:
            return self.content == other.content
        mine, its = self.origin.timestamp_ms, other.origin.timestamp_ms
        return mine == its or min(mine, its) < 0

    def merged_with(self, other: "Planned") -> "Planned":
        """Two dead letters of one record as one: the later letter, sent when the earlier would be."""
        later = max(self, other, key=lambda planned: planned.age)
        return replace(later, own_offset=min(self.own_offset, other.own_offset))


@dataclass(frozen=True, slots=True)
class Refused:
    """A dead letter that is not replayed, and why."""

    at: str
    why: str
    is_doubted: bool = False
    """Whether that is because nobody knows whether a bridge wrote it, or because none did."""
    wants_trust: bool = False
    """Whether it would be replayed by somebody who trusts it."""


class TooManyError(Exception):
    """More dead letters are selected than may be replayed at once."""


class ReplayPlan:
    """Collects the dead letters that are to be replayed, each record once, and the ones that are refused.

    Args:
        topics: The inbound topics: nothing goes anywhere else, whatever a dead letter says of its origin.
        replays_max: A record that was replayed so often, and set aside each time, is refused; None for no limit.
        limit: The most records that one plan holds.
    """

    def __init__(self, topics: Iterable[str], *, replays_max: int | None, limit: int) -> None:
        self._topics = frozenset(topics)
        self._replays_max = replays_max
        self._limit = limit
        self._by_record: dict[tuple[Claim, bytes | int], Planned] = {}
        """By what all dead letters of a record share: the claim, and the content or, of pointers, the timestamp."""
        self.refused: list[Refused] = []
        self.refused_count = 0
        self.duplicates = 0
        """How many dead letters are left out because a later one of the same record is replayed."""

    def add(self, letter: Letter) -> None:
        """Takes a selected letter in, or refuses it.

        Raises:
            TooManyError: the limit is reached.
        """
        planned = self._planned(letter)
        if isinstance(planned, Refused):
            self._refuse(planned)
            return
        identity = planned.claim, planned.origin.timestamp_ms if planned.content is None else planned.content
        other = self._by_record.get(identity)
        if other is None:
            if len(self._by_record) >= self._limit:
                raise TooManyError
            self._by_record[identity] = planned
            return
        # Set aside twice: by a bridge that ended before it could commit, or again after a replay. Sending both would
        # double them with every replay that fails.
        self.duplicates += 1
        self._by_record[identity] = planned.merged_with(other)

    def finish(self) -> list[Planned]:
        """What is to be sent, in the order of the source topics, without what was replayed too often already."""
        kept = []
        for planned in sorted(self._placed()):
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

    def _placed(self) -> Iterator[Planned]:
        """Everything that was collected, each with the offset that decides when it is sent.

        That is the offset in its header, on three conditions: it is lower than the record's own, no other selected
        record stood there, and no other one with its key claims the same. Otherwise it is the record's own offset, so
        that a header that was forged, or copied from another record, lets no record overtake earlier ones of its order.
        """
        groups: defaultdict[Claim, list[Planned]] = defaultdict(list)
        for planned in self._by_record.values():
            groups[planned.claim].append(planned)
        rivals = [self._without_doubtful(group) for group in groups.values()]
        taken = {(one.topic, one.partition, one.own_offset) for group in rivals for one in group}
        for group in rivals:
            for one in group:
                believed = (
                    len(group) == 1
                    and one.first_offset < one.own_offset
                    and (one.topic, one.partition, one.first_offset) not in taken
                )
                yield one if believed else replace(one, first_offset=one.own_offset)

    def _without_doubtful(self, group: list[Planned]) -> list[Planned]:
        """Which of the records with one claim are sent.

        All of them where each holds its content, as they then differ. With a pointer among them nobody can tell: all
        sent might double with every replay, and one dropped might be lost unseen. So only the last is sent;
        one that seems the same is left out, and one that does not is refused with a sentence that says so.
        """
        if all(one.content is not None for one in group):
            return group
        last = max(group, key=lambda planned: planned.age)
        sent = last
        for other in group:
            if other is last:
                continue
            if other.seems_the_same_as(last):
                self.duplicates += 1
                sent = sent.merged_with(other)
            else:
                self._refuse(
                    Refused(
                        str(other.place),
                        f"says, as {last.place} does, that it repeats {last.first_identity}; one was too large to "
                        "be copied, so it cannot be told whether they are the same record, and only the last is taken: "
                        "look at both with `orders dlq show`, and if they are not, replay this by its place",
                    )
                )
        return [sent]

    def _planned(self, letter: Letter) -> Planned | Refused:
        origin, first = letter.origin, letter.first_identity
        if origin is None or first is None:
            return Refused(letter.at, "is no dead letter of ours, or of another version: it does not say where it was")
        if origin.topic not in self._topics:
            return Refused(letter.at, f"comes from the topic {origin.topic!r}, which is none of the inbound topics")
        _, first_partition, first_offset, _ = first.rsplit(":", 3)
        return Planned(
            topic=origin.topic,
            partition=origin.partition,
            first_offset=int(first_offset) if int(first_partition) == origin.partition else origin.offset,
            own_offset=origin.offset,
            claim=Claim(first, origin.partition, key_in_pointer(letter.record.key)),
            content=None if letter.is_pointer else letter.content_digest,
            origin=origin,
            place=Place(letter.record.partition, letter.record.offset),
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
    """The source record's: where it is the event's time too, the replayed event happens when it first happened."""
    key: bytes | None
    value: bytes | None
    headers: tuple[Header, ...]


def waves(records: Sequence[ReplayRecord]) -> Iterator[list[ReplayRecord]]:
    """The records in groups that may be sent at the same time.

    No group has two records with one key: a later record of an order is sent only once the earlier one is acknowledged,
    so that none overtakes one that Kafka refuses. A record without a key may be any order's, so it is a group alone.
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
