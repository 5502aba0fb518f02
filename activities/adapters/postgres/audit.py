"""The audit table as an auditor reads it: journals with all their events, page by page, each page of one snapshot."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from activities.adapters.postgres.engine import single_statements, transaction
from activities.adapters.postgres.statements import Statement


@dataclass(frozen=True, slots=True)
class AuditedEvent:
    """An event with its part of the chain (`activities.audit_chain`), as a row or a line of the archive has it."""

    sequence: int
    event_id: str
    type: str
    at: datetime
    payload: str
    traceparent: str | None
    salt: bytes | None
    payload_digest: bytes | None
    link: bytes | None


@dataclass(frozen=True, slots=True)
class AuditedJournal:
    """What the other tables say of an order's journal, and its events that are in the table."""

    order_id: str
    last_sequence: int | None
    """None where events or the order are there, and no journal."""
    archived_sequence: int
    archived_link: bytes | None
    archived_in: tuple[str, ...]
    is_forgotten: bool
    events: tuple[AuditedEvent, ...]


@dataclass(frozen=True, slots=True)
class Page:
    """Some orders, in the order of their ids."""

    journals: tuple[AuditedJournal, ...]
    last_id: str | None
    """Of the last order that was looked at; None where there were none."""


@dataclass(frozen=True, slots=True)
class Held:
    """What the database holds of one event that somebody has noted."""

    is_known: bool
    """Whether the order has a journal."""
    in_table: bool
    link: bytes | None
    """Of the row in the table."""
    archived_sequence: int
    archived_link: bytes | None


