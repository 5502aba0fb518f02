"""The migrations, on a real server."""

import asyncio
from collections.abc import AsyncIterator
from enum import StrEnum

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

import migrations
from activities.adapters.postgres import create_engine
from activities.adapters.postgres.schema import metadata
from migrations.runner import alembic_config
from schemas.outbound import OutboundType
from schemas.states import OrderState, PaymentStatus
from stack.endpoints import Endpoints
from tests.helpers.servers.databases import migrated_engine, temporary_database


@pytest.fixture
async def empty(endpoints: Endpoints) -> AsyncIterator[AsyncEngine]:
    async with temporary_database(endpoints) as url:
        engine = create_engine(url)
        yield engine
        await engine.dispose()


@pytest.fixture(scope="module")
async def engine(endpoints: Endpoints) -> AsyncIterator[AsyncEngine]:
    async with migrated_engine(endpoints) as one:
        yield one


async def test_an_upgrade_tells_where_it_came_from_and_a_repeat_changes_nothing(empty: AsyncEngine) -> None:
    assert await migrations.current_revision(empty.url) is None

    first = await migrations.upgrade(empty.url)
    second = await migrations.upgrade(empty.url)

    assert (first.before, first.after, first.changed) == (None, migrations.head_revision(), True)
    assert (second.before, second.after, second.changed) == (first.after, first.after, False)
    assert await migrations.current_revision(empty.url) == migrations.head_revision()


async def test_of_several_that_upgrade_at_once_one_does_it_and_all_succeed(empty: AsyncEngine) -> None:
    outcomes = await asyncio.gather(*(migrations.upgrade(empty.url) for _ in range(6)))

    assert sorted(outcome.changed for outcome in outcomes) == [False] * 5 + [True]


async def test_an_upgrade_that_fails_leaves_the_database_as_it_was(empty: AsyncEngine) -> None:
    async with empty.begin() as connection:
        await connection.execute(text("CREATE TABLE sandbox_shipments (in_the_way integer)"))

    with pytest.raises(DBAPIError):
        await migrations.upgrade(empty.url)

    assert await migrations.current_revision(empty.url) is None
    async with empty.connect() as connection:
        assert await connection.scalar(text("SELECT to_regclass('orders')")) is None


async def test_a_database_of_a_newer_version_is_refused_by_name(empty: AsyncEngine) -> None:
    await migrations.upgrade(empty.url)
    async with empty.begin() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))

    with pytest.raises(migrations.DatabaseTooNewError, match="9999"):
        await migrations.upgrade(empty.url)


async def test_the_migrated_tables_are_those_that_statements_use(engine: AsyncEngine) -> None:
    def difference(connection: Connection) -> list[object]:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        found = compare_metadata(context, metadata)
        changes = [change for one in found for change in (one if isinstance(one, list) else [one])]
        # Comments are for people who look at the database; statements do not use them.
        return [change for change in changes if "comment" not in change[0]]

    async with engine.connect() as connection:
        assert await connection.run_sync(difference) == []


@pytest.mark.parametrize(
    ("constraint", "words"),
    [
        ("orders_state_check", OrderState),
        ("events_type_check", OutboundType),
        ("payments_status_check", PaymentStatus),
    ],
)
async def test_the_tables_allow_exactly_the_words_of_the_enums(
    engine: AsyncEngine, constraint: str, words: type[StrEnum]
) -> None:
    async with engine.connect() as connection:
        definition = await connection.scalar(
            text("SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = :name"), {"name": constraint}
        )

    assert {part.split("'")[0] for part in str(definition).split("'")[1::2]} == set(words)


@pytest.mark.parametrize("statement", ["UPDATE events SET type = type", "DELETE FROM events"])
async def test_the_audit_table_is_append_only(engine: AsyncEngine, statement: str) -> None:
    insert = "INSERT INTO events (order_id, sequence, event_id, type, payload_json, ts) VALUES (%s, now())"
    row = "gen_random_uuid(), 1, gen_random_uuid(), 'order.state_changed', '{}'"
    async with engine.begin() as connection:
        await connection.execute(text(insert % row))

    with pytest.raises(DBAPIError, match="append-only"):
        async with engine.begin() as connection:
            await connection.execute(text(statement))


async def test_the_newest_revision_can_be_undone_and_done_again(endpoints: Endpoints) -> None:
    def downgrade(connection: Connection) -> None:
        config = alembic_config()
        config.attributes["connection"] = connection
        command.downgrade(config, "base")

    async with migrated_engine(endpoints) as engine:
        async with engine.begin() as connection:
            await connection.run_sync(downgrade)
            left = await connection.scalar(text("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"))
        again = await migrations.upgrade(engine.url)

    assert left == 1, "only alembic_version stays"
    assert again.changed
