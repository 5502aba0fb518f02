"""The database's side of the archive: which orders' events may go there, and their removal once they are there.

What stays is what later messages are answered by: the order's row, its journal's number, and what became of each
inbound event. So a late event of an archived order is refused as such, and its answer has the next number.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from activities.adapters.postgres.engine import single_statements, transaction
from activities.adapters.postgres.statements import Statement
from schemas.outbound import OUTBOUND_EVENT, OutboundType
from schemas.states import FINAL_STATES


@dataclass(frozen=True, slots=True)
class Candidate:
    """An order whose life is over and whose events have not all been archived."""

    order_id: str
    updated_at: datetime
    first: int
    """Number of its first event that has not been archived."""
    last: int
    """Number of its last event."""
    is_published: bool
    """Whether Kafka is known to have all of them."""


class ArchiveMismatchError(Exception):
    """The archive does not hold what the table holds. Nothing was removed."""


class ArchiveStore:
    """Raises `DatabaseUnavailableError` where the database does not answer."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def candidates(self, until: datetime, after: Candidate | None, limit: int) -> tuple[Candidate, ...]:
        """Orders that have not changed since `until`, those that have not for longest first.

        Args:
            until: the latest moment of an order's last change.
            after: the last one of the page before; None for the first page.
            limit: how many at most.
        """
        values = {
            "until": until,
            "after_time": _BEGINNING if after is None else after.updated_at,
            "after_id": "" if after is None else after.order_id,
            "limit": limit,
        }
        async with single_statements(self._engine) as connection:
            return tuple(Candidate(**row) for row in (await _CANDIDATES.on(connection, values)).mappings())

    async def count(self, until: datetime, limit: int) -> int:
        """How many orders `candidates` has in all, or one more, and no more than `limit`."""
        async with single_statements(self._engine) as connection:
            return int((await _COUNT.on(connection, {"until": until, "limit": limit})).scalar_one())

    async def documents(self, chosen: Sequence[Candidate]) -> tuple[str, ...]:
        """Everything about these orders, a JSON document each, with the events that are to be archived."""
        async with single_statements(self._engine) as connection:
            return tuple((await _DOCUMENTS.on(connection, _ranges(chosen))).scalars())

    async def remove(
        self, chosen: Sequence[Candidate], archived: Mapping[str, Mapping[int, str]], file: str
    ) -> Mapping[str, int]:
        """Removes these orders' events from the table, in one transaction, where they are what the archive has.

        An order that changed meanwhile, or that somebody writes to now, is left as it is.

        Args:
            chosen: the orders.
            archived: of each order's events their payloads by number, as they were read back from the archive.
            file: the archive's file.

        Returns:
            How many events were removed of which order; those that are left are not among them.

        Raises:
            ArchiveMismatchError: an event differs, or is not there.
        """
        async with transaction(self._engine) as connection:
            await connection.exec_driver_sql("SELECT set_config('orders.events_may_change', 'delete', true)")
            unchanged = set((await _LOCK_UNCHANGED.on(connection, _ranges(chosen))).scalars())
            going = [one for one in chosen if one.order_id in unchanged]
            removed, links = await _delete(connection, going)
            for one in going:
                if removed.get(one.order_id) != archived.get(one.order_id):
                    raise ArchiveMismatchError(
                        f"{file} does not hold the events {one.first} to {one.last} of order {one.order_id} as the "
                        "table does: nothing was removed; look at the disk it is on"
                    )
            await _NOTE_ARCHIVED.on(connection, {**_notes(going, removed, file), **_last_links(links)})
        return {order_id: len(payloads) for order_id, payloads in removed.items()}


async def _delete(
    connection: AsyncConnection, going: Sequence[Candidate]
) -> tuple[dict[str, dict[int, str]], dict[str, dict[int, bytes | None]]]:
    """Deletes the events, and returns their payloads and their links."""
    removed: dict[str, dict[int, str]] = {}
    links: dict[str, dict[int, bytes | None]] = {}
    for row in await _DELETE.on(connection, _ranges(going)):
        removed.setdefault(row.order_id, {})[row.sequence] = row.payload
        links.setdefault(row.order_id, {})[row.sequence] = row.link
    return removed, links


def _last_links(links: Mapping[str, Mapping[int, bytes | None]]) -> dict[str, list[Any]]:
    return {"linked": list(links), "links": [of_order[max(of_order)] for of_order in links.values()]}


def _notes(going: Sequence[Candidate], removed: Mapping[str, Mapping[int, str]], file: str) -> dict[str, Any]:
    ids, states = [], []
    for one in going:
        for _, payload in sorted(removed[one.order_id].items()):
            event = OUTBOUND_EVENT.validate_json(payload)
            if event.type is OutboundType.STATE_CHANGED and event.state is not None:
                ids.append(one.order_id)
                states.append(event.state.value)
    return {**_ranges(going), "file": file, "of_ids": ids, "of_states": states}


