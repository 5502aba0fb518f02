"""Which offsets may be committed. Pure: no clock, no loop, no Kafka."""

from dataclasses import dataclass, field
from typing import NamedTuple


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


@dataclass(slots=True)
class _PartitionState:
    epoch: int
    next_offset: int | None = None
    """One after the highest delivered offset; None before the first delivery."""
    unsettled: dict[int, None] = field(default_factory=dict)
    """Delivered and not yet settled, lowest first: a dict keeps insertion order, and offsets are delivered in order.

    Offsets may have gaps (compaction, transactions, aborted batches), so nothing here counts in steps of one.
    """
    committed: int | None = None
    """The last offset that a commit of this assignment was acknowledged for."""

    @property
    def committable(self) -> int | None:
        return next(iter(self.unsettled), self.next_offset)


class UnexpectedDeliveryError(Exception):
    """Kafka's client handed out what it cannot have: to go on would lose records, so the process has to begin anew."""


class OffsetTracker:
    """Tracks, for each assigned partition, what was delivered and what is settled (I2)."""

    def __init__(self) -> None:
        self._states: dict[Partition, _PartitionState] = {}
        self._epoch = 0
        self.is_assigned = False
        """Whether an assignment lasts; it may be one of no partitions."""

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

    def assign(self, partitions: frozenset[Partition] | set[Partition]) -> int:
        """Begins a new assignment; whatever was delivered before it is forgotten.

        Returns:
            The new assignment epoch.
        """
        self._epoch += 1
        self.is_assigned = True
        self._states = {partition: _PartitionState(self._epoch) for partition in partitions}
        return self._epoch

    def revoke(self) -> None:
        """Ends the assignment: nothing is committable until the next one."""
        self.is_assigned = False
        self._states = {}

    def deliver(self, partition: Partition, offset: int) -> Ticket:
        """Notes that a record was handed out.

        Raises:
            UnexpectedDeliveryError: The partition is not assigned, or the offset is not above the last one delivered.
        """
        state = self._states.get(partition)
        if state is None:
            raise UnexpectedDeliveryError(f"a record of {partition.topic}:{partition.partition}, which is not assigned")
        if state.next_offset is not None and offset < state.next_offset:
            raise UnexpectedDeliveryError(
                f"offset {offset} of {partition.topic}:{partition.partition} after {state.next_offset - 1}: "
                "was the topic deleted and made anew?"
            )
        state.unsettled[offset] = None
        state.next_offset = offset + 1
        return Ticket(partition, offset, state.epoch)

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

    def committable(self) -> dict[Partition, int]:
        """The offset to commit for each partition where there is something new: the lowest unsettled, else the next."""
        offsets: dict[Partition, int] = {}
        for partition, state in self._states.items():
            offset = state.committable
            if offset is not None and (state.committed is None or offset > state.committed):
                offsets[partition] = offset
        return offsets

    def committed(self, offsets: dict[Partition, int], epoch: int) -> None:
        """Notes that Kafka has acknowledged a commit, made in the given assignment epoch."""
        for partition, offset in offsets.items():
            state = self._states.get(partition)
            if state is not None and state.epoch == epoch and (state.committed is None or offset > state.committed):
                state.committed = offset
