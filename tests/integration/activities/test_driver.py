"""Single statements straight to the driver leave the pool as they found it, whatever becomes of them."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.adapters.postgres import EngineOptions, create_engine
from activities.adapters.postgres.driver import fetch
from activities.adapters.postgres.engine import transaction
from activities.adapters.postgres.statements import Statement
from activities.ports import DatabaseUnavailableError
from stack.endpoints import Endpoints
from tests.helpers.patience import patiently
from tests.helpers.servers.databases import temporary_database
from tests.helpers.system.waiting import assert_eventually

BACKEND = Statement.of("SELECT pg_backend_pid() AS pid, CAST(:word AS text) AS word")
SLEEP = Statement.of("SELECT pg_sleep(CAST(:seconds AS double precision))")
DIVIDE = Statement.of("SELECT 1 / CAST(:by AS integer) AS quotient")
END = Statement.of("SELECT pg_terminate_backend(CAST(:pid AS integer))")


@pytest.fixture
async def single(endpoints: Endpoints) -> AsyncIterator[AsyncEngine]:
    """An engine with one connection: whoever keeps it is found out."""
    async with temporary_database(endpoints) as url:
        one = create_engine(url, EngineOptions(pool_size=1))
        try:
            yield one
        finally:
            await one.dispose()


async def backend(single: AsyncEngine) -> int:
    (row,) = await patiently(lambda: fetch(single, BACKEND, {"word": "now", "another": 1}))
    assert row["word"] == "now"
    return int(row["pid"])


async def test_the_connection_that_was_used_last_is_used_again_by_both_ways(single: AsyncEngine) -> None:
    pid = await backend(single)
    async with transaction(single) as connection:
        assert (await BACKEND.on(connection, {"word": "now"})).one().pid == pid
    assert await backend(single) == pid


async def test_a_statement_that_fails_gives_its_connection_back(single: AsyncEngine) -> None:
    pid = await backend(single)
    for _ in range(3):
        with pytest.raises(asyncpg.DivisionByZeroError):
            await fetch(single, DIVIDE, {"by": 0})
    assert await backend(single) == pid


async def test_a_statement_that_is_cancelled_or_takes_too_long_leaves_room_for_the_next(single: AsyncEngine) -> None:
    for _ in range(3):
        sleeping = asyncio.create_task(fetch(single, SLEEP, {"seconds": 60}))
        await assert_eventually(lambda: single.pool.checkedout() == 1, 30)  # type: ignore[attr-defined]
        sleeping.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sleeping
        with pytest.raises(DatabaseUnavailableError, match="did not answer in time"):
            await fetch(single, SLEEP, {"seconds": 60}, limit=timedelta(seconds=0.2))
    await backend(single)


async def test_a_connection_that_the_server_ends_is_told_and_replaced(single: AsyncEngine) -> None:
    pid = await backend(single)
    with pytest.raises(DatabaseUnavailableError):
        await fetch(single, END, {"pid": pid})
    assert await backend(single) != pid
