"""The rights that docs/operating.md gives to roles of Postgres are enough for who has them, and no more."""

import re
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.adapters.postgres import OrderReader, PostgresOrderStore, PostgresPaymentStore, create_engine
from activities.adapters.postgres.archive import ArchiveStore
from activities.adapters.postgres.forgetting import ForgettingStore
from schemas.activity_io import ChargePayment
from schemas.states import OrderState, PaymentStatus
from stack.endpoints import Endpoints
from tests.helpers.messages.journal_entries import DETAILS, NOON, batch, ended, late, reached
from tests.helpers.servers.databases import migrated_engine

DOCUMENT = Path(__file__).parents[3] / "docs" / "operating.md"
ROLES = ("orders_processes", "orders_keeper")


@pytest.fixture
async def engine(endpoints: Endpoints) -> AsyncIterator[AsyncEngine]:
    async with migrated_engine(endpoints) as one:
        yield one


@pytest.fixture
async def roles(engine: AsyncEngine) -> AsyncIterator[dict[str, str]]:
    """The roles of the document, with the rights that it gives, under names of this test's own."""
    _, _, rights = DOCUMENT.read_text().partition("### Rights")
    (granted,) = re.findall(r"```sql\n(.*?)```", rights, re.DOTALL)
    names = {role: f"{role}_{secrets.token_hex(6)}" for role in ROLES}
    for role, name in names.items():
        granted = granted.replace(role, name)
    async with engine.begin() as connection:
        for name in names.values():
            await connection.execute(text(f"CREATE ROLE {name}"))
        for statement in granted.split(";"):
            if statement.strip():
                await connection.execute(text(statement))
    yield names
    async with engine.begin() as connection:
        for name in names.values():
            await connection.execute(text(f"DROP OWNED BY {name}"))
            await connection.execute(text(f"DROP ROLE {name}"))


@asynccontextmanager
async def as_role(engine: AsyncEngine, name: str) -> AsyncIterator[AsyncEngine]:
    one = create_engine(engine.url)

    def take_role(connection: Any, _: Any) -> None:
        cursor = connection.cursor()
        cursor.execute(f"SET ROLE {name}")
        connection.commit()

    event.listen(one.sync_engine, "connect", take_role)
    yield one
    await one.dispose()


async def test_processes_can_do_all_that_they_do_and_change_no_event(
    engine: AsyncEngine, roles: dict[str, str]
) -> None:
    async with as_role(engine, roles["orders_processes"]) as limited:
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


async def test_the_keeper_can_archive_and_forget_and_add_nothing(engine: AsyncEngine, roles: dict[str, str]) -> None:
    store = PostgresOrderStore(engine)
    await ended(store, "o-1")
    await ended(store, "o-2")
    async with as_role(engine, roles["orders_keeper"]) as limited:
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
