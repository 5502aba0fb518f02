"""A partition's log in memory, for what reads records once more."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import islice

from bridge.engine.offsets import Partition, UnexpectedDeliveryError
from bridge.engine.rereader import Found, OffsetsGoneError, PastRecords
from bridge.record import Record


class InMemoryPastRecords(PastRecords):
    """Keeps records as Kafka does. Reads a few at a time; fails, or waits, where it is told to."""

    def __init__(self, records_max: int = 500) -> None:
        self.records_max = records_max
        self.logs: defaultdict[Partition, dict[int, Record]] = defaultdict(dict)
        self.beginnings: defaultdict[Partition, int] = defaultdict(int)
        self.holes_until: defaultdict[Partition, int] = defaultdict(int)
        """The end of a log whose last offsets have no record; 0 where its last record is its end."""
        self.failures: list[Exception] = []
        """What the next reads raise."""
        self.opened = asyncio.Event()
        """Reads wait until it is set, before they look."""
        self.opened.set()
        self.reads: list[tuple[Partition, int]] = []
        self.closed = 0
        self.is_open = False
        """Whether something was read since it was closed last."""

    def append(self, records: Iterable[Record]) -> None:
        """Adds records to their partitions' logs, at their ends."""
        for record in records:
            self.logs[Partition(record.topic, record.partition)][record.offset] = record

    def delete(self, partition: Partition, *offsets: int) -> None:
        """Takes records out, as compaction does."""
        for offset in offsets:
            del self.logs[partition][offset]

    def delete_below(self, partition: Partition, beginning: int) -> None:
        """Takes all records below an offset out, as retention does."""
        self.beginnings[partition] = beginning
        self.logs[partition] = {offset: one for offset, one in self.logs[partition].items() if offset >= beginning}

    async def read(self, partition: Partition, offsets: Sequence[int]) -> Found:
        self.reads.append((partition, offsets[0]))
        self.is_open = True
        await asyncio.sleep(0)
        await self.opened.wait()
        if self.failures:
            raise self.failures.pop(0)
        log, first = self.logs[partition], offsets[0]
        if first < self.beginnings[partition]:
            raise OffsetsGoneError(self.beginnings[partition])
        last = next(reversed(log), -1)
        if first >= max(last + 1, self.holes_until[partition]):
            raise UnexpectedDeliveryError("the log ends before it: was the topic deleted and made anew?")
        if first > last:
            return Found((), looked_below=self.holes_until[partition])
        begin = first if first in log else min(offset for offset in log if offset > first)
        looked_at = list(
            islice((offset for offset in range(begin, next(reversed(log)) + 1) if offset in log), self.records_max)
        )
        wanted = set(offsets)
        return Found([log[offset] for offset in looked_at if offset in wanted], looked_below=looked_at[-1] + 1)

    async def close(self) -> None:
        self.closed += 1
        self.is_open = False
