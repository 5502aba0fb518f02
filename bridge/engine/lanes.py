"""The records that wait and the ones that run: one lane per order, at most one record of it in flight. Pure."""

from collections import deque
from dataclasses import dataclass, field

from bridge.dead_letters.headers import Reason
from bridge.dead_letters.limit import DeadLetterLimitError
from bridge.engine.offsets import Ticket
from bridge.reading.event import DecodedRecord
from bridge.record import Record
from bridge.refusal import DecodeError


@dataclass(slots=True)
class Work:
    """A delivered record on its way to being settled."""

    record: Record
    decoded: DecodedRecord | DecodeError
    ticket: Ticket
    size_bytes: int
    attempts: int = 0
    """Attempts made so far, over dispatching and setting aside."""
    reason: Reason | None = None
    """Why it is to be set aside; None as long as it is not."""
    beyond_limit: DeadLetterLimitError | None = None
    """Why it must not be set aside after all: it would be one too many."""

    @property
    def lane_key(self) -> str:
        """The order's id; for a record that cannot be read its coordinates, as it must wait for nobody."""
        if isinstance(self.decoded, DecodedRecord):
            return self.decoded.order_id
        # A blank cannot stand in an order id, so that no order shares this lane.
        return f" {self.record.coordinates}"


@dataclass(slots=True)
class Lane:
    """The records of one order, in the order of their delivery."""

    key: str
    waiting: deque[Work] = field(default_factory=deque)
    """The first is the one in flight, or the next to be."""
    dropped: bool = False
    """Its assignment has ended: nothing more is to be started from it."""

    @property
    def head(self) -> Work | None:
        """The record that is next, or in flight."""
        return self.waiting[0] if self.waiting and not self.dropped else None


class Lanes:
    """All lanes that hold something, and how much they hold."""

    def __init__(self) -> None:
        self._by_key: dict[str, Lane] = {}
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
