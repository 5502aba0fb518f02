"""How many records of each partition are where. Pure."""

from typing import Final, NamedTuple

from bridge.engine.lanes import Lanes
from bridge.engine.offsets import Partition
from bridge.engine.stuck import StuckLanes


class Counts(NamedTuple):
    """A partition's records that are delivered and not settled."""

    held: int
    deferred: int
    behind_stuck: int
    """Those of both that wait in a stuck lane, behind its first."""
    oldest_ms: int | None
    """The least timestamp of those that are held; None where none has one."""


NOTHING: Final = Counts(0, 0, 0, None)


class _Counting:
    __slots__ = ("behind_stuck", "deferred", "held", "oldest_ms")

    def __init__(self) -> None:
        self.held = self.deferred = self.behind_stuck = 0
        self.oldest_ms: int | None = None


def count_by_partition(lanes: Lanes, stuck: StuckLanes) -> dict[Partition, Counts]:
    """What is held and deferred of each partition that has any.

    Args:
        lanes: All lanes.
        stuck: Those of them that are stuck.
    """
    found: dict[Partition, _Counting] = {}
    for lane in lanes:
        is_stuck = lane in stuck
        for place, work in enumerate(lane.waiting):
            count = found.setdefault(work.ticket.partition, _Counting())
            count.held += 1
            count.behind_stuck += is_stuck and place > 0
            timestamp_ms = work.record.timestamp_ms
            if timestamp_ms >= 0 and (count.oldest_ms is None or timestamp_ms < count.oldest_ms):
                count.oldest_ms = timestamp_ms
        for partition, offsets in lane.deferred.items():
            count = found.setdefault(partition, _Counting())
            count.deferred += len(offsets)
            count.behind_stuck += len(offsets) if is_stuck else 0
    return {
        partition: Counts(count.held, count.deferred, count.behind_stuck, count.oldest_ms)
        for partition, count in found.items()
    }
