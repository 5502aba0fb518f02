"""The audit table as a log of all orders, for whoever follows it: nothing is missed, whatever order it was written in.

The table numbers its rows as they are inserted, and transactions end in any order: so a row may appear behind one that
was read already. A hole in the numbers is therefore either a row that is still to come, or a number that nobody will
ever use. What tells the two apart is who is writing: a transaction that has drawn a number holds the table's lock of
writers until it ends.
"""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Text, bindparam, cast, func, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.adapters.postgres.engine import single_statements
from activities.adapters.postgres.schema import events


@dataclass(frozen=True, slots=True)
class LoggedEvent:
    """An event with its place in the log."""

    position: int
    """Its row's number: greater for rows that were inserted later, of whatever order; not without gaps."""
    order_id: str
    sequence: int
    type: str
    payload_json: str


class EventLog:
    """Reads the log. Raises `DatabaseUnavailableError` where the database does not answer."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def after(self, position: int, *, until: int | None = None, limit: int) -> tuple[LoggedEvent, ...]:
        """The events that can be seen behind a position, in the order of their numbers.

        Args:
            position: 0 for the log's beginning.
            until: the last position that is asked for; None for all that there is.
            limit: how many at most.
        """
        parameters = {"position": position, "until": _NO_END if until is None else until, "limit": limit}
        async with single_statements(self._engine) as connection:
            found = (await connection.execute(_AFTER, parameters)).all()
        return tuple(LoggedEvent(*row) for row in found)

    async def last_position(self) -> int:
        """The position of the last event that can be seen; 0 where there is none."""
        async with single_statements(self._engine) as connection:
            return int(await connection.scalar(_LAST) or 0)

    async def writers(self) -> frozenset[str]:
        """The transactions that may hold a position whose event cannot be seen yet.

        Of every position that was drawn before this call, the event can be seen, or never will be, or its transaction
        is among these.
        """
        async with single_statements(self._engine) as connection:
            return frozenset((await connection.execute(_WRITERS)).scalars())


_NO_END: Final = 2**63 - 1
_AFTER: Final = (
    select(events.c.id, events.c.order_id, events.c.sequence, events.c.type, cast(events.c.payload_json, Text))
    .where(events.c.id > bindparam("position"), events.c.id <= bindparam("until"))
    .order_by(events.c.id)
    .limit(bindparam("limit"))
)
_LAST: Final = select(func.max(events.c.id))
# The mode that INSERT takes, from before it draws a number to its transaction's end; a prepared one holds it too.
# https://www.postgresql.org/docs/current/explicit-locking.html#LOCKING-TABLES
_WRITERS: Final = text(
    "SELECT DISTINCT virtualtransaction FROM pg_locks WHERE locktype = 'relation' AND mode = 'RowExclusiveLock' "
    "AND granted AND relation = 'events'::regclass "
    "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)
