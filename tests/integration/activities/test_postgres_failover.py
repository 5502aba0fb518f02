"""A failover of Postgres that leaves our sessions on the demoted server: they are given up, and work goes on."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.adapters.postgres import OrderReader, PostgresOrderStore
from activities.ports import DatabaseUnavailableError
from schemas.activity_io import PublishEvents
from schemas.states import OrderState
from stack.endpoints import Endpoints
from tests.helpers.messages.journal_entries import batch, reached
from tests.helpers.servers.databases import migrated_engine
from tests.helpers.system.waiting import assert_eventually

POOLED = 5


def first_of(order_id: str) -> PublishEvents:
    """A new order's first batch."""
    return batch(order_id, reached(order_id, 1, OrderState.RECEIVED))


@pytest.fixture
async def engine(endpoints: Endpoints) -> AsyncIterator[AsyncEngine]:
    async with migrated_engine(endpoints) as one:
        yield one


async def demote_all_sessions(engine: AsyncEngine) -> None:
    """Every pooled session takes no writes from now on, as on a server that was demoted; new ones do."""

    async def demote(everybody_is_here: asyncio.Barrier) -> None:
        async with engine.begin() as connection:
            await everybody_is_here.wait()
            await connection.execute(text("SET SESSION default_transaction_read_only = on"))

    here = asyncio.Barrier(POOLED)
    await asyncio.gather(*(demote(here) for _ in range(POOLED)))


async def test_sessions_on_a_demoted_server_are_given_up_at_the_first_refused_write(engine: AsyncEngine) -> None:
    store = PostgresOrderStore(engine)
    await demote_all_sessions(engine)
    with pytest.raises(DatabaseUnavailableError, match="takes no writes now") as refused:
        await store.record(first_of("o-1"))
    assert refused.value.sqlstate == "25006"

    # One refused write is enough for all of the pool: the others lead to the same server.
    await asyncio.gather(*(store.record(first_of(f"o-{number}")) for number in range(POOLED)))

    assert await OrderReader(engine).order("o-1") is not None


async def test_a_server_that_takes_no_writes_for_a_while_is_used_again_once_it_does(engine: AsyncEngine) -> None:
    store = PostgresOrderStore(engine)
    name = engine.url.database
    async with engine.begin() as connection:
        await connection.execute(text(f"ALTER DATABASE {name} SET default_transaction_read_only = on"))
    await engine.dispose()
    for _ in range(POOLED):
        with pytest.raises(DatabaseUnavailableError, match="takes no writes now"):
            await store.record(first_of("o-1"))
    async with engine.begin() as connection:
        await connection.execute(text("SET TRANSACTION READ WRITE"))
        await connection.execute(text(f"ALTER DATABASE {name} SET default_transaction_read_only = off"))

    async def writes() -> bool:
        try:
            await store.record(first_of("o-1"))
        except DatabaseUnavailableError:
            return False
        return True

    await assert_eventually(writes, 5)