class AuditStore:
    """Raises `DatabaseUnavailableError` where the database does not answer."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def page(self, after: str, since: datetime | None, limit: int) -> Page:
        """The next orders, whichever of the tables names them.

        Args:
            after: the last id of the page before; "" for the first page.
            since: only orders that have an event recorded since then; None for all.
            limit: how many at most.
        """
        async with transaction(self._engine, one_snapshot=True) as connection:
            ids = list((await _IDS.on(connection, {"after": after, "limit": limit})).scalars())
            found = await _journals(connection, ids, since)
        return Page(found, ids[-1] if ids else None)

    async def estimate(self) -> int | None:
        """About how many orders have a journal, without counting them; None where Postgres has never looked."""
        async with single_statements(self._engine) as connection:
            known = int((await _ESTIMATE.on(connection, {})).scalar_one())
        return known if known >= 0 else None

    async def one(self, order_id: str) -> AuditedJournal | None:
        """One order; None where no table names it."""
        async with transaction(self._engine, one_snapshot=True) as connection:
            found = await _journals(connection, [order_id], None)
        known = [one for one in found if one.last_sequence is not None or one.events or one.archived_sequence]
        return known[0] if known else None

    async def archived(self, order_ids: Sequence[str]) -> Mapping[str, AuditedJournal]:
        """Of these orders what is said of their archived events, without those in the table."""
        async with single_statements(self._engine) as connection:
            rows = (await _JOURNALS.on(connection, {"ids": list(order_ids), "since": None})).mappings()
            return {row["order_id"]: _journal(row, ()) for row in rows if row["is_known"]}

    async def held(self, noted: Mapping[str, int]) -> Mapping[str, Held]:
        """What is held of one event of each order.

        Args:
            noted: the event's number, by order id.
        """
        async with single_statements(self._engine) as connection:
            values = {"ids": list(noted), "sequences": list(noted.values())}
            return {row[0]: Held(*tuple(row)[1:]) for row in await _HELD.on(connection, values)}

    async def heads(self, after: str, limit: int) -> tuple[tuple[str, int, bytes | None], ...]:
        """Of the next journals order id, last number and its link."""
        async with single_statements(self._engine) as connection:
            rows = await _HEADS.on(connection, {"after": after, "limit": limit})
            return tuple((row.order_id, row.last_sequence, row.link) for row in rows)


async def _journals(
    connection: AsyncConnection, ids: Sequence[str], since: datetime | None
) -> tuple[AuditedJournal, ...]:
    rows = (await _JOURNALS.on(connection, {"ids": ids, "since": since})).mappings().all()
    events: dict[str, list[AuditedEvent]] = {}
    for row in await _EVENTS.on(connection, {"ids": [row["order_id"] for row in rows]}):
        events.setdefault(row.order_id, []).append(AuditedEvent(*tuple(row)[1:]))
    return tuple(_journal(row, tuple(events.get(row["order_id"], ()))) for row in rows)


def _journal(row: Mapping[Any, Any], events: tuple[AuditedEvent, ...]) -> AuditedJournal:
    return AuditedJournal(
        order_id=row["order_id"],
        last_sequence=row["last_sequence"],
        archived_sequence=row["archived_sequence"],
        archived_link=row["archived_link"],
        archived_in=tuple(row["archived_in"]),
        is_forgotten=row["is_forgotten"],
        events=events,
    )


_IDS: Final = Statement.of(
    """
    SELECT id FROM (
        (SELECT order_id AS id FROM journals WHERE order_id > CAST(:after AS text) ORDER BY order_id
            LIMIT CAST(:limit AS integer))
        UNION (SELECT id FROM orders WHERE id > CAST(:after AS text) ORDER BY id LIMIT CAST(:limit AS integer))
        UNION (SELECT DISTINCT order_id FROM events WHERE order_id > CAST(:after AS text) ORDER BY order_id
            LIMIT CAST(:limit AS integer))
    ) AS named ORDER BY id LIMIT CAST(:limit AS integer)
    """
)
# -1 until the table was analyzed for the first time.
_ESTIMATE: Final = Statement.of("SELECT reltuples::bigint FROM pg_class WHERE oid = to_regclass('journals')")
_JOURNALS: Final = Statement.of(
    """
    SELECT chosen.id AS order_id, journals.last_sequence, coalesce(orders.archived_sequence, 0) AS archived_sequence,
        orders.archived_link, coalesce(orders.archived_in, '{}') AS archived_in,
        orders.forgotten_at IS NOT NULL AS is_forgotten,
        journals.order_id IS NOT NULL OR orders.id IS NOT NULL AS is_known
    FROM unnest(CAST(:ids AS text[])) AS chosen (id)
        LEFT JOIN journals ON journals.order_id = chosen.id LEFT JOIN orders ON orders.id = chosen.id
    WHERE CAST(:since AS timestamptz) IS NULL OR EXISTS (SELECT FROM events
        WHERE events.order_id = chosen.id AND events.recorded_at >= CAST(:since AS timestamptz))
    ORDER BY chosen.id
    """
)
_EVENTS: Final = Statement.of(
    """
    SELECT order_id, sequence, event_id, type, ts, CAST(payload_json AS text), traceparent, salt, payload_digest, link
    FROM events WHERE order_id = ANY (CAST(:ids AS text[])) ORDER BY order_id, sequence
    """
)
_HELD: Final = Statement.of(
    """
    SELECT chosen.id, journals.order_id IS NOT NULL AS is_known, events.id IS NOT NULL AS in_table, events.link,
        coalesce(orders.archived_sequence, 0) AS archived_sequence, orders.archived_link
    FROM unnest(CAST(:ids AS text[]), CAST(:sequences AS integer[])) AS chosen (id, sequence)
        LEFT JOIN journals ON journals.order_id = chosen.id LEFT JOIN orders ON orders.id = chosen.id
        LEFT JOIN events ON events.order_id = chosen.id AND events.sequence = chosen.sequence
    """
)
_HEADS: Final = Statement.of(
    """
    SELECT journals.order_id, journals.last_sequence,
        coalesce(events.link, CASE WHEN orders.archived_sequence = journals.last_sequence THEN orders.archived_link END)
            AS link
    FROM journals LEFT JOIN orders ON orders.id = journals.order_id
        LEFT JOIN events ON events.order_id = journals.order_id AND events.sequence = journals.last_sequence
    WHERE journals.order_id > CAST(:after AS text) AND journals.last_sequence > 0
    ORDER BY journals.order_id LIMIT CAST(:limit AS integer)
    """
)
