"""The audit table as a log of all orders, for whoever follows it: nothing is missed, whatever order it was written in.

The table numbers its rows as they are inserted, and transactions end in any order: so a row may appear behind one that
was read already. A hole in the numbers is therefore either a row that is still to come, or a number that nobody will
ever use. What tells the two apart is who has drawn a number: such a transaction holds a lock on the sequence that the
numbers come from, from before it draws until it ends, and only such a transaction does.

Others guess. Marten waited for some seconds and lost events (its pull request 4977); then for every transaction that
was open, and stood still behind ones that would never write (5057, 5125). To keep each row's transaction id and to read
below `pg_snapshot_xmin` waits for every transaction of the whole server, and takes another index.
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

    async def drawers(self) -> frozenset[str]:
        """The open transactions that have drawn a position: those whose events cannot be seen yet.

        Of every position that was drawn before this call, the event can be seen, or never will be, or its transaction
        is among these. One that is prepared (PREPARE TRANSACTION) gets another name, which `is_prepared` tells.
        """
        async with single_statements(self._engine) as connection:
            return frozenset((await connection.execute(_DRAWERS)).scalars())

    async def who_draws(self) -> str:
        """The same for a person: which sessions, of what, and for how long; "" where there are none."""
        async with single_statements(self._engine) as connection:
            rows = (await connection.execute(_WHO_DRAWS)).all()
        return "; ".join(_told(*row) for row in rows)


def is_prepared(drawer: str) -> bool:
    """Whether the name is that of a prepared transaction, which may have had another name before."""
    return drawer.startswith("-1/")


def _told(pid: int | None, application: str | None, seconds: float | None) -> str:
    if pid is None:
        return "a prepared transaction (see pg_prepared_xacts)"
    since = "" if seconds is None else f", open for {seconds:.0f} s"
    return f"pid {pid} ({application or 'no application name'}{since})"


_NO_END: Final = 2**63 - 1
_AFTER: Final = (
    select(events.c.id, events.c.order_id, events.c.sequence, events.c.type, cast(events.c.payload_json, Text))
    .where(events.c.id > bindparam("position"), events.c.id <= bindparam("until"))
    .order_by(events.c.id)
    .limit(bindparam("limit"))
)
_LAST: Final = select(func.max(events.c.id))
# Whoever calls nextval locks the sequence so, until its transaction ends (PostgreSQL's sequence.c,
# lock_and_open_sequence); a prepared transaction holds it too. No DELETE, UPDATE or clean-up of the table does.
_OF_DRAWERS: Final = (
    "locktype = 'relation' AND mode = 'RowExclusiveLock' AND granted "
    "AND relation = pg_get_serial_sequence('events', 'id')::regclass "
    "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)
_DRAWERS: Final = text(f"SELECT DISTINCT virtualtransaction FROM pg_locks WHERE {_OF_DRAWERS}")  # noqa: S608 - constants
_WHO_DRAWS: Final = text(
    "SELECT DISTINCT locks.pid, application_name, extract(epoch FROM clock_timestamp() - xact_start)::float "  # noqa: S608
    f"FROM (SELECT pid FROM pg_locks WHERE {_OF_DRAWERS}) AS locks LEFT JOIN pg_stat_activity USING (pid) ORDER BY 1"
)