def _ranges(chosen: Sequence[Candidate]) -> dict[str, list[Any]]:
    return {
        "ids": [one.order_id for one in chosen],
        "firsts": [one.first for one in chosen],
        "lasts": [one.last for one in chosen],
    }


_BEGINNING: Final = datetime(1000, 1, 1, tzinfo=UTC)
_OVER: Final = ", ".join(f"'{state.value}'" for state in sorted(FINAL_STATES))
_CHOSEN: Final = """
    unnest(CAST(:ids AS text[]), CAST(:firsts AS integer[]), CAST(:lasts AS integer[])) AS chosen (id, first, last)
"""
# The last event of the table stays: whoever follows the events knows by its number how far they are.
_CANDIDATES: Final = Statement.of(
    f"""
    SELECT orders.id AS order_id, orders.updated_at, orders.archived_sequence + 1 AS first,
        journals.last_sequence AS last, journals.last_published_sequence = journals.last_sequence AS is_published
    FROM orders JOIN journals ON journals.order_id = orders.id
    WHERE orders.archived_sequence < orders.last_sequence AND orders.state IN ({_OVER})
        AND orders.updated_at <= CAST(:until AS timestamptz)
        AND (orders.updated_at, orders.id) > (CAST(:after_time AS timestamptz), CAST(:after_id AS text))
        AND orders.id <> (SELECT order_id FROM events ORDER BY id DESC LIMIT 1)
    ORDER BY orders.updated_at, orders.id LIMIT CAST(:limit AS integer)
    """  # noqa: S608 -- words of an enum
)
# Without the journals, and without looking for the last event: this is for a bar on a terminal.
_COUNT: Final = Statement.of(
    f"""
    SELECT count(*) FROM (
        SELECT FROM orders
        WHERE archived_sequence < last_sequence AND state IN ({_OVER}) AND updated_at <= CAST(:until AS timestamptz)
        ORDER BY updated_at, id LIMIT CAST(:limit AS integer)
    ) AS chosen
    """  # noqa: S608 -- words of an enum
)
_DOCUMENTS: Final = Statement.of(
    f"""
    SELECT CAST(json_build_object(
        'order_id', chosen.id,
        'order', (SELECT to_json(orders) FROM orders WHERE orders.id = chosen.id),
        'payment', (SELECT to_json(payments) FROM payments JOIN orders ON orders.payment_id = payments.payment_id
            WHERE orders.id = chosen.id AND payments.order_id = chosen.id),
        'inbound_events', (SELECT coalesce(json_agg(to_json(found) ORDER BY found.ts), '[]') FROM (
            SELECT event_id, type, outcome, reason, ts, sequence FROM inbound_events
            WHERE inbound_events.order_id = chosen.id) AS found),
        'events', (SELECT coalesce(json_agg(to_json(found) ORDER BY found.sequence), '[]') FROM (
            SELECT sequence, event_id, type, ts, recorded_at, CAST(payload_json AS text) AS payload, traceparent,
                encode(salt, 'hex') AS salt, encode(payload_digest, 'hex') AS payload_digest,
                encode(link, 'hex') AS link
            FROM events
            WHERE events.order_id = chosen.id AND events.sequence BETWEEN chosen.first AND chosen.last) AS found)
    ) AS text)
    FROM {_CHOSEN} ORDER BY chosen.id
    """  # noqa: S608 -- ours
)
_LOCK_UNCHANGED: Final = Statement.of(
    f"""
    SELECT journals.order_id FROM {_CHOSEN}
    JOIN journals ON journals.order_id = chosen.id JOIN orders ON orders.id = chosen.id
    WHERE journals.last_sequence = chosen.last AND journals.last_published_sequence = chosen.last
        AND orders.archived_sequence = chosen.first - 1
    ORDER BY journals.order_id FOR UPDATE OF journals, orders SKIP LOCKED
    """  # noqa: S608 -- ours
)
_DELETE: Final = Statement.of(
    f"""
    DELETE FROM events USING {_CHOSEN}
    WHERE events.order_id = chosen.id AND events.sequence BETWEEN chosen.first AND chosen.last
    RETURNING events.order_id, events.sequence, CAST(events.payload_json AS text) AS payload, events.link
    """  # noqa: S608 -- ours
)
_NOTE_ARCHIVED: Final = Statement.of(
    f"""
    UPDATE orders SET archived_sequence = chosen.last, archived_in = archived_in || CAST(:file AS text),
        archived_link = (SELECT link FROM unnest(CAST(:linked AS text[]), CAST(:links AS bytea[])) AS last (id, link)
            WHERE last.id = chosen.id),
        archived_states = archived_states || ARRAY(
            SELECT state FROM unnest(CAST(:of_ids AS text[]), CAST(:of_states AS text[])) WITH ORDINALITY
                AS of (id, state, place)
            WHERE of.id = chosen.id ORDER BY place)
    FROM {_CHOSEN} WHERE orders.id = chosen.id
    """  # noqa: S608 -- ours
)
