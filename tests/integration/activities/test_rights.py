"""The rights that `orders migrate` grants to roles of Postgres are enough for who has them, and no more."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

import migrations
from activities.adapters.postgres import OrderReader, PostgresOrderStore, PostgresPaymentStore, create_engine
from activities.adapters.postgres.archive import ArchiveStore
from activities.adapters.postgres.forgetting import ForgettingStore
from migrations import RoleKind
from schemas.activity_io import ChargePayment
from schemas.states import OrderState, PaymentStatus
from stack.endpoints import Endpoints
from tests.helpers.messages.journal_entries import DETAILS, NOON, batch, ended, late, reached
from tests.helpers.servers.databases import migrated_engine


@pytest.fixture
async def engine(endpoints: Endpoints) -> AsyncIterator[AsyncEngine]:
    async with migrated_engine(endpoints) as one:
        yield one


@pytest.fixture
async def roles(engine: AsyncEngine) -> AsyncIterator[dict[RoleKind, str]]:
    """A role of each kind, under names of this test's own that have to be quoted."""
    names = {kind: f"Orders {kind} {secrets.token_hex(6)}" for kind in RoleKind}
    async with engine.begin() as connection:
        for name in names.values():
            await connection.execute(text(f'CREATE ROLE "{name}"'))
        # What it has beyond is taken away.
        await connection.execute(text(f'GRANT ALL ON events TO "{names[RoleKind.WORKER]}"'))
    await migrations.upgrade(engine.url, roles=names)
    yield names
    async with engine.begin() as connection:
        for name in names.values():
            await connection.execute(text(f'DROP OWNED BY "{name}"'))
            await connection.execute(text(f'DROP ROLE "{name}"'))


@asynccontextmanager
async def as_role(engine: AsyncEngine, name: str) -> AsyncIterator[AsyncEngine]:
    one = create_engine(engine.url)

    def take_role(connection: Any, _: Any) -> None:
        cursor = connection.cursor()
        cursor.execute(f'SET ROLE "{name}"')
        connection.commit()

    event.listen(one.sync_engine, "connect", take_role)
    yield one
    await one.dispose()


async def test_workers_can_do_all_that_they_do_and_change_no_event(
    engine: AsyncEngine, roles: dict[RoleKind, str]
) -> None:
    async with as_role(engine, roles[RoleKind.WORKER]) as limited:
        store, payments, reader = PostgresOrderStore(limited), PostgresPaymentStore(limited), OrderReader(limited)
        await ended(store, "o-1")
        await store.answer_late("o-1", (late("e-9"),), NOON)
        await store.record(batch("o-2", reached("o-2", 1, OrderState.RECEIVED)))
        await store.record(batch("o-2", reached("o-2", 1, OrderState.RECEIVED), reached("o-2", 2, OrderState.PAID)))
        await store.mark_published("o-2", 2)
        await store.close()
        assert (await store.look_up("o-2")).last_sequence == 2
        await payments.claim(ChargePayment(order_id="o-2", payment_id="p-1", amount=1, currency="EUR"))
        await payments.record_outcome("p-1", PaymentStatus.CHARGED, None)
        assert len(await reader.events("o-1")) == 4
        assert await reader.log.last_position() == 6
        for forbidden in ("DELETE FROM events", "UPDATE events SET ts = ts", "TRUNCATE events", "DELETE FROM orders"):
            async with limited.connect() as connection:
                await connection.execute(text("SET orders.events_may_change = 'delete'"))
                with pytest.raises(DBAPIError, match="permission denied"):
                    await connection.execute(text(forbidden))


async def test_the_keeper_can_archive_and_forget_and_add_nothing(
    engine: AsyncEngine, roles: dict[RoleKind, str]
) -> None:
    store = PostgresOrderStore(engine)
    await ended(store, "o-1")
    await ended(store, "o-2")
    async with as_role(engine, roles[RoleKind.KEEPER]) as limited:
        archive, forgetting = ArchiveStore(limited), ForgettingStore(limited)
        chosen = await archive.candidates(NOON.replace(year=9999), None, 10)
        payloads = {event.sequence: event.payload_json for event in await OrderReader(engine).events("o-1")}
        assert len(await archive.documents(chosen)) == 1
        assert await archive.remove(chosen, {"o-1": payloads}, "file") == {"o-1": 3}
        found = await forgetting.orders_of(str(DETAILS.customer_id), None, 10)
        assert [await forgetting.erase(one.order_id) for one in found] == [0, 0]
        async with limited.connect() as connection:
            with pytest.raises(DBAPIError, match="permission denied"):
                await connection.execute(text("INSERT INTO journals (order_id) VALUES ('o-9')"))


async def test_the_api_reads_orders_and_writes_who_may_sign_in_alone(
    engine: AsyncEngine, roles: dict[RoleKind, str]
) -> None:
    await ended(PostgresOrderStore(engine), "o-1")
    async with as_role(engine, roles[RoleKind.API]) as limited:
        assert len(await OrderReader(limited).events("o-1")) == 3
        await assert_refused(
            limited, "INSERT INTO journals (order_id) VALUES ('o-9')", "UPDATE orders SET state = 'PAID'"
        )
        async with limited.begin() as connection:
            await connection.execute(text("DELETE FROM sessions"))
            await connection.execute(text("UPDATE api_keys SET last_used_at = now()"))
        await assert_refused(limited, "DELETE FROM api_keys")


async def test_a_reader_reads_orders_and_no_keys(engine: AsyncEngine, roles: dict[RoleKind, str]) -> None:
    await ended(PostgresOrderStore(engine), "o-1")
    async with as_role(engine, roles[RoleKind.READER]) as limited:
        assert len(await OrderReader(limited).events("o-1")) == 3
        await assert_refused(limited, "SELECT * FROM api_keys", "SELECT * FROM sessions", "DELETE FROM inbound_events")


async def test_a_role_that_is_not_there_is_told_and_changes_nothing(endpoints: Endpoints) -> None:
    async with migrated_engine(endpoints) as engine:
        with pytest.raises(DBAPIError, match="does not exist"):
            await migrations.upgrade(engine.url, roles={RoleKind.WORKER: "nobody of this name"})


async def assert_refused(engine: AsyncEngine, *statements: str) -> None:
    for statement in statements:
        async with engine.connect() as connection:
            with pytest.raises(DBAPIError, match="permission denied"):
                await connection.execute(text(statement))
