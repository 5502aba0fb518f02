"""Takes deferred records back into their lanes, once `bridge.engine.rereader` has read them again."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Final

import structlog

from bridge.calls import Call
from bridge.engine.attempts import refused_by_temporal
from bridge.engine.lanes import Lane, Lanes
from bridge.engine.offsets import OffsetTracker, Partition, UnexpectedDeliveryError
from bridge.engine.translation import Translator, Turns
from bridge.engine.work import Work, weight_of
from bridge.record import Record
from bridge.refusal import Refusal

_REFUSED_BEFORE: Final = refused_by_temporal()
"""For a record that Temporal had refused before it was deferred. It is not called again: records of its lane that
followed it may have been, and it must not come after them (I3)."""


class Deferred:
    """The records that are remembered by their offsets alone.

    Args:
        translator: Says which lane a record belongs to.
        lanes: The lanes that have deferred them.
        tracker: Knows which records are unsettled.
        put: Has a lane worked on that held no record until now.
        stuck: How many lanes are stuck while others move.
    """

    def __init__(
        self,
        translator: Translator,
        lanes: Lanes,
        tracker: OffsetTracker,
        put: Callable[[Lane], None],
        stuck: Callable[[], int],
    ) -> None:
        self._translator = translator
        self._lanes = lanes
        self._tracker = tracker
        self._put = put
        self._stuck = stuck
        self._log = structlog.get_logger("bridge").bind()
        self.room = asyncio.Event()
        """Set when a lane gets room for records that it deferred; whoever reads them clears it."""
        self.is_closed = False
        """Whether nothing is to be taken any more, as the engine drains."""
        self.records_taken = 0
        """Records taken again so far; the watchdog looks whether it rises."""
        self.records_lost = 0
        """Records that were not there any more when they were to be read again."""

    def note_room(self) -> None:
        """Wakes whoever reads deferred records, if a lane has room for some."""
        if self._lanes.wants_records:
            self.room.set()

    def wanted(self) -> dict[Partition, list[int]]:
        """The records that there is room for: their offsets, ascending, of each partition."""
        return {} if self.is_closed else self._lanes.wanted(self._lanes.free_records(self._stuck()))

    @property
    def has_room(self) -> bool:
        """Whether a lane has room for records that it deferred."""
        return self._lanes.wants_records and not self.is_closed

    async def take(self, partition: Partition, records: Iterable[Record]) -> None:
        """Takes records that were read again into their lanes, as far as they are next there and there is room.

        Others have their turn of the loop in between. Where the assignment ends meanwhile, the rest is dropped.

        Raises:
            UnexpectedDeliveryError: Another record than was deferred is there.
        """
        epoch, turns = self._tracker.epoch, Turns(self._translator)
        for record in records:
            translated: Call | Refusal | None = None
            if turns.are_others_due(record):
                translated = await turns.give(record)
                if epoch != self._tracker.epoch:
                    return
            self._take(partition, record, translated)

    def _take(self, partition: Partition, record: Record, translated: Call | Refusal | None) -> None:
        offset = record.offset
        if self.is_closed or not self._tracker.is_deferred(partition, offset):
            return
        translated = translated or self._translator.now(record)
        lane, refusal = self._lane_of(partition, offset, translated)
        if not self._lanes.may_take_back(lane, partition, offset, weight_of(record.size_bytes, with_call=False)):
            return
        work = Work.of(record, translated, self._tracker.regain(partition, record))
        if refusal is not None:
            work.refusal, work.attempts = refusal, 1
        if refusal is not None or not self._lanes.keeps_call(lane):
            work.let_call_go()
        ready = self._lanes.take_back(lane, work)
        self.records_taken += 1
        if ready is not None:
            self._put(ready)

    def _lane_of(self, partition: Partition, offset: int, translated: Call | Refusal) -> tuple[Lane, Refusal | None]:
        """The lane that has deferred a record, and why the record is to be set aside, if it is."""
        lane = self._lanes.get(self._lanes.set_aside_key(partition, offset))
        if lane is not None and lane.has_deferred(partition, offset):
            return lane, translated if isinstance(translated, Refusal) else _REFUSED_BEFORE
        if isinstance(translated, Call):
            lane = self._lanes.get(translated.lane_key)
            if lane is not None and lane.has_deferred(partition, offset):
                return lane, None
        raise UnexpectedDeliveryError(
            f"another record at offset {offset} of {partition.topic}:{partition.partition} than was deferred: "
            "was the topic deleted and made anew?"
        )

    def lose(self, partition: Partition, offsets: Iterable[int]) -> None:
        """Gives up deferred records that the partition does not hold any more, though it holds later ones."""
        lost = [offset for offset in offsets if self._tracker.lose(partition, offset)]
        for offset in lost:
            self._lanes.lose(partition, offset)
        if lost:
            self._note_lost(partition, len(lost), f"they are gone, from offset {lost[0]} on: compacted, or deleted")

    def lose_below(self, partition: Partition, offset: int) -> None:
        """Gives up the deferred records below an offset at which the partition begins by now."""
        lost = self._tracker.lose_below(partition, offset)
        self._lanes.lose_below(partition, offset)
        if lost:
            self._note_lost(partition, lost, f"the partition begins at offset {offset} by now: they were deleted")

    def _note_lost(self, partition: Partition, records: int, detail: str) -> None:
        """Says loudly what nobody can change any more. Nothing waits for these records any longer."""
        self.records_lost += records
        self._log.error(
            "bridge.records.lost",
            topic=partition.topic,
            partition=partition.partition,
            records=records,
            detail=detail,
            action="have their sender send them again; see that Kafka keeps records for longer than a lane may wait",
        )
        self.note_room()
