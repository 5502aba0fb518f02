"""Connections to Postgres."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Final

from sqlalchemy import URL
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.adapters.postgres.engine import EngineOptions, create_engine, database_url
from activities.adapters.postgres.errors import LOCK_NOT_AVAILABLE, STATEMENT_CANCELED
from activities.adapters.postgres.reader import OrderReader, TableLock
from activities.ports import DatabaseUnavailableError
from orders.clients.addresses import not_answering
from orders.clients.diagnoses.postgres import postgres_diagnosis
from orders.clients.postgres_login import postgres_secrets
from orders.errors import RefusedAtTheDoorError, UnreachableError
from orders.settings import Settings


def postgres_url(settings: Settings) -> URL:
    """The address of the application's database; its text shows no password."""
    password = settings.db_password
    return database_url(
        host=settings.db_host,
        port=settings.db_port,
        user=settings.db_user,
        password=password.get_secret_value() if password else None,
        name=settings.db_name,
    )


CONNECTIONS: Final = 10
"""Most that a process holds which is no worker, unless DB_POOL_SIZE says otherwise: a bridge looks repeats up by one or
two, and the API keeps four of them for streams (`orders.web.subscriptions`)."""


@asynccontextmanager
async def database_engine(
    settings: Settings, *, application_name: str, connections: int = CONNECTIONS
) -> AsyncIterator[AsyncEngine]:
    """The engine, closed at the end; no connection is opened before the first use.

    Args:
        settings: where, and with which bounds.
        application_name: how the process shows itself in ``pg_stat_activity``.
        connections: most that it holds at once, where DB_POOL_SIZE is not set.
    """
    engine = create_engine(
        postgres_url(settings),
        EngineOptions(
            application_name=application_name,
            pool_size=settings.db_pool_size or connections,
            connect_timeout=timedelta(seconds=settings.db_connect_timeout_seconds),
            statement_timeout=timedelta(seconds=settings.db_statement_timeout_seconds),
            lock_timeout=timedelta(seconds=settings.db_lock_timeout_seconds),
            secrets=postgres_secrets(settings),
        ),
    )
    try:
        yield engine
    finally:
        await engine.dispose()


def postgres_problem(settings: Settings, error: DatabaseUnavailableError) -> str:
    """The sentence for a person: a server that answers with an error is told from one that has to be started."""
    address = f"{settings.db_host}:{settings.db_port}"
    if error.sqlstate is not None:
        return f"Postgres at {address} answers, but {error}"
    silent = not_answering(settings, "Postgres", address, endpoint="db_host", variables="DB_HOST and DB_PORT")
    return f"{silent} ({error})"


_NOT_LET_IN: Final = ("28", "3D", "42501")
"""How the SQLSTATEs begin by which Postgres does not let us in: invalid authorization, invalid catalog name,
insufficient privilege (PostgreSQL's appendix A)."""


@asynccontextmanager
async def reaching_postgres(settings: Settings, reader: OrderReader, *, explained: bool = True) -> AsyncIterator[None]:
    """Around reads: says in a sentence why they could not be done, and who holds the lock that they waited for.

    Args:
        settings: where it is.
        reader: asks who holds a lock.
        explained: whether to find out why one that does not answer does not.

    Raises:
        RefusedAtTheDoorError: Postgres does not let us in.
        UnreachableError: Postgres does not answer within the block, or not with what was asked for.
    """
    try:
        yield
    except DatabaseUnavailableError as error:
        # A server that is silent is knocked at only where a person waits for this one answer: a knock takes seconds.
        if (error.sqlstate or "").startswith(_NOT_LET_IN) or (error.sqlstate is None and explained):
            found = await postgres_diagnosis(settings, error)
            if found is not None:
                raise RefusedAtTheDoorError(found.mistake, found.sentence, found.action) from error
        may_be_locked = error.sqlstate in (LOCK_NOT_AVAILABLE, STATEMENT_CANCELED)
        blocked = await _who_blocks(reader) if may_be_locked else ""
        raise UnreachableError(f"{postgres_problem(settings, error)}{blocked}") from error


async def _who_blocks(reader: OrderReader) -> str:
    """Who holds the lock that was waited for; nothing where that cannot be told."""
    try:
        locks = await reader.table_locks()
    except DatabaseUnavailableError:
        return ""
    if not locks:
        return ""
    told = "; ".join(_told(lock) for lock in locks)
    return f": {told}. See pg_stat_activity for what these processes do, pg_prepared_xacts for prepared transactions"


def _told(lock: TableLock) -> str:
    who = f"process {lock.pid}" if lock.pid else "a prepared transaction"
    others = f", and waits for process {', '.join(map(str, lock.waits_for))} itself" if lock.waits_for else ""
    return f"{who} has locked the table {lock.table}, or asks for that{others}"
