"""Notices when nothing moves although it could: the last resort against whatever nobody thought of (I12)."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

_CHECK_INTERVAL_SECONDS = 1.0
_GAP_MAX_SECONDS = 10.0
"""A longer gap between two checks means that the whole process stood still (SIGSTOP, a suspended machine)."""


class StuckError(Exception):
    """Nothing moves any more, and the servers are not to blame; the process has to begin anew."""


@dataclass(frozen=True, slots=True)
class Signs:
    """What the watchdog sees of a bridge in one look."""

    poll_turns: int
    """How often the poll loop has turned."""
    attempts_ended: int
    records_held: int
    records_taken: int
    """Records delivered by Kafka so far."""
    kafka_answers: bool
    assigned: bool
    """Whether there is an assignment. A bridge that stands by, as others have all partitions, has one of none."""
    assignments: int
    """Assignments so far."""
    refused: bool
    """Whether a person has to correct a configuration: a new process would be refused as well."""
    paused: bool
    """Whether the engine takes nothing, as it is full or waits for a person."""
    lagging: bool
    """Whether there are records to read."""
    records_taken_again: int = 0
    """Deferred records that were read again so far."""
    wants_records: bool = False
    """Whether there is room for deferred records, and Kafka is not known to refuse them."""


class Watchdog:
    """Looks for progress where there has to be some. Pure, but for the clock that it is given.

    Args:
        timeout_seconds: How long there may be none.
    """

    def __init__(self, timeout_seconds: float) -> None:
        self._timeout = timeout_seconds
        self._progress: dict[str, tuple[int, float]] = {}
        """For each thing that should move: its last count, and since when it has been that."""
        self._checked_at: float | None = None

    def check(self, signs: Signs, now: float) -> None:
        """Compares one look with those before.

        Args:
            signs: What is to be seen.
            now: Seconds on a clock that never goes back.

        Raises:
            StuckError: Something has not moved for too long.
        """
        if self._checked_at is not None and now - self._checked_at > _GAP_MAX_SECONDS:
            self._progress.clear()  # Nobody could move, and the servers have to be asked again.
        self._checked_at = now
        self._expect("the poll loop does not turn", signs.poll_turns, now, expected=signs.kafka_answers)
        # An attempt ends also when a server is away, by its time-out.
        self._expect("no attempt comes to an end", signs.attempts_ended, now, expected=signs.records_held > 0)
        joins = signs.kafka_answers and not signs.assigned and not signs.refused
        self._expect("the consumer group gives this bridge no assignment", signs.assignments, now, expected=joins)
        reads = signs.kafka_answers and signs.assigned and signs.lagging and not signs.paused
        self._expect("Kafka has records, and none arrives", signs.records_taken, now, expected=reads)
        reads_again = signs.kafka_answers and signs.wants_records
        trouble = "deferred records are to be read again, and none arrives"
        self._expect(trouble, signs.records_taken_again, now, expected=reads_again)

    def _expect(self, trouble: str, count: int, now: float, *, expected: bool) -> None:
        last = self._progress.get(trouble)
        if not expected or last is None or last[0] != count:
            self._progress[trouble] = (count, now)
        elif now - last[1] > self._timeout:
            raise StuckError(f"{trouble} for {self._timeout:g} s although it should; the process ends, to begin anew")


async def watch(look: Callable[[], Signs], timeout_seconds: float) -> None:
    """Checks once a second, until cancelled.

    Raises:
        StuckError: Something has not moved for too long.
    """
    watchdog = Watchdog(timeout_seconds)
    while True:
        await asyncio.sleep(_CHECK_INTERVAL_SECONDS)
        watchdog.check(look(), time.monotonic())
