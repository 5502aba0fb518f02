"""Why Postgres does not let us in."""

import asyncio
import struct
from typing import Final

import asyncpg

from orders.clients.doors import KNOCK_SECONDS, Door, NoTlsError, knock, of_the_client_certificate
from orders.clients.mistakes import Diagnosis, Mistake, Server, diagnosis
from orders.clients.postgres_login import postgres_login, verification
from orders.clients.tls_files import POSTGRES, make_context
from orders.errors import UnreachableError
from orders.settings import Settings
from orders.settings.database import DatabaseTls

_SSL_REQUEST: Final = struct.pack(">ii", 8, 80877103)
_INSUFFICIENT_PRIVILEGE: Final = "42501"


async def postgres_diagnosis(settings: Settings, error: BaseException | None = None) -> Diagnosis | None:
    """Why Postgres does not let us in; None where it is away, or lets us in.

    Args:
        settings: where it is.
        error: what a statement has met; None where none has.

    Raises:
        WrongSettingsError: a certificate cannot be read.
    """
    mistake = Mistake.NOT_ALLOWED if getattr(error, "sqlstate", None) == _INSUFFICIENT_PRIVILEGE else None
    if mistake is None and settings.db_tls is not DatabaseTls.OFF:
        context = make_context(settings, POSTGRES, **verification(settings))
        hello = _startup(settings.db_user, settings.db_name)
        door = Door(settings.db_host, settings.db_port, context, hello, bool, before_tls=_ask_for_tls)
        mistake = (await knock(door, settings, POSTGRES)).mistake
    mistake = mistake or await _of_postgres_login(settings)
    return None if mistake is None else _of_postgres(settings, mistake)


def _of_postgres(settings: Settings, mistake: Mistake) -> Diagnosis:
    places = {
        "address": f"{settings.db_host}:{settings.db_port}",
        "user": repr(settings.db_user),
        "place": repr(settings.db_name),
    }
    return diagnosis(Server.POSTGRES, mistake, **places)


async def look_at_postgres(settings: Settings) -> Diagnosis | None:
    """Connects as a client does; why Postgres does not let us in, None where it does.

    Args:
        settings: where it is.

    Raises:
        UnreachableError: it does not answer, and nothing is known to be wrong with us; or it has none of our tables.
        WrongSettingsError: a certificate cannot be read.
    """
    address = f"{settings.db_host}:{settings.db_port}"
    try:
        may_read = await _may_read(settings)
    except _FAILURES as error:
        found = await postgres_diagnosis(settings, error)
        if found is None:
            raise UnreachableError(f"Postgres at {address} does not answer") from error
        return found
    if may_read is None:
        raise UnreachableError(f"Postgres at {address} has none of our tables: `orders migrate` makes them")
    return None if may_read else _of_postgres(settings, Mistake.NOT_ALLOWED)


async def _of_postgres_login(settings: Settings) -> Mistake | None:
    try:
        return Mistake.NOT_ALLOWED if await _may_read(settings) is False else None
    except _FAILURES as error:
        return _of_a_refused_login(settings, error)


async def _may_read(settings: Settings) -> bool | None:
    """Whether the orders' table may be read; None where it is not there.

    Raises:
        PostgresError, InterfaceError, OSError, TimeoutError: no answer, or a refusal.
    """
    async with asyncio.timeout(KNOCK_SECONDS):
        connection = await asyncpg.connect(**postgres_login(settings))
        try:
            may_read: bool | None = await connection.fetchval(_MAY_READ)
        finally:
            await connection.close(timeout=KNOCK_SECONDS)
    return may_read


_FAILURES: Final = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError)

_MAY_READ: Final = "SELECT has_table_privilege(to_regclass('orders'), 'SELECT')"

_LOGINS: Final = (
    (asyncpg.InvalidPasswordError, Mistake.CREDENTIALS_REFUSED),
    (asyncpg.InvalidCatalogNameError, Mistake.PLACE_MISSING),
    (asyncpg.InsufficientPrivilegeError, Mistake.NOT_ALLOWED),
)


def _of_a_refused_login(settings: Settings, error: Exception) -> Mistake | None:
    for kind, mistake in _LOGINS:
        if isinstance(error, kind):
            return mistake
    if not isinstance(error, asyncpg.InvalidAuthorizationSpecificationError):
        return None
    # One SQLSTATE for all that pg_hba.conf does not allow; the text says the rest ("no encryption" from 15 on).
    text = str(error)
    if settings.db_tls is DatabaseTls.OFF and ("no encryption" in text or "SSL off" in text):
        return Mistake.TLS_REQUIRED
    if "certificate" in text:
        return of_the_client_certificate(settings, POSTGRES)
    return Mistake.LOGIN_NOT_ALLOWED


async def _ask_for_tls(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(_SSL_REQUEST)
    answer = await reader.read(1)
    if answer == b"N":
        raise NoTlsError
    if answer != b"S":
        raise ConnectionError("the server is no Postgres")


def _startup(user: str, database: str) -> bytes:
    fields = b"".join(part.encode() + b"\0" for part in ("user", user, "database", database)) + b"\0"
    return struct.pack(">ii", len(fields) + 8, 196608) + fields
