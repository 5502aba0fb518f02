"""Where connections to Postgres are made and transactions begin: every wait has its bound here."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final
from weakref import WeakKeyDictionary

from sqlalchemy import URL, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from activities.adapters.postgres.errors import database_error, is_of_no_use


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """The bounds of one process's use of Postgres.

    The defaults fit a transaction, with a new connection before it, into the 4 s that an activity's attempt has.
    """

    application_name: str = "orders"
    """How the process shows itself in ``pg_stat_activity``."""
    pool_size: int = 10
    """Most connections at once."""
    connect_timeout: timedelta = timedelta(seconds=2)
    """For one connection attempt, and for the wait for a free one of the pool."""
    statement_timeout: timedelta = timedelta(seconds=3)
    """For one statement; the server ends it."""
    lock_timeout: timedelta = timedelta(seconds=2)
    """For one lock: whoever holds the order longer is stuck, and this attempt makes room."""
    idle_in_transaction_timeout: timedelta = timedelta(seconds=10)
    """After this the server ends a transaction of a process that has stopped, with its locks."""
    secrets: Mapping[str, Any] = field(default_factory=lambda: {"ssl": False}, repr=False)
    """asyncpg's arguments for encryption and password. Never its default for ``ssl``, "prefer", which falls back to
    plain text and takes any certificate: whoever stands in between would be given the password."""


TRANSACTION_TIMEOUT = timedelta(seconds=3.5)
"""For a whole transaction of a store, also where the server has stopped answering altogether."""


_SERVER_SPEAKS_FIRST = timedelta(seconds=0.25)
PINGED_AFTER: Final = timedelta(seconds=30)
"""A connection that was idle for longer is asked whether it still leads anywhere, before it is used. What closes
connections without telling the client is between the two and takes minutes; a ping costs three round trips."""


def database_url(*, host: str, port: int, user: str, password: str | None, name: str) -> URL:
    """The address of a database, for `create_engine`."""
    return URL.create(
        "postgresql+asyncpg", username=user, password=password, host=host, port=port, database=name
    )  # fmt: skip


def create_engine(url: URL | str, options: EngineOptions | None = None) -> AsyncEngine:
    """Makes the engine; no connection is opened before the first use.

    Args:
        url: the database, with the driver ``postgresql+asyncpg``.
        options: the bounds; None means the defaults.
    """
    options = options or EngineOptions()
    engine = create_async_engine(
        url,
        pool_size=options.pool_size,
        max_overflow=0,
        pool_timeout=options.connect_timeout.total_seconds(),
        # The one that was used last: few connections have prepared all statements, and the others stay idle.
        pool_use_lifo=True,
        # Statements' values are customers' data: never in an error's text (I16).
        hide_parameters=True,
        connect_args={
            **options.secrets,
            "timeout": options.connect_timeout.total_seconds(),
            # Later than the server's own limit, so that the server says that it was reached: 57014, not silence.
            "command_timeout": (options.statement_timeout + _SERVER_SPEAKS_FIRST).total_seconds(),
            "server_settings": {
                "application_name": options.application_name,
                "statement_timeout": _milliseconds(options.statement_timeout),
                "lock_timeout": _milliseconds(options.lock_timeout),
                "idle_in_transaction_session_timeout": _milliseconds(options.idle_in_transaction_timeout),
                "timezone": "UTC",
                # Compiling costs more than any of our statements, each of which touches a few rows.
                "jit": "off",
            },
        },
    )
    event.listen(engine.sync_engine, "handle_error", _drop_what_is_of_no_use)
    event.listen(engine.sync_engine, "checkin", _note_use)
    event.listen(engine.sync_engine, "checkout", _replace_what_died)
    return engine


_USED_AT: Final = "orders.used_at"


def _note_use(_: Any, record: Any) -> None:
    record.info[_USED_AT] = time.monotonic()


def _replace_what_died(adapted: Any, record: Any, _: Any) -> None:
    """Has the pool replace a connection that died while idle, as in a restart of the server.

    The driver has read of its end by then, unless a network dropped it silently.
    """
    used_at = record.info.get(_USED_AT)
    if used_at is None:
        return  # It was opened just now.
    if adapted.driver_connection.is_closed():
        raise DisconnectionError("the connection was closed while it was idle")
    if time.monotonic() - used_at > PINGED_AFTER.total_seconds():
        try:
            adapted.ping()
        except adapted.dbapi.Error as error:
            raise DisconnectionError("the connection was lost while it was idle") from error


def _drop_what_is_of_no_use(context: ExceptionContext) -> None:
    """Closes the connection that met such an error, and every pooled one that is as old: all lead to that server."""
    if is_of_no_use(context.original_exception):
        context.is_disconnect = True


_variants: Final[WeakKeyDictionary[AsyncEngine, dict[str, AsyncEngine]]] = WeakKeyDictionary()
"""Of each engine the same with another isolation level: made once, and not for each transaction."""


def _variant(engine: AsyncEngine, isolation_level: str) -> AsyncEngine:
    made = _variants.setdefault(engine, {})
    if isolation_level not in made:
        made[isolation_level] = engine.execution_options(isolation_level=isolation_level)
    return made[isolation_level]


@asynccontextmanager
async def transaction(
    engine: AsyncEngine,
    limit: timedelta = TRANSACTION_TIMEOUT,
    *,
    one_snapshot: bool = False,
    turn: asyncio.Lock | None = None,
) -> AsyncIterator[AsyncConnection]:
    """One transaction: committed at the end, rolled back where anything is raised.

    Args:
        engine: where.
        limit: for all of it.
        one_snapshot: whether all its statements see the tables as they were at the first one. By default each sees what
            was committed before itself, so that what two of them read may disagree.
        turn: held from before a connection is taken until the end: transactions that would wait for each other in the
            database wait here, without a connection each. None where none are known to.

    Raises:
        DatabaseUnavailableError: the database did not answer in time; whether it committed is unknown.
    """
    chosen = _variant(engine, "REPEATABLE READ") if one_snapshot else engine
    async with bounded(limit, turn), chosen.begin() as connection:
        yield connection


@asynccontextmanager
async def single_statements(
    engine: AsyncEngine, limit: timedelta = TRANSACTION_TIMEOUT, *, turn: asyncio.Lock | None = None
) -> AsyncIterator[AsyncConnection]:
    """A connection on which each statement is a transaction of its own: one round trip, without BEGIN and COMMIT.

    Args:
        engine: where.
        limit: for all of it.
        turn: see `transaction`.

    Raises:
        DatabaseUnavailableError: the database did not answer in time; whether the statement had its effect is unknown.
    """
    async with bounded(limit, turn), _variant(engine, "AUTOCOMMIT").connect() as connection:
        yield connection


@asynccontextmanager
async def bounded(limit: timedelta, turn: asyncio.Lock | None) -> AsyncIterator[None]:
    """Bounds a use of the database, and says in our words what went wrong."""
    try:
        async with asyncio.timeout(limit.total_seconds()), turn or nullcontext():
            yield
    except Exception as error:
        translated = database_error(error)
        if translated is None:
            raise
        raise translated from error


def _milliseconds(span: timedelta) -> str:
    return str(int(span.total_seconds() * 1000))
