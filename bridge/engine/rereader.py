"""Reads deferred records again, for the lanes that have room for them."""

import asyncio
import random
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple, Protocol

from bridge.config import BackOff
from bridge.decisions import Decision, classify_kafka_error
from bridge.engine.deferred import Deferred
from bridge.engine.offsets import OffsetTracker, Partition, UnexpectedDeliveryError
from bridge.health import Dependency, Health
from bridge.record import Record

_FULL_PAUSE_SECONDS: Final = 0.02
"""How long to wait where lanes have room, and the bridge as a whole has none: four calls of 5 ms."""
_IDLE_SECONDS: Final = 60.0
"""How long nothing is wanted before the connection is closed. A backlog that is worked off wants reads all the time."""


class Found(NamedTuple):
    """What one read came to."""

    records: Sequence[Record]
    """Those that were wanted, ascending."""
    looked_below: int
    """From the first wanted offset on, all below this one were looked at: what is not among the records is gone."""


class OffsetsGoneError(Exception):
    """The partition begins behind the offset that was to be read.

    Args:
        beginning: The first offset that the partition holds.
    """

    def __init__(self, beginning: int) -> None:
        super().__init__(f"the partition begins at offset {beginning}")
        self.beginning = beginning


class PastRecords(Protocol):
    """Reads records of a partition once more, beside the consumer that delivers them."""

    async def read(self, partition: Partition, offsets: Sequence[int]) -> Found:
        """Reads some of the wanted records; waits a moment where none is there yet.

        Args:
            partition: The partition.
            offsets: The wanted offsets, ascending; at least one.

        Raises:
            OffsetsGoneError: The first wanted offset is below the partition's beginning.
            Exception: Kafka does not answer, or refuses; `bridge.decisions` says what it means.
        """
        ...

    async def close(self) -> None:
        """Ends the connection, within bounds; the next read makes another."""
        ...


class Rereader:
    """Reads what lanes have room for, partition after partition, until it is cancelled.

    Args:
        deferred: Says what is wanted, and takes it.
        tracker: Knows the assignment: what was read under one that has ended is dropped.
        source: Reads the records.
        health: Is told whether they can be read.
        back_off: How long to wait after a failure.
    """

    def __init__(
        self, deferred: Deferred, tracker: OffsetTracker, source: PastRecords, health: Health, back_off: BackOff
    ) -> None:
        self._deferred = deferred
        self._tracker = tracker
        self._source = source
        self._health = health
        self._back_off = back_off
        self._failures = 0
        """Reads in a row that failed."""
        self._last_read: Partition | None = None

    async def run(self) -> None:
        """Reads whenever a lane has room; closes the source at the end, and when it was not needed for a while.

        Raises:
            UnexpectedDeliveryError: Another record than was deferred is there, or none: the topic was made anew.
        """
        try:
            while True:
                try:
                    async with asyncio.timeout(_IDLE_SECONDS):
                        await self._deferred.room.wait()
                except TimeoutError:
                    await self._source.close()
                    await self._deferred.room.wait()
                await self._turn()
                await asyncio.sleep(0)  # A read that finds its records in the client's buffer does not wait.
        finally:
            await self._source.close()

    async def _turn(self) -> None:
        """Reads once, if anything is wanted."""
        wanted = self._deferred.wanted()
        if not wanted:
            if self._deferred.has_room:
                await asyncio.sleep(_FULL_PAUSE_SECONDS)
            else:
                self._deferred.room.clear()
            return
        partition = self._next_of(wanted)
        epoch, offsets = self._tracker.epoch, wanted[partition]
        try:
            found = await self._source.read(partition, offsets)
        except OffsetsGoneError as error:
            if epoch == self._tracker.epoch:
                self._deferred.lose_below(partition, error.beginning)
        except UnexpectedDeliveryError:
            # Under an assignment that has ended, a topic may have ended with it.
            if epoch == self._tracker.epoch and self._tracker.is_deferred(partition, offsets[0]):
                raise
        except Exception as error:  # noqa: BLE001 -- every failure of the boundary is classified, in one place
            await self._note_failure(error)
        else:
            self._failures = 0
            self._health.answered(Dependency.REREADS)
            if epoch == self._tracker.epoch:
                await self._hand_over(partition, offsets, found)

    def _next_of(self, wanted: Iterable[Partition]) -> Partition:
        """The partitions take turns, so that none waits for another's backlog."""
        ordered = sorted(wanted)
        last = self._last_read
        self._last_read = next((one for one in ordered if last is not None and one > last), ordered[0])
        return self._last_read

    async def _hand_over(self, partition: Partition, offsets: Sequence[int], found: Found) -> None:
        taken_before = self._deferred.records_taken
        there = {record.offset for record in found.records}
        self._deferred.lose(partition, [one for one in offsets if one < found.looked_below and one not in there])
        await self._deferred.take(partition, found.records)
        if found.records and self._deferred.records_taken == taken_before:
            await asyncio.sleep(_FULL_PAUSE_SECONDS)  # There was no room for the first of them: it is too large.

    async def _note_failure(self, error: Exception) -> None:
        self._failures += 1
        decision = classify_kafka_error(error)
        self._health.failed(Dependency.REREADS, decision, error)
        await self._source.close()  # The next read begins with a connection of its own.
        delay = self._back_off.delay_before(self._failures + 1, random_share=random.random())  # noqa: S311 -- no secret
        if decision is Decision.CONFIGURATION:
            delay = self._back_off.maximum
        await asyncio.sleep(delay.total_seconds())
