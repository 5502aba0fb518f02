"""Which offsets may be committed, and what is known to be settled beyond them. Pure: no clock, no loop, no Kafka."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from heapq import merge
from itertools import chain
from typing import NamedTuple

from bridge.engine.offset_set import OffsetSet
from bridge.engine.settled_beyond import METADATA_CHARS_MAX, Fingerprinted, SettledBeyond, encode, settled_beyond


class Partition(NamedTuple):
    """A topic's partition. A tuple, as it is hashed for every record."""

    topic: str
    partition: int


class Ticket(NamedTuple):
    """A delivered record's claim on its partition, for as long as the assignment lasts."""

    partition: Partition
    offset: int
    epoch: int
    """The assignment epoch in which the record was delivered."""


class Committable(NamedTuple):
    """A partition's commit."""

    offset: int
    """Everything below it is settled."""
    metadata: str = ""
    """What is settled beyond it, for the next owner (`bridge.engine.settled_beyond`)."""


class Inherited(NamedTuple):
    """Whether a partition's previous owner's list of settled offsets was used, and how many records it let us skip."""

    partition: Partition
    is_trusted: bool
    """False where the record at the committed offset is another one than the list was made for: nothing was skipped."""
    records_passed_over: int
    """Records that were delivered to this bridge, and were settled already: they are not handed to Temporal again."""


@dataclass(slots=True)
class _PartitionState:
    epoch: int
    inherited: SettledBeyond | None = None
    """The previous owner's list of settled offsets; None without one, and once all of it was delivered."""
    passed_over: int = 0
    """Records skipped so far by that list."""
    next_offset: int | None = None
    """One after the highest delivered offset; None before the first delivery."""
    held: dict[int, Fingerprinted] = field(default_factory=dict)
    """Delivered, not yet settled and never deferred, lowest first: a dict keeps insertion order, and offsets are
    delivered in order.

    Offsets may have gaps (compaction, transactions, aborted batches), so nothing here counts in steps of one.
    """
    held_again: dict[int, Fingerprinted] = field(default_factory=dict)
    """Deferred, read again, and not yet settled; in any order."""
    deferred: OffsetSet = field(default_factory=OffsetSet)
    """Delivered and not settled, and remembered by their offsets alone."""
    anchor: tuple[int, bytes] | None = None
    """A record that is not above the lowest unsettled one, and its fingerprint. There is one whenever something is
    deferred: a record that is deferred has no fingerprint at hand, should it become the lowest."""
    committed: Committable | None = None
    """The last one that Kafka acknowledged in this assignment."""
    _last_committable: tuple[tuple[int, ...], Committable] | None = None
    """The last answer of `committable`, and what it was made of: made anew only where that has changed."""

    @property
    def unsettled_count(self) -> int:
        """Records delivered and not yet settled."""
        return len(self.held) + len(self.held_again) + len(self.deferred)

    def defer(self, offset: int) -> None:
        """Keeps nothing of an unsettled record but its offset."""
        if self.anchor is None:
            self._anchor_at(self._lowest_at_hand())
        if self.held.pop(offset, None) is None:
            del self.held_again[offset]
        self.deferred.add(offset)

    def settle(self, offset: int) -> bool:
        """Takes out a record that is held; False where it is not among them."""
        if offset in self.held:
            del self.held[offset]
        elif offset in self.held_again:
            del self.held_again[offset]
        else:
            return False
        return True

    def committable(self, metadata_chars_max: int) -> Committable | None:
        """What may be committed; None before the first delivery.

        That is the lowest unsettled offset, or the next one where all is settled; and what is settled beyond. Where the
        lowest record is deferred, it is the anchor: a little lower, which costs one repeat after a crash. Without the
        fingerprint of the record at the offset, the next owner could believe nothing of what is settled beyond.
        """
        if self.next_offset is None:
            return None
        offset = self._committable_offset()
        # Below the same next offset records only ever leave the unsettled ones, so that their number tells all of them.
        made_of = offset, self.next_offset, self.unsettled_count, metadata_chars_max
        if self._last_committable is None or self._last_committable[0] != made_of:
            self._last_committable = made_of, Committable(offset, self._beyond(offset, metadata_chars_max))
        return self._last_committable[1]

    def _committable_offset(self) -> int:
        lowest = self._lowest_at_hand()
        lowest_deferred = self.deferred.lowest
        if lowest_deferred is None:
            self.anchor = None
            return lowest
        anchor = self.anchor
        if anchor is None or lowest < lowest_deferred:
            anchor = self._anchor_at(lowest)
        return anchor[0]

    def _anchor_at(self, offset: int) -> tuple[int, bytes]:
        """Sets the anchor to a record that is held, and is the lowest unsettled one."""
        if self.anchor is None or self.anchor[0] != offset:
            self.anchor = offset, self._at_hand(offset).fingerprint
        return self.anchor

    def _lowest_at_hand(self) -> int:
        """The lowest offset whose record is held; the next offset where none is."""
        lowest = next(iter(self.held), self.next_offset or 0)
        return min(lowest, *self.held_again) if self.held_again else lowest

    def _at_hand(self, offset: int) -> Fingerprinted:
        return self.held.get(offset) or self.held_again[offset]

    def _beyond(self, offset: int, metadata_chars_max: int) -> str:
        """What is settled beyond a committable offset, whose record is held or the anchor; empty where nothing is."""
        if not self.unsettled_count:
            return ""
        end, unsettled = self.next_offset or 0, self._unsettled()
        if self.inherited is not None and self.inherited.end > end:
            # Not delivered to us yet: the previous owner's knowledge stands.
            unsettled, end = chain(unsettled, self.inherited.unsettled_from(end)), self.inherited.end
        fingerprint = self.anchor[1] if self.anchor else self._at_hand(offset).fingerprint
        # The committed offset counts as unsettled, also where it is an anchor that is settled by now.
        beyond = settled_beyond(chain([(offset, offset + 1)], unsettled), end, fingerprint)
        return encode(beyond, chars_max=metadata_chars_max)

    def _unsettled(self) -> Iterator[tuple[int, int]]:
        """All unsettled offsets as runs, ascending."""
        held = sorted(chain(self.held, self.held_again))
        return merge(((offset, offset + 1) for offset in held), self.deferred.runs())


