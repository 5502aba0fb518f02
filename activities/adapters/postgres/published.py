"""How far orders are published: noted in memory first, and written for many orders at once, or with their next record.

A note that is lost, with a process that is killed, does no harm: whoever records the order's next event finds it behind
and publishes again what was published, to the byte (at least once, in order: I7). At the end of an order's life there
may be no next event. So there the note is waited for, and until then the order's activity is not over.
"""

import asyncio
from contextlib import suppress
from datetime import timedelta
from typing import Final

from sqlalchemy.ext.asyncio import AsyncEngine

from activities.adapters.postgres.driver import fetch
from activities.adapters.postgres.order_statements import MARK_ONE_PUBLISHED, MARK_PUBLISHED
from activities.ports import DatabaseUnavailableError

WRITTEN_AFTER: Final = timedelta(seconds=1)
"""How long a note waits for its order's next record to take it along. So a process writes notes about once a second,
whatever the number of its orders."""
ORDERS_MAX: Final = 1_000
"""Most orders that one statement writes."""


class PublishedMarks:
    """The notes of one process.

    Args:
        engine: of the database.
        written_after: see `WRITTEN_AFTER`.
    """

    def __init__(self, engine: AsyncEngine, written_after: timedelta = WRITTEN_AFTER) -> None:
        self._engine = engine
        self._written_after = written_after.total_seconds()
        self._noted: dict[str, int] = {}
        self._writing = asyncio.Lock()
        self._later: asyncio.Task[None] | None = None

    def of(self, order_id: str) -> int:
        """The sequence up to which the order is noted as published; 0 where nothing waits to be written."""
        return self._noted.get(order_id, 0)

    def note(self, order_id: str, sequence: int) -> None:
        """Notes it, to be written within `written_after`, and again as often where the database does not answer."""
        self._noted[order_id] = max(sequence, self.of(order_id))
        if self._later is None or self._later.done():
            self._later = asyncio.create_task(self._write_later(), name="published marks")

    def written(self, order_id: str, sequence: int) -> None:
        """Forgets a note that a record has taken along."""
        if self.of(order_id) <= sequence:
            self._noted.pop(order_id, None)

    async def write(self, order_id: str) -> None:
        """Returns when the order's note is written. Those of others go along.

        Raises:
            DatabaseUnavailableError: it could not be; the note is kept.
        """
        async with self._writing:
            # Whoever waited behind another's statement finds that it has taken this order along.
            if order_id in self._noted:
                await self._write(first=order_id)
            if order_id in self._noted:
                await self._write_one(order_id)

    async def close(self) -> None:
        """Writes what is noted, as far as the database answers."""
        if self._later is not None:
            self._later.cancel()
            await asyncio.gather(self._later, return_exceptions=True)
        with suppress(DatabaseUnavailableError):
            async with self._writing:
                await self._write_all()

    async def _write_later(self) -> None:
        while self._noted:
            await asyncio.sleep(self._written_after)
            with suppress(DatabaseUnavailableError):
                async with self._writing:
                    await self._write_all()

    async def _write_all(self) -> None:
        for _ in range(len(self._noted) // ORDERS_MAX + 1):
            if self._noted:
                await self._write()

    async def _write(self, first: str | None = None) -> None:
        """One statement, for as many orders as it takes; those that others hold, and those beyond it, stay noted."""
        ids = sorted(self._noted, key=lambda one: one != first)[:ORDERS_MAX]
        taken = {order_id: self._noted[order_id] for order_id in ids}
        values = {"order_ids": list(taken), "sequences": list(taken.values())}
        held = {row["order_id"] for row in await fetch(self._engine, MARK_PUBLISHED, values)}
        for order_id, sequence in taken.items():
            if order_id not in held:
                self.written(order_id, sequence)

    async def _write_one(self, order_id: str) -> None:
        """Waits for whoever holds the order."""
        sequence = self._noted[order_id]
        await fetch(self._engine, MARK_ONE_PUBLISHED, {"order_id": order_id, "sequence": sequence})
        self.written(order_id, sequence)
