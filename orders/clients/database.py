"""Connections to Postgres."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta

from sqlalchemy import URL
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.adapters.postgres.engine import EngineOptions, create_engine, database_url
from activities.ports import DatabaseUnavailableError
from orders.errors import UnreachableError
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


@asynccontextmanager
async def database_engine(settings: Settings, *, application_name: str) -> AsyncIterator[AsyncEngine]:
    """The engine, closed at the end; no connection is opened before the first use.

    Args:
        settings: where, and with which bounds.
        application_name: how the process shows itself in ``pg_stat_activity``.
    """
    engine = create_engine(
        postgres_url(settings),
        EngineOptions(
            application_name=application_name,
            pool_size=settings.db_pool_size,
            connect_timeout=timedelta(seconds=settings.db_connect_timeout_seconds),
            statement_timeout=timedelta(seconds=settings.db_statement_timeout_seconds),
            lock_timeout=timedelta(seconds=settings.db_lock_timeout_seconds),
        ),
    )
    try:
        yield engine
    finally:
        await engine.dispose()


def postgres_unreachable(settings: Settings) -> str:
    """The sentence for a person where Postgres does not answer."""
    return (
        f"Postgres does not answer at {settings.db_host}:{settings.db_port}: start it (`orders up` starts everything), "
        "or set DB_HOST and DB_PORT"
    )


@contextmanager
def reaching_postgres(settings: Settings) -> Iterator[None]:
    """Around reads: says in a sentence that Postgres does not answer.

    Raises:
        UnreachableError: Postgres does not answer within the block, or lacks our tables.
    """
    try:
        yield
    except DatabaseUnavailableError as error:
        raise UnreachableError(f"{postgres_unreachable(settings)} ({error})") from error
