"""The records that wait and the ones that run: in each lane at most one record is in flight. Pure.

A lane holds a fourth of all records at most, and few when their room is used up. What is delivered beyond that is
*deferred*: the lane keeps its offset alone, and it is read from Kafka again once the lane has few. So the backlog of
one lane, however long, takes nobody else's place (I18), and as long as there is room nothing is read twice.
"""

from collections import deque
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Final, NamedTuple

from bridge.config import EngineLimits
from bridge.engine.offset_set import OffsetSet
from bridge.engine.offsets import Partition
from bridge.engine.work import LaneKey, Work

SET_ASIDE_LANES_MAX: Final = 16
"""How many lanes there are for records that are to be set aside: so many dead letters are written at once. With a lane
for each, a dead-letter topic that takes none would fill the bridge with them, and good records would wait (I10)."""
_SHARE: Final = 4
"""A fourth of what the bridge may hold is the most that one lane holds, that all records to be set aside hold, and that
all lanes are filled up to from what they deferred. The rest is for records that nobody has seen yet."""


@dataclass(slots=True, eq=False)
class Lane:
    """The records of one lane, in the order of their delivery."""

    key: LaneKey
    waiting: deque[Work] = field(default_factory=deque)
    """The records that are held. The first is the one in flight, or the next to be."""
    bytes_held: int = 0
    """What its records weigh."""
    deferred: dict[Partition, OffsetSet] = field(default_factory=dict)
    """The offsets of deferred records, all above those of the same partition that are held. No set is empty."""
    is_held_up: bool = False
    """Whether the head was tried in vain: it may take long."""
    dropped: bool = False
    """Whether the lane's assignment has ended: nothing more is to be started from it."""

    @property
    def head(self) -> Work | None:
        """The record that is next, or in flight; None in a lane that holds none, or is dropped."""
        return self.waiting[0] if self.waiting and not self.dropped else None

    @property
    def is_of_set_aside(self) -> bool:
        """Whether its records are to be set aside."""
        return isinstance(self.key, int)

    def has_deferred(self, partition: Partition, offset: int) -> bool:
        """Whether a record is deferred here."""
        return partition in self.deferred and offset in self.deferred[partition]

    @property
    def deferred_count(self) -> int:
        """How many records are deferred."""
        return sum(map(len, self.deferred.values()))


class _Bounds(NamedTuple):
    """The most that a lane holds. One record it always may, however large that is."""

    records: int
    weight_bytes: int