class UnexpectedDeliveryError(Exception):
    """The Kafka client handed out a record that it cannot have, as where a topic was deleted and made anew.

    To go on could lose records, so the process has to begin anew.
    """


class OffsetTracker:
    """Follows every delivered record until it is settled.

    Three rules make a committed offset safe (I2): it never exceeds the lowest delivered offset that is not settled, it
    never goes back within an assignment, and what settles or is acknowledged under an assignment that has ended counts
    for nothing. And one rule makes it safe to skip a record: the previous owner said that it is settled, in a commit
    whose first unsettled record is the one that is delivered first now.
    """

    def __init__(self) -> None:
        self._epoch = 0
        self._states: dict[Partition, _PartitionState] = {}
        self._inherited: list[Inherited] = []
        self.is_assigned = False
        """Whether there is an assignment; it may be one of no partitions."""
        self.metadata_chars_max = METADATA_CHARS_MAX
        """Longest metadata of a commit; 0 for none."""

    @property
    def epoch(self) -> int:
        """The present assignment epoch; 0 before the first assignment."""
        return self._epoch

    @property
    def partitions(self) -> frozenset[Partition]:
        """The partitions that are assigned now."""
        return frozenset(self._states)

    @property
    def unsettled_count(self) -> int:
        """Records delivered and not yet settled, over all assigned partitions."""
        return sum(state.unsettled_count for state in self._states.values())

    def assign(
        self,
        partitions: frozenset[Partition] | set[Partition],
        inherited: Mapping[Partition, SettledBeyond] | None = None,
    ) -> int:
        """Begins a new assignment; whatever was delivered before it is forgotten.

        Args:
            partitions: The partitions that are assigned now.
            inherited: The previous owners' lists of settled offsets, of those partitions that have one.

        Returns:
            The new assignment epoch.
        """
        self._epoch += 1
        self.is_assigned = True
        inherited = inherited or {}
        self._states = {partition: _PartitionState(self._epoch, inherited.get(partition)) for partition in partitions}
        return self._epoch

    def revoke(self) -> None:
        """Ends the assignment: nothing is committable until the next one."""
        self.is_assigned = False
        self._states = {}

    def deliver(self, partition: Partition, record: Fingerprinted) -> Ticket | None:
        """Notes that a record was handed out.

        Returns:
            The record's ticket; None if the previous owner had settled it, and nothing is to be done.

        Raises:
            UnexpectedDeliveryError: The partition is not assigned, or the offset is not above the last one delivered.
        """
        state = self._states.get(partition)
        if state is None:
            raise UnexpectedDeliveryError(f"a record of {partition.topic}:{partition.partition}, which is not assigned")
        offset = record.offset
        if state.next_offset is not None and offset < state.next_offset:
            # What was settled is not in this topic any more: nothing of it is to be committed for what is.
            del self._states[partition]
            raise UnexpectedDeliveryError(
                f"offset {offset} of {partition.topic}:{partition.partition} after {state.next_offset - 1}: "
                "was the topic deleted and made anew?"
            )
        if state.inherited is not None and self._is_settled_already(partition, state, state.inherited, record):
            return None
        state.held[offset] = record
        state.next_offset = offset + 1
        return Ticket(partition, offset, state.epoch)

    def _is_settled_already(
        self, partition: Partition, state: _PartitionState, inherited: SettledBeyond, record: Fingerprinted
    ) -> bool:
        if state.next_offset is None and not inherited.is_of(record):
            self._end_inheriting(partition, state, is_trusted=False)
            return False
        is_settled = inherited.holds(record.offset)
        if is_settled:
            state.passed_over += 1
            state.next_offset = record.offset + 1
        if record.offset + 1 >= inherited.end:
            self._end_inheriting(partition, state, is_trusted=True)
        return is_settled

    def _end_inheriting(self, partition: Partition, state: _PartitionState, *, is_trusted: bool) -> None:
        state.inherited = None
        self._inherited.append(Inherited(partition, is_trusted, state.passed_over))

    def forget_committed(self, commits: Mapping[Partition, Committable], epoch: int) -> None:
        """Notes that a commit's outcome is unknown: the next one is sent, whatever was acknowledged before."""
        for partition in commits:
            state = self._states.get(partition)
            if state is not None and state.epoch == epoch:
                state.committed = None

    def next_offset(self, partition: Partition) -> int | None:
        """One after the highest delivered offset; None before the first delivery, or where it is not assigned."""
        state = self._states.get(partition)
        return None if state is None else state.next_offset

    def pass_to(self, partition: Partition, offset: int) -> None:
        """Notes that reading goes on at an offset, with no record to deliver before it.

        So where reading begins, and behind the markers of transactions, which Kafka delivers to nobody: without this,
        commits would stop at the last record, and the group would look as if it lagged behind.
        """
        state = self._states.get(partition)
        if state is None:
            return
        if state.next_offset is None:
            # The list tells of a record at its offset, and there reading does not begin.
            state.inherited = None
            state.next_offset = offset
        state.next_offset = max(state.next_offset, offset)

    def take_inherited(self) -> list[Inherited]:
        """Each partition whose previous owner's list was used up or distrusted since this was last asked."""
        taken, self._inherited = self._inherited, []
        return taken

    def defer(self, ticket: Ticket) -> None:
        """Notes that nothing of an unsettled record is kept but its offset: it will be read again.

        Args:
            ticket: The ticket of a record that is held, in the present assignment.
        """
        self._states[ticket.partition].defer(ticket.offset)

    def is_deferred(self, partition: Partition, offset: int) -> bool:
        """Whether a record is remembered by its offset alone."""
        state = self._states.get(partition)
        return state is not None and offset in state.deferred

    def regain(self, partition: Partition, record: Fingerprinted) -> Ticket:
        """Notes that a deferred record was read again, and is held from now on.

        Args:
            partition: The record's partition, which is assigned.
            record: A record that is deferred.
        """
        state = self._states[partition]
        state.deferred.discard(record.offset)
        state.held_again[record.offset] = record
        return Ticket(partition, record.offset, state.epoch)

    def lose(self, partition: Partition, offset: int) -> bool:
        """Notes that a deferred record is gone, so that nothing waits for it; False where it is not deferred."""
        state = self._states.get(partition)
        return state is not None and state.deferred.discard(offset)

    def lose_below(self, partition: Partition, offset: int) -> int:
        """The same for all deferred records below an offset; returns how many."""
        state = self._states.get(partition)
        return 0 if state is None else state.deferred.discard_below(offset)

    def settle(self, ticket: Ticket) -> bool:
        """Notes that a record is settled.

        Returns:
            Whether it counted: False under an assignment that has ended, or for a record that is settled already.
        """
        state = self._states.get(ticket.partition)
        return state is not None and state.epoch == ticket.epoch and state.settle(ticket.offset)

    def committable(self) -> dict[Partition, Committable]:
        """The commit of each partition for which there is something new to commit."""
        found: dict[Partition, Committable] = {}
        for partition, state in self._states.items():
            committable = state.committable(self.metadata_chars_max)
            if committable is not None and committable != state.committed:
                found[partition] = committable
        return found

    def committed(self, commits: Mapping[Partition, Committable], epoch: int) -> None:
        """Notes that Kafka has acknowledged a commit, made in the given assignment epoch."""
        for partition, commit in commits.items():
            state = self._states.get(partition)
            if state is None or state.epoch != epoch:
                continue
            if state.committed is None or commit.offset >= state.committed.offset:
                state.committed = commit
