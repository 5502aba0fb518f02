"""The read side: the tables' rows of orders, for people and for checks."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import ARRAY, LargeBinary, Text, any_, bindparam, cast, exists, func, literal, or_, select, text, tuple_
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.adapters.postgres import rows
from activities.adapters.postgres.engine import single_statements
from activities.adapters.postgres.event_log import EventLog
from activities.adapters.postgres.order_pages import (
    COUNT_MAX,
    COUNTS,
    OrderFilter,
    OrderSort,
    PagePlace,
    page_statement,
)
from activities.adapters.postgres.payments import claim_of
from activities.adapters.postgres.records import OrderRecord, event_outcome, order_record
from activities.adapters.postgres.schema import events, inbound_events, journals, orders, payments
from activities.ports import PaymentClaim, StoredEvent
from schemas.activity_io import EventOutcome
from schemas.states import OrderState

__all__ = ["PAGE_MAX", "InboundKey", "JournalRecord", "OrderReader", "OrderRecord", "TableLock"]

PAGE_MAX: Final = 1_000
"""Most rows that one call returns."""


@dataclass(frozen=True, slots=True)
class JournalRecord:
    """How far an order's events are: they are on Kafka up to `last_published_sequence`, at least."""

    order_id: str
    last_sequence: int
    last_published_sequence: int


@dataclass(frozen=True, slots=True)
class InboundKey:
    """What makes an inbound event the same event."""

    order_id: str
    event_id: str
    type: str


@dataclass(frozen=True, slots=True)
class TableLock:
    """Another session of the database that keeps everybody from reading one of our tables."""

    pid: int
    """Of its process on the database's server, as `pg_stat_activity` has it; 0 for a prepared transaction."""
    table: str
    waits_for: tuple[int, ...]
    """The processes that hold up this session; empty where the lock is its own, and the wait for it ours alone."""


class OrderReader:
    """Reads the application's tables; writes nothing. Raises `DatabaseUnavailableError` where they do not answer."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self.log = EventLog(engine)
        """The events of all orders, for whoever follows them."""

    async def order(self, order_id: str) -> OrderRecord | None:
        """The order's row; None where no ``order.created`` was ever accepted."""
        async with single_statements(self._engine) as connection:
            statement = select(orders).where(orders.c.id == order_id)
            row = (await connection.execute(statement)).mappings().one_or_none()
        return None if row is None else order_record(row)

    async def orders_in(
        self,
        states: Collection[OrderState],
        *,
        until: datetime | None = None,
        after: OrderRecord | None = None,
        limit: int = 100,
    ) -> tuple[OrderRecord, ...]:
        """Orders in any of these states, those that have not changed for longest first.

        Args:
            states: which; the index serves one as well as several.
            until: only those that last changed before; None for all.
            after: the last order of the page before; None for the first page.
            limit: how many at most, `PAGE_MAX` in any case.
        """
        statement = select(orders).where(orders.c.state.in_(sorted(states)))
        if until is not None:
            statement = statement.where(orders.c.updated_at < until)
        if after is not None:
            # By position and not by number of rows: an order that changes meanwhile moves no other to another page.
            here = tuple_(literal(after.updated_at), literal(after.order_id))
            statement = statement.where(tuple_(orders.c.updated_at, orders.c.id) > here)
        statement = statement.order_by(orders.c.updated_at, orders.c.id).limit(min(limit, PAGE_MAX))
        async with single_statements(self._engine) as connection:
            found = (await connection.execute(statement)).mappings().all()
        return tuple(order_record(row) for row in found)

    async def page(
        self, which: OrderFilter, sort: OrderSort, *, after: PagePlace | None = None, limit: int = 100
    ) -> tuple[OrderRecord, ...]:
        """A page of the orders that the filter takes.

        Args:
            which: which orders.
            sort: in which order.
            after: the last order of the page before; None for the first page.
            limit: how many at most, `PAGE_MAX` and one more in any case.
        """
        statement = page_statement(which, sort, after, min(limit, PAGE_MAX + 1))
        async with single_statements(self._engine) as connection:
            found = (await connection.execute(statement)).mappings().all()
        return tuple(order_record(row) for row in found)

    async def count_by_state(self, states: Collection[OrderState] = tuple(OrderState)) -> dict[OrderState, int]:
        """How many orders are in each of these states; `order_pages.COUNT_MAX` stands for so many or more."""
        values = {"states": [state.value for state in sorted(states)], "most": COUNT_MAX}
        async with single_statements(self._engine) as connection:
            found = (await connection.execute(COUNTS, values)).all()
        return {OrderState(row.state): row.counted for row in found}

    async def journal(self, order_id: str) -> JournalRecord | None:
        """How far the order's events are; None where it has none."""
        async with single_statements(self._engine) as connection:
            row = (await connection.execute(select(journals).where(journals.c.order_id == order_id))).one_or_none()
        return None if row is None else JournalRecord(*row)

    async def events(self, order_id: str, after_sequence: int = 0, limit: int = PAGE_MAX) -> tuple[StoredEvent, ...]:
        """The order's audit rows after a sequence, in order: page on from the last one's sequence."""
        statement = (
            select(events.c.sequence, events.c.type, cast(events.c.payload_json, Text))
            .where(events.c.order_id == order_id, events.c.sequence > after_sequence)
            .order_by(events.c.sequence)
            .limit(min(limit, PAGE_MAX))
        )
        async with single_statements(self._engine) as connection:
            found = (await connection.execute(statement)).all()
        return tuple(StoredEvent(order_id=order_id, sequence=row[0], type=row[1], payload_json=row[2]) for row in found)

    async def inbound_events(self, order_id: str, limit: int = PAGE_MAX) -> tuple[EventOutcome, ...]:
        """How the order's inbound events were decided, by time; the newest where there are more than `limit`."""
        statement = (
            select(inbound_events)
            .where(inbound_events.c.order_id == order_id)
            .order_by(inbound_events.c.ts.desc(), inbound_events.c.event_id.desc(), inbound_events.c.type.desc())
            .limit(min(limit, PAGE_MAX))
        )
        async with single_statements(self._engine) as connection:
            found = (await connection.execute(statement)).mappings().all()
        return tuple(event_outcome(row) for row in reversed(found))

    async def inbound_event(self, order_id: str, event_type: str, event_id: str) -> EventOutcome | None:
        """How one inbound event was decided; None where it is not decided yet, or was never seen."""
        statement = select(inbound_events).where(
            inbound_events.c.order_id == order_id,
            inbound_events.c.event_digest == rows.digest(event_id),
            inbound_events.c.type == event_type,
        )
        async with single_statements(self._engine) as connection:
            row = (await connection.execute(statement)).mappings().one_or_none()
        return None if row is None else event_outcome(row)

    async def outcomes_of(self, keys: Iterable[InboundKey]) -> dict[InboundKey, EventOutcome]:
        """How these inbound events were decided, in one statement whatever their number; those that are decided."""
        wanted = {(key.order_id, rows.digest(key.event_id), key.type): key for key in keys}
        values = {
            "order_ids": [order_id for order_id, _, _ in wanted],
            "digests": [digest for _, digest, _ in wanted],
            "types": [event_type for _, _, event_type in wanted],
        }
        async with single_statements(self._engine) as connection:
            found = (await connection.execute(_OUTCOMES_OF, values)).mappings().all()
        return {
            wanted[row["order_id"], bytes(row["event_digest"]), row["type"]]: event_outcome(row) for row in found
        }  # fmt: skip

    async def has_been(self, order_id: str, state: OrderState) -> bool:
        """Whether a transition to the state was recorded: no other event has a state. Archived ones count."""
        async with single_statements(self._engine) as connection:
            return bool(await connection.scalar(_HAS_BEEN, {"order_id": order_id, "state": state.value}))

    async def payment(self, payment_id: str) -> PaymentClaim | None:
        """The payment's row; None where the id was never claimed."""
        async with single_statements(self._engine) as connection:
            statement = select(payments).where(payments.c.payment_id == payment_id)
            row = (await connection.execute(statement)).mappings().one_or_none()
        return None if row is None else claim_of(row)

    async def table_locks(self) -> tuple[TableLock, ...]:
        """Who keeps our tables from being read: sessions that hold, or wait for, a lock that excludes readers.

        Says nothing of what these sessions do: a statement's text may hold customers' data.
        """
        async with single_statements(self._engine) as connection:
            found = (await connection.execute(_TABLE_LOCKS)).all()
        return tuple(TableLock(row.pid, row.table_name, tuple(row.waits_for)) for row in found)


