"""Single statements straight to asyncpg: what every order executes, several times in its life.

SQLAlchemy's connection and cursor around a statement cost more than the statement: 330 to 590 us of the processor with
them, 180 to 240 without (measured 2026-11-26, SQLAlchemy 2.0, asyncpg 0.32). An order executes ten. What SQLAlchemy
keeps is the pool with all that `engine` says of it: bounds, secrets, and what becomes of connections that died.
"""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, cast

import asyncpg
from sqlalchemy import PoolProxiedConnection
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.util import greenlet_spawn

from activities.adapters.postgres.engine import TRANSACTION_TIMEOUT, bounded
from activities.adapters.postgres.errors import is_of_no_use
from activities.adapters.postgres.statements import Statement


async def fetch(
    engine: AsyncEngine,
    statement: Statement,
    values: Mapping[str, Any],
    *,
    limit: timedelta = TRANSACTION_TIMEOUT,
    turn: asyncio.Lock | None = None,
) -> list[asyncpg.Record]:
    """Executes a statement as a transaction of its own, in one round trip, and returns its rows.

    Args:
        engine: where.
        statement: the driver prepares it at its first use on a connection.
        values: of its parameters; others may be among them. They go to the driver as they are.
        limit: for all of it, the wait for a connection included.
        turn: see `engine.transaction`.

    Raises:
        DatabaseUnavailableError: the database did not answer in time; whether the statement had its effect is unknown.
    """
    async with bounded(limit, turn):
        borrowed = await engine.raw_connection()
        driver = cast("asyncpg.Connection[asyncpg.Record]", borrowed.driver_connection)
        try:
            rows = await driver.fetch(statement.text, *statement.arguments(values))
        except BaseException as error:
            # Also where the caller is cancelled meanwhile: else the pool would have lost a connection.
            await asyncio.shield(asyncio.create_task(_give_back_after(error, engine, borrowed, driver)))
            raise
        await greenlet_spawn(borrowed.close)
        return rows


async def _give_back_after(
    error: BaseException,
    engine: AsyncEngine,
    borrowed: PoolProxiedConnection,
    driver: "asyncpg.Connection[asyncpg.Record]",
) -> None:
    """Closes a connection that an error has made useless, and gives any other one back; as SQLAlchemy does."""
    if not isinstance(error, Exception):
        # The statement was interrupted, and the connection may be in the middle of an answer.
        await greenlet_spawn(borrowed.invalidate, error)
    elif driver.is_closed() or is_of_no_use(error):
        # So are all that are as old: they lead to the same server.
        await greenlet_spawn(engine.sync_engine.pool._invalidate, borrowed, error)  # noqa: SLF001 -- nothing public
    else:
        await greenlet_spawn(borrowed.close)
