"""Who may still bring an event that cannot be seen, as a real Postgres tells it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from activities.adapters.postgres.event_log import EventLog
from stack.endpoints import Endpoints
from tests.helpers.servers.databases import migrated_engine

INSERT = text(
    "INSERT INTO events (order_id, sequence, event_id, type, payload_json, ts) "
    "SELECT 'o', number, 'e-' || number, 'order.state_changed', '{}', now() "
    "FROM (SELECT CAST(:sequence AS integer) AS number) AS one RETURNING id"
)


@pytest.fixture
async def engine(endpoints: Endpoints) -> AsyncIterator[AsyncEngine]:
    async with migrated_engine(endpoints) as one:
        yield one


@asynccontextmanager
async def open_transaction(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    async with engine.connect() as connection:
        await connection.begin()
        yield connection


async def record(connection: AsyncConnection, sequence: int) -> int:
    return int(await connection.scalar(INSERT, {"sequence": sequence}))


async def test_a_transaction_that_has_drawn_a_position_is_told_until_it_ends(engine: AsyncEngine) -> None:
    log = EventLog(engine)
    async with open_transaction(engine) as first, open_transaction(engine) as second:
        assert await log.drawers() == frozenset()
        position = await record(first, 1)
        only_first = await log.drawers()
        assert len(only_first) == 1
        await record(second, 2)
        both = await log.drawers()
        assert len(both) == 2
        assert only_first < both
        await second.commit()
        assert [one.sequence for one in await log.after(0, limit=10)] == [2], "behind a hole"
        assert await log.drawers() == only_first
        await first.commit()
        assert await log.drawers() == frozenset()
        assert [one.position for one in await log.after(0, limit=10)] == [position, position + 1]


async def test_one_that_took_its_row_back_and_goes_on_is_told_still(engine: AsyncEngine) -> None:
    log = EventLog(engine)
    async with open_transaction(engine) as connection:
        inner = await connection.begin_nested()
        await record(connection, 1)
        await inner.rollback()
        assert len(await log.drawers()) == 1
        await connection.rollback()
    assert await log.drawers() == frozenset()


async def test_a_position_that_is_drawn_twice_leaves_a_hole_that_nobody_will_fill(engine: AsyncEngine) -> None:
    """As a batch does that is recorded again: its numbers are drawn, and not used."""
    log = EventLog(engine)
    again = text(INSERT.text.replace("RETURNING id", "ON CONFLICT DO NOTHING"))
    async with engine.begin() as connection:
        await record(connection, 1)
    async with engine.begin() as connection:
        await connection.execute(again, {"sequence": 1})
    async with engine.begin() as connection:
        await record(connection, 2)
    positions = [one.position for one in await log.after(0, limit=10)]
    assert positions[1] == positions[0] + 2
    assert await log.drawers() == frozenset()


async def test_who_reads_locks_or_cleans_up_the_table_is_not_waited_for(engine: AsyncEngine) -> None:
    log = EventLog(engine)
    async with engine.begin() as connection:
        await record(connection, 1)
    async with open_transaction(engine) as reader, open_transaction(engine) as cleaner:
        await reader.execute(text("SELECT * FROM events FOR UPDATE"))
        await cleaner.execute(text("DELETE FROM events WHERE sequence > 1"))
        await cleaner.execute(text("INSERT INTO journals (order_id) VALUES ('o')"))
        assert await log.drawers() == frozenset()


async def test_a_person_is_told_which_session_it_is(engine: AsyncEngine) -> None:
    log = EventLog(engine)
    assert await log.who_draws() == ""
    async with open_transaction(engine) as connection:
        await record(connection, 1)
        pid = await connection.scalar(text("SELECT pg_backend_pid()"))
        assert (await log.who_draws()).startswith(f"pid {pid} (orders, open for ")


async def test_another_database_of_the_server_holds_nothing_up(engine: AsyncEngine, endpoints: Endpoints) -> None:
    async with migrated_engine(endpoints) as other, open_transaction(other) as connection:
        await record(connection, 1)
        assert await EventLog(engine).drawers() == frozenset()
        assert len(await EventLog(other).drawers()) == 1