# Readers wait for this one mode only, and behind whoever waits for it.
# https://www.postgresql.org/docs/current/explicit-locking.html#LOCKING-TABLES
_TABLE_LOCKS: Final = text(
    "SELECT DISTINCT coalesce(l.pid, 0) AS pid, c.relname AS table_name, "
    "coalesce(pg_blocking_pids(l.pid), '{}') AS waits_for "
    "FROM pg_locks l JOIN pg_class c ON c.oid = l.relation "
    "WHERE l.locktype = 'relation' AND l.mode = 'AccessExclusiveLock' "
    "AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
    "AND c.relname IN ('orders', 'journals', 'events', 'inbound_events', 'payments') ORDER BY 1 LIMIT 5"
)

_HAS_BEEN: Final = select(
    or_(
        exists().where(
            events.c.order_id == bindparam("order_id"),
            cast(events.c.payload_json, JSONB)["state"].astext == bindparam("state"),
        ),
        exists().where(orders.c.id == bindparam("order_id"), bindparam("state") == any_(orders.c.archived_states)),
    )
)
_KEYS: Final = (
    func.unnest(
        cast(bindparam("order_ids", type_=ARRAY(Text)), ARRAY(Text)),
        cast(bindparam("digests", type_=ARRAY(LargeBinary)), ARRAY(LargeBinary)),
        cast(bindparam("types", type_=ARRAY(Text)), ARRAY(Text)),
    )
    .table_valued("order_id", "event_digest", "type")
    .render_derived(name="wanted")
)
_OUTCOMES_OF: Final = select(inbound_events).select_from(
    _KEYS.join(
        inbound_events,
        (inbound_events.c.order_id == _KEYS.c.order_id)
        & (inbound_events.c.event_digest == _KEYS.c.event_digest)
        & (inbound_events.c.type == _KEYS.c.type),
    )
)
