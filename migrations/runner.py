"""Brings a database to the newest revision: repeatable, and safe where several do it at once."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, NullPool, text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from migrations.rights import RoleKind, grants

_LOCK_KEY: Final = 0x6F72_6465_7273
"""Of the advisory lock: the word "orders" in ASCII, of no other meaning."""
LOCK_TIMEOUT: Final = timedelta(minutes=2)
"""How long to wait for another process that migrates, and for each lock on a table in use."""

PLAIN_TEXT: Final[Mapping[str, Any]] = MappingProxyType({"ssl": False})
"""asyncpg's arguments for a connection without encryption."""
CONNECT_TIMEOUT: Final = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Migration:
    """What an upgrade did."""

    before: str | None
    """The revision found; None in an empty database."""
    after: str

    @property
    def changed(self) -> bool:
        """Whether there was anything to do."""
        return self.before != self.after


class DatabaseTooNewError(Exception):
    """The database has a revision that this version does not know."""


async def upgrade(
    url: URL | str, secrets: Mapping[str, Any] = PLAIN_TEXT, roles: Mapping[RoleKind, str] = MappingProxyType({})
) -> Migration:
    """Brings the database to the newest revision, all in one transaction, or leaves it as it was.

    Args:
        url: the database, with the driver ``postgresql+asyncpg``; its role may create tables.
        secrets: asyncpg's arguments for encryption and password.
        roles: who is given the rights of which kind; the roles must exist.

    Raises:
        DatabaseTooNewError: a newer version of ours has migrated the database already.
        sqlalchemy.exc.DBAPIError: the database refused.
        OSError: the database could not be reached.
    """
    async with _connection(url, secrets) as connection:
        await connection.execute(
            text("SELECT set_config('lock_timeout', :limit, true)"),
            {"limit": str(int(LOCK_TIMEOUT.total_seconds() * 1000))},
        )
        await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK_KEY})
        migration = await connection.run_sync(_upgrade)
        for kind, role in roles.items():
            for statement in grants(kind, role):
                await connection.execute(text(statement))
        return migration


async def current_revision(url: URL | str, secrets: Mapping[str, Any] = PLAIN_TEXT) -> str | None:
    """The revision that the database is at; None in an empty one."""
    async with _connection(url, secrets) as connection:
        return await connection.run_sync(_current)


@asynccontextmanager
async def _connection(url: URL | str, secrets: Mapping[str, Any]) -> AsyncIterator[AsyncConnection]:
    """One connection and one transaction, apart from the processes' engine: its short time-outs do not suit DDL."""
    engine = create_async_engine(
        url,
        poolclass=NullPool,
        hide_parameters=True,
        connect_args={
            **secrets,
            "timeout": CONNECT_TIMEOUT.total_seconds(),
            "server_settings": {"application_name": "orders migrate"},
        },
    )
    try:
        async with engine.begin() as connection:
            yield connection
    finally:
        await engine.dispose()


def head_revision() -> str:
    """The newest revision that this version knows."""
    head = ScriptDirectory.from_config(alembic_config()).get_current_head()
    if head is None:
        raise RuntimeError("the package has no migrations: it was built wrongly")
    return head


def _upgrade(connection: Connection) -> Migration:
    config = alembic_config()
    scripts = ScriptDirectory.from_config(config)
    before = _current(connection)
    if before is not None and before not in {script.revision for script in scripts.walk_revisions()}:
        raise DatabaseTooNewError(
            f"the database is at revision {before}, which this version does not know: run a version that does"
        )
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    return Migration(before=before, after=head_revision())


def _current(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def alembic_config() -> Config:
    """What an ``alembic.ini`` would say."""
    config = Config()
    # The option's text is interpolated: a % in the path is written twice.
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
