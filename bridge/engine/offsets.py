"""Which offsets may be committed, and what is known to be settled beyond them. Pure: no clock, no loop, no Kafka."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from bridge.engine.settled_beyond import METADATA_CHARS_MAX, Fingerprinted, SettledBeyond, encode


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
    unsettled: dict[int, Fingerprinted] = field(default_factory=dict)
    """Delivered and not yet settled, lowest first: a dict keeps insertion order, and offsets are delivered in order.

    Offsets may have gaps (compaction, transactions, aborted batches), so nothing here counts in steps of one.
    """
    committed: Committable | None = None
    """The last one that Kafka acknowledged in this assignment."""
    _last_committable: tuple[tuple[int, ...], Committable] | None = None
    """The last answer of `committable`, and what it was made of: made anew only where that has changed."""

    def committable(self, metadata_chars_max: int) -> Committable | None:
        """The lowest unsettled offset, else the next; and what is settled beyond. None before the first delivery."""
        if self.next_offset is None:
            return None
        offset = next(iter(self.unsettled), self.next_offset)
        # Below the same next offset records only ever leave `unsettled`, so that their number tells all of them.
        made_of = offset, self.next_offset, len(self.unsettled), metadata_chars_max
        if self._last_committable is None or self._last_committable[0] != made_of:
            committable = Committable(offset, self._beyond(self.next_offset, metadata_chars_max))
            self._last_committable = made_of, committable
        return self._last_committable[1]

    def _beyond(self, end: int, metadata_chars_max: int) -> str:
        if not self.unsettled:
            return ""
        unsettled = tuple(self.unsettled)
        if self.inherited is not None and self.inherited.end > end:
            # Not delivered to us yet: the previous owner's knowledge stands.
            unsettled, end = unsettled + self.inherited.unsettled_from(end), self.inherited.end
        lowest = self.unsettled[unsettled[0]]
        return encode(SettledBeyond(unsettled, end, lowest.fingerprint), chars_max=metadata_chars_max)


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
        return sum(len(state.unsettled) for state in self._states.values())

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
        if state.inherited is not None and self._is_settled_already(partition, state, record):
            return None
        state.unsettled[offset] = record
        state.next_offset = offset + 1
        return Ticket(partition, offset, state.epoch)

    def _is_settled_already(self, partition: Partition, state: _PartitionState, record: Fingerprinted) -> bool:
        inherited = state.inherited
        if inherited is None:
            return False
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

    def take_inherited(self) -> list[Inherited]:
        """Each partition whose previous owner's list was used up or distrusted since this was last asked."""
        taken, self._inherited = self._inherited, []
        return taken

    def settle(self, ticket: Ticket) -> bool:
        """Notes that a record is settled.

        Returns:
            Whether it counted: False under an assignment that has ended, or for a record that is settled already.
        """
        state = self._states.get(ticket.partition)
        if state is None or state.epoch != ticket.epoch or ticket.offset not in state.unsettled:
            return False
        del state.unsettled[ticket.offset]
        return True

    def is_current(self, ticket: Ticket) -> bool:
        """Whether the record's assignment still lasts."""
        state = self._states.get(ticket.partition)
        return state is not None and state.epoch == ticket.epoch

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
