"""How Postgres is told who we are: the password, and the certificates that show it and us, each as it is now."""

import ssl
from collections.abc import Callable
from typing import Any

from orders.clients.tls_files import POSTGRES, RenewedContext
from orders.settings import Settings
from orders.settings.database import DatabaseTls
from orders.settings.secret_files import present_secret


def postgres_context(settings: Settings) -> ssl.SSLContext | None:
    """What connections are encrypted with; None for plain text.

    Never asyncpg's own words for it: "prefer", its default, falls back to plain text, and takes any certificate.

    Raises:
        WrongSettingsError: a certificate cannot be read.
    """
    if settings.db_tls is DatabaseTls.OFF:
        return None
    return RenewedContext(settings, POSTGRES, **verification(settings))


def verification(settings: Settings) -> dict[str, Any]:
    """How strictly the server's certificate is checked, as arguments of `make_context`."""
    tls = settings.db_tls
    return {"verified": tls is not DatabaseTls.REQUIRE, "check_name": tls is DatabaseTls.VERIFY_FULL}


def postgres_secrets(settings: Settings) -> dict[str, Any]:
    """Asyncpg's arguments for encryption and password, for every connection of a pool.

    Raises:
        WrongSettingsError: a certificate cannot be read.
    """
    context = postgres_context(settings)
    password = _password(settings)
    # False, and not None: None is asyncpg's default.
    return {"ssl": False if context is None else context, **({} if password is None else {"password": password})}


def postgres_login(settings: Settings) -> dict[str, Any]:
    """Asyncpg's arguments for one connection.

    Raises:
        WrongSettingsError: a certificate cannot be read.
    """
    return {
        "host": settings.db_host,
        "port": settings.db_port,
        "user": settings.db_user,
        "database": settings.db_name,
        "timeout": settings.db_connect_timeout_seconds,
        **postgres_secrets(settings),
    }


def _password(settings: Settings) -> str | Callable[[], str | None] | None:
    if settings.db_password_file is not None:
        # Asked for each connection: the file may have been renewed.
        return lambda: present_secret(settings, "db_password")
    return present_secret(settings, "db_password")
