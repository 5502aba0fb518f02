"""Which lanes are stuck: said once when it begins, and once when it is over."""

from datetime import timedelta
from typing import Final

import structlog

from bridge.engine.lanes import Lane
from bridge.engine.work import Work

_WORDS_MAX = 5
"""How many lanes are named to whoever asks; all of them are in the log."""

_ACTION: Final = "see why Temporal does not take it; other lanes go on meanwhile"
_ACTION_OF_SET_ASIDE: Final = "see why the dead-letter topic does not take it; all other records go on meanwhile"


class StuckLanes:
    """Notes the lanes whose first record is tried again and again.

    Args:
        after: How long the attempts at one record go on before its lane counts as stuck.
    """

    def __init__(self, after: timedelta) -> None:
        self._after_seconds = after.total_seconds()
        self._lanes: dict[Lane, None] = {}
        self._log = structlog.get_logger("bridge").bind()

    def __len__(self) -> int:
        return len(self._lanes)

    def __contains__(self, lane: Lane) -> bool:
        return lane in self._lanes

    def note_attempt(self, lane: Lane, work: Work, now: float) -> None:
        """Notes an attempt in vain at a lane's first record; logs it where the lane is stuck by that.

        Args:
            lane: The lane.
            work: Its first record.
            now: Seconds, on the clock of `Work.first_begun_at`.
        """
        if lane in self._lanes or work.first_begun_at is None or now - work.first_begun_at < self._after_seconds:
            return
        self._lanes[lane] = None
        record = work.record
        self._log.warning(
            "bridge.lane.stuck",
            lane=_name(lane),
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            attempts=work.attempts,
            records_waiting=_waiting(lane),
            action=_ACTION_OF_SET_ASIDE if lane.is_of_set_aside else _ACTION,
        )

    def note_settled(self, lane: Lane, work: Work) -> None:
        """Notes that a lane's first record is settled."""
        if lane in self._lanes:
            del self._lanes[lane]
            self._log.info("bridge.lane.moves_again", lane=_name(lane), attempts=work.attempts)

    def clear(self) -> None:
        """Forgets all of them, as their records may be another bridge's by now."""
        self._lanes.clear()

    def words(self) -> tuple[str, ...]:
        """The lanes that have been stuck longest, in words."""
        heads = [(lane, lane.head) for lane in list(self._lanes)[:_WORDS_MAX]]
        return tuple(
            f"{work.record.coordinates} of {_name(lane)} was tried {work.attempts} times; "
            f"{_waiting(lane)} records wait behind it"
            for lane, work in heads
            if work is not None
        )


def _name(lane: Lane) -> str:
    return "the dead letters" if lane.is_of_set_aside else str(lane.key)


def _waiting(lane: Lane) -> int:
    """How many records wait behind the first one."""
    return len(lane.waiting) - 1 + lane.deferred_count
