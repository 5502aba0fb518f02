"""Decides what an error of the driver means; no other module does."""

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
    "55": "another transaction holds the order",
    "57": "the database is going down, starting, or cut the statement off",
    "58": "the database has an error of its system",
}
_TABLES_MISSING: Final = {"42P01", "42703"}
_CAUSES_MAX: Final = 10
"""Deeper than any chain that SQLAlchemy and asyncpg make; bounds the walk."""


def database_error(error: Exception) -> DatabaseUnavailableError | None:
    """The error to raise instead of a driver's; None where the error is no outage but a defect of ours.

    The message never quotes the driver's, whose DETAIL holds a row's values.
    """
    code = next((found for one in _chain(error) if (found := _sqlstate(one)) is not None), None)
    if code is not None:
        if code in _TABLES_MISSING:
            return DatabaseUnavailableError(f"the tables are missing or old ({code}); run: orders migrate")
        meaning = _PASSING_CLASSES.get(code[:2])
        return DatabaseUnavailableError(f"{meaning} ({code})") if meaning else None
    if isinstance(error, PoolTimeoutError):
        return DatabaseUnavailableError("all connections to the database are in use")
    if isinstance(error, TimeoutError):
        return DatabaseUnavailableError("the database did not answer in time")
    if any(_is_lost_connection(one) for one in _chain(error)):
        return DatabaseUnavailableError("the database cannot be reached, or the connection was lost")
    return None


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
