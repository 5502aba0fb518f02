"""The records that wait and the ones that run: in each lane at most one record is in flight. Pure."""

from collections import deque
from dataclasses import dataclass, field

from bridge.calls import Call
from bridge.dead_letters.limit import DeadLetterLimitError
from bridge.engine.offsets import Ticket
from bridge.record import Record
from bridge.refusal import Refusal

LaneKey = str | Ticket
"""A call's lane or workflow id; for a record that is refused its ticket, which no other record has."""


@dataclass(slots=True)
class Work:
    """A delivered record on its way to being settled."""

    record: Record
    translated: Call | Refusal
    """What the mapping made of the record."""
    ticket: Ticket
    size_bytes: int
    attempts: int = 0
    """Attempts made so far, at calling and at setting aside."""
    refusal: Refusal | None = None
    """Why the record is to be set aside; None as long as it is not. Its own, or Temporal's."""
    beyond_limit: DeadLetterLimitError | None = None
    """Why the record must not be set aside after all: it would be one too many."""

    @property
    def lane_key(self) -> LaneKey:
        """Which lane the record waits in. One that is refused has a lane of its own: it must wait for nobody."""
        call = self.translated
        if isinstance(call, Refusal):
            return self.ticket
        return call.workflow_id if call.lane is None else call.lane


@dataclass(slots=True)
class Lane:
    """The records of one lane, in the order of their delivery."""

    key: LaneKey
    waiting: deque[Work] = field(default_factory=deque)
    """The first is the one in flight, or the next to be."""
    dropped: bool = False
    """Whether the lane's assignment has ended: nothing more is to be started from it."""

    @property
    def head(self) -> Work | None:
        """The record that is next, or in flight; None in a lane that is empty or dropped."""
        return self.waiting[0] if self.waiting and not self.dropped else None


class Lanes:
    """All lanes that hold something, and how much they hold."""

    def __init__(self) -> None:
        self._by_key: dict[LaneKey, Lane] = {}
        self.records_held = 0
        self.bytes_held = 0

    def __len__(self) -> int:
        return len(self._by_key)

    def add(self, work: Work) -> Lane | None:
        """Puts a record at the end of its lane.

        Returns:
            The lane if it was empty, and so is now ready to be worked on; None if somebody has it already.
        """
        self.records_held += 1
        self.bytes_held += work.size_bytes
        key = work.lane_key
        lane = self._by_key.get(key)
        if lane is not None:
            lane.waiting.append(work)
            return None
        lane = self._by_key[key] = Lane(key, deque((work,)))
        return lane

    def remove_head(self, lane: Lane) -> None:
        """Takes the settled head off its lane; a lane that is empty by now is forgotten."""
        if lane.dropped:
            return
        work = lane.waiting.popleft()
        self.records_held -= 1
        self.bytes_held -= work.size_bytes
        if not lane.waiting:
            del self._by_key[lane.key]

    def drop_all(self) -> int:
        """Forgets everything, as after a rebalance: what is not settled will be delivered again.

        Returns:
            How many records were dropped.
        """
        dropped = self.records_held
        for lane in self._by_key.values():
            lane.dropped = True
        self._by_key = {}
        self.records_held = 0
        self.bytes_held = 0
        return dropped
