"""Decides what an error of the driver means; no other module does."""

import re
from collections.abc import Iterator
from typing import Final

import asyncpg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from activities.ports import DatabaseUnavailableError

# https://www.postgresql.org/docs/current/errcodes-appendix.html
_PASSING_CLASSES: Final = {
    "08": "the connection was lost",
    "25": "the database takes no writes now",
    "28": "the database refused the login",
    "3D": "there is no such database",
    "40": "the transaction collided with another",
    "53": "the database is out of connections, memory or disk space",
    "55": "another transaction holds a lock on the order or its table",
    "57": "the database is going down or starting",
    "58": "the database has an error of its system",
}
STATEMENT_CANCELED: Final = "57014"
LOCK_NOT_AVAILABLE: Final = "55P03"
INSUFFICIENT_PRIVILEGE: Final = "42501"
_TABLES_MISSING: Final = {"42P01", "42703"}
_OF_ONE_CODE: Final = {
    STATEMENT_CANCELED: "the statement took too long, and the database cut it off",
    INSUFFICIENT_PRIVILEGE: "our role may not do this: `orders migrate` grants roles what they need (DB_ROLE_…)",
}
_CONNECTION_IS_OF_NO_USE: Final = re.compile(r"25006|25P0[34]|57P0.|08...")
"""What a server answers that was demoted, is going down, or has ended the session: another connection may do better."""
_CAUSES_MAX: Final = 10
"""Deeper than any chain that SQLAlchemy and asyncpg make; bounds the walk."""


def database_error(error: Exception) -> DatabaseUnavailableError | None:
    """The error to raise instead of a driver's; None where the error is no outage but a defect of ours.

    The message never quotes the driver's, whose DETAIL holds a row's values.
    """
    code = sqlstate_of(error)
    if code is not None:
        if code in _TABLES_MISSING:
            return DatabaseUnavailableError(
                f"the tables are missing or old ({code}): run `orders migrate`", sqlstate=code
            )
        meaning = _OF_ONE_CODE.get(code) or _PASSING_CLASSES.get(code[:2])
        return DatabaseUnavailableError(f"{meaning} ({code})", sqlstate=code) if meaning else None
    if isinstance(error, PoolTimeoutError):
        return DatabaseUnavailableError("all connections to the database are in use")
    if isinstance(error, TimeoutError):
        return DatabaseUnavailableError("the database did not answer in time")
    if any(_is_lost_connection(one) for one in _chain(error)):
        return DatabaseUnavailableError("the database cannot be reached, or the connection was lost")
    return None


def is_of_no_use(error: BaseException) -> bool:
    """Whether the connection that met this error is to be closed instead of used again.

    A server that was demoted by a failover keeps its sessions and answers each write with 25006, for as long as the
    session lasts. Only a new connection finds the server that takes writes.
    """
    return _CONNECTION_IS_OF_NO_USE.fullmatch(sqlstate_of(error) or "") is not None


def sqlstate_of(error: BaseException) -> str | None:
    """The server's code for what went wrong; None where the server said nothing."""
    return next((found for one in _chain(error) if (found := _sqlstate(one)) is not None), None)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error, what SQLAlchemy wrapped, and what the driver raised."""
    current: BaseException | None = error
    for _ in range(_CAUSES_MAX):
        if current is None:
            return
        yield current
        current = getattr(current, "orig", None) or current.__cause__


def _is_lost_connection(error: BaseException) -> bool:
    if isinstance(error, DBAPIError):
        return error.connection_invalidated
    if isinstance(error, asyncpg.InterfaceError):
        # asyncpg's DataError is both: a value that we should not have sent.
        return not isinstance(error, ValueError)
    return isinstance(error, OSError | asyncpg.InternalClientError)


def _sqlstate(error: BaseException) -> str | None:
    code = getattr(error, "sqlstate", None)
    return code if isinstance(code, str) else None