class Lanes:
    """All lanes that have records, and how much they hold.

    Args:
        limits: How much a lane holds, and all of them together.
    """

    def __init__(self, limits: EngineLimits) -> None:
        share, share_bytes = max(1, limits.records_held_max // _SHARE), max(1, limits.bytes_held_max // _SHARE)
        self._share = share
        self._limits = limits
        self._set_aside_lanes = lanes = min(SET_ASIDE_LANES_MAX, share)
        self._of_calls = _Bounds(share, share_bytes)
        self._of_set_aside = _Bounds(max(1, share // lanes), max(1, share_bytes // lanes))
        self._when_short = _Bounds(min(limits.lane_records_max, share), min(limits.lane_bytes_max, share_bytes))
        self._by_key: dict[LaneKey, Lane] = {}
        self._deferring: dict[Lane, None] = {}
        """The lanes that have deferred records; a dict keeps their order."""
        self._wanting: dict[Lane, None] = {}
        """Those of them that have room for some."""
        self._held_up: set[Lane] = set()
        """The lanes that are held up."""
        self.records_held = 0
        self.bytes_held = 0
        self.records_deferred = 0

    def __len__(self) -> int:
        return len(self._by_key)

    def __iter__(self) -> Iterator[Lane]:
        return iter(self._by_key.values())

    def set_aside_key(self, partition: Partition, offset: int) -> int:
        """Which lane a record waits in that is to be set aside."""
        return (hash(partition) + offset) % self._set_aside_lanes

    def get(self, key: LaneKey) -> Lane | None:
        """The lane, if it has records."""
        return self._by_key.get(key)

    @property
    def is_full_of_bytes(self) -> bool:
        """Whether all records weigh as much as they may."""
        return self.bytes_held >= self._limits.bytes_held_max

    def must_defer(self, lane: Lane, partition: Partition, weight_bytes: int) -> bool:
        """Whether a delivered record has to be deferred: others of its partition are, or its lane is full."""
        return partition in lane.deferred or not self._has_room(lane, weight_bytes)

    def may_take_back(self, lane: Lane, partition: Partition, offset: int, weight_bytes: int) -> bool:
        """Whether a deferred record that was read again may be held: it is the next one, and there is room for it."""
        if lane.is_held_up or lane.deferred[partition].lowest != offset:
            return False
        is_full = self.is_full_of_bytes and bool(lane.waiting)
        return not is_full and self._has_room(lane, weight_bytes)

    def _has_room(self, lane: Lane, weight_bytes: int) -> bool:
        if not lane.waiting:
            return True
        bounds = self._bounds(lane)
        return len(lane.waiting) < bounds.records and lane.bytes_held + weight_bytes <= bounds.weight_bytes

    def keeps_call(self, lane: Lane | None) -> bool:
        """Whether a record that is about to be held may hold its call: it is the lane's first, and there is room."""
        return (lane is None or not lane.waiting) and not self.is_full_of_bytes

    def weigh_again(self, lane: Lane, work: Work, weight_before: int) -> None:
        """Notes that the weight of a lane's first record has changed."""
        if lane.head is work:
            lane.bytes_held += work.weight_bytes - weight_before
            self.bytes_held += work.weight_bytes - weight_before

    def _bounds(self, lane: Lane) -> _Bounds:
        return self._of_set_aside if lane.is_of_set_aside else self._of_calls

    def add(self, key: LaneKey, work: Work) -> Lane | None:
        """Puts a record at the end of what a lane holds.

        Returns:
            The lane if it held nothing, and so is now ready to be worked on; None if somebody has it already.
        """
        self.records_held += 1
        self.bytes_held += work.weight_bytes
        lane = self._by_key.get(key)
        if lane is None:
            lane = self._by_key[key] = Lane(key)
        lane.waiting.append(work)
        lane.bytes_held += work.weight_bytes
        return lane if len(lane.waiting) == 1 else None

    def longest(self) -> Lane | None:
        """The lane that has deferred most; None where none has."""
        return max(self._deferring, key=lambda lane: lane.deferred_count, default=None)

    def defer(self, lane: Lane, partition: Partition, offset: int) -> None:
        """Remembers a record by its offset alone."""
        offsets = lane.deferred.get(partition)
        if offsets is None:
            offsets = lane.deferred[partition] = OffsetSet()
            self._deferring[lane] = None
        offsets.add(offset)
        self.records_deferred += 1

    def take_back(self, lane: Lane, work: Work) -> Lane | None:
        """Holds a deferred record that was read again; returns as `add` does."""
        partition = work.ticket.partition
        self._forget(lane, partition, work.ticket.offset)
        if partition in lane.deferred:
            lane.deferred[partition] = lane.deferred.pop(partition)  # The other partitions' turn comes first.
        ready = self.add(lane.key, work)
        self._note_room(lane)
        return ready

    def lose(self, partition: Partition, offset: int) -> None:
        """Takes an offset out of whichever lane has deferred it."""
        for lane in self._deferring:
            if lane.has_deferred(partition, offset):
                self._forget(lane, partition, offset)
                self._note_loss(lane)
                return

    def lose_below(self, partition: Partition, offset: int) -> None:
        """Takes all offsets of a partition below this one out of the lanes that have deferred them."""
        for lane in [lane for lane in self._deferring if partition in lane.deferred]:
            self.records_deferred -= lane.deferred[partition].discard_below(offset)
            self._keep_or_forget(lane, partition)
            self._note_loss(lane)

    def _note_loss(self, lane: Lane) -> None:
        self._note_room(lane)
        if not lane.waiting and not lane.deferred:
            del self._by_key[lane.key]

    def _forget(self, lane: Lane, partition: Partition, offset: int) -> None:
        lane.deferred[partition].discard(offset)
        self.records_deferred -= 1
        self._keep_or_forget(lane, partition)

    def _keep_or_forget(self, lane: Lane, partition: Partition) -> None:
        if not lane.deferred[partition]:
            del lane.deferred[partition]
            if not lane.deferred:
                del self._deferring[lane]

    def hold_up(self, lane: Lane) -> None:
        """Notes that a lane's head was tried in vain."""
        if not lane.dropped and not lane.is_held_up:
            lane.is_held_up = True
            self._held_up.add(lane)
            self._wanting.pop(lane, None)

    def remove_head(self, lane: Lane) -> None:
        """Takes the settled head off its lane; a lane that has no record by now is forgotten."""
        if lane.dropped:
            return
        work = lane.waiting.popleft()
        lane.bytes_held -= work.weight_bytes
        self.records_held -= 1
        self.bytes_held -= work.weight_bytes
        if lane.is_held_up:
            lane.is_held_up = False
            self._held_up.discard(lane)
        if lane.deferred:
            self._note_room(lane)
        elif not lane.waiting:
            del self._by_key[lane.key]

    def is_full(self, *, was_full: bool, stuck: int) -> bool:
        """Whether nothing more is to be taken: from the bounds on, until half of them is free (hysteresis).

        Args:
            was_full: What it said last.
            stuck: How many lanes are stuck while others move.
        """
        moving, room = self._moving(stuck)
        # No room at all is never half free: while Temporal is away all that is held is held up, and none of it moves.
        if not was_full or not room:
            return moving >= room or self.is_full_of_bytes
        return moving > room // 2 or self.bytes_held > self._limits.bytes_held_max // 2

    def free_records(self, stuck: int) -> int:
        """How many more records there is room for, where so many lanes are stuck while others move."""
        moving, room = self._moving(stuck)
        return max(0, room - moving)

    def _moving(self, stuck: int) -> tuple[int, int]:
        """How many records are held that may be settled at any time, and how many of them there is room for.

        The first records of lanes that are held up may stay for long: the others have what they leave. Where lanes are
        stuck, that is as much as these are, up to a fourth of all: what bounds stuck ones is what they weigh.
        """
        held_up = len(self._held_up)
        return self.records_held - held_up, max(self._limits.records_held_max - held_up, min(stuck, self._share), 0)

    @property
    def held_up_count(self) -> int:
        """How many lanes are held up."""
        return len(self._held_up)

    @property
    def wants_records(self) -> bool:
        """Whether a lane has room for records that it deferred."""
        return bool(self._wanting)

    def wanted(self, records_max: int) -> dict[Partition, list[int]]:
        """The offsets of deferred records that there is room for, ascending, of each partition.

        Args:
            records_max: How many there may be in all.
        """
        found: dict[Partition, list[int]] = {}
        for lane in list(self._wanting):
            if records_max <= 0:
                break
            room = min(records_max, self._filled_up_to(lane) - len(lane.waiting))
            if room <= 0:
                del self._wanting[lane]  # More lanes have deferred since; it wants again once its head is settled.
                continue
            share = max(1, room // len(lane.deferred))
            for partition, offsets in lane.deferred.items():
                taken = list(islice(offsets, min(share, room)))
                found.setdefault(partition, []).extend(taken)
                records_max -= len(taken)
                room -= len(taken)
                if room <= 0:
                    break
        return {partition: sorted(offsets) for partition, offsets in found.items()}

    def shorten(self, hanging: Collection[Lane]) -> list[Work]:
        """Makes room: defers what lanes hold beyond a few records, and all but the head in lanes that do not move.

        Args:
            hanging: Lanes that do not move, beside those that are held up.

        Returns:
            What was deferred.
        """
        deferred = []
        for lane in list(self._by_key.values()):
            records_max = 1 if lane.is_held_up or lane in hanging else self._when_short.records
            while len(lane.waiting) > 1 and (
                len(lane.waiting) > records_max or lane.bytes_held > self._when_short.weight_bytes
            ):
                work = lane.waiting.pop()
                lane.bytes_held -= work.weight_bytes
                self.records_held -= 1
                self.bytes_held -= work.weight_bytes
                self.defer(lane, work.ticket.partition, work.ticket.offset)
                deferred.append(work)
        return deferred

    def drop_all(self) -> int:
        """Forgets everything, as after a rebalance: what is not settled will be delivered again.

        Returns:
            How many records that were held were dropped.
        """
        dropped = self.records_held
        for lane in self._by_key.values():
            lane.dropped = True
        self._by_key, self._deferring, self._wanting, self._held_up = {}, {}, {}, set()
        self.records_held = self.bytes_held = self.records_deferred = 0
        return dropped

    def _filled_up_to(self, lane: Lane) -> int:
        """How many records a lane is filled up to from what it deferred: the more such lanes, the fewer."""
        records_max = min(self._bounds(lane).records, self._when_short.records)
        return max(1, min(records_max, self._share // max(1, len(self._deferring))))

    def _note_room(self, lane: Lane) -> None:
        """Keeps the lanes that have room for what they deferred: at most half full, so that a read is worth it."""
        has_room = (
            len(lane.waiting) <= self._filled_up_to(lane) // 2
            and lane.bytes_held <= self._when_short.weight_bytes // 2
            and not lane.is_held_up
        )
        if has_room and lane.deferred:
            self._wanting[lane] = None
        else:
            self._wanting.pop(lane, None)
