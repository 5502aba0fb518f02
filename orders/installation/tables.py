"""The tables: made or brought up to date, and what goes wrong with that said in a sentence."""

from sqlalchemy.exc import DBAPIError

from activities.adapters.postgres.errors import database_error
from migrations import DatabaseTooNewError, Migration, upgrade
from orders.clients.database import postgres_problem, postgres_url
from orders.errors import OrdersError, UnreachableError, WrongSettingsError
from orders.settings import Settings

_NOT_LET_IN = ("28", "3D")
"""Classes of SQLSTATE: invalid authorization, and invalid catalog name (PostgreSQL's appendix A)."""


async def ensure_tables(settings: Settings) -> Migration:
    """Brings the tables to this version's form; may be repeated, and run by several processes at once.

    Raises:
        UnreachableError: Postgres does not answer, or not with what was asked for.
        WrongSettingsError: Postgres does not let us in, or has no such database.
        OrdersError: the database belongs to a newer version, or refuses.
    """
    try:
        return await upgrade(postgres_url(settings))
    except DatabaseTooNewError as error:
        raise OrdersError(str(error)) from error
    except (DBAPIError, OSError) as error:
        sqlstate = str(getattr(getattr(error, "orig", error), "sqlstate", ""))
        if sqlstate.startswith(_NOT_LET_IN):
            raise WrongSettingsError(
                f"Postgres at {settings.db_host}:{settings.db_port} has no database {settings.db_name!r} for the user "
                f"{settings.db_user!r}, or refuses the password: check DB_NAME, DB_USER and DB_PASSWORD"
            ) from error
        unavailable = database_error(error)
        if unavailable is not None:
            raise UnreachableError(postgres_problem(settings, unavailable)) from error
        raise OrdersError(
            f"the database refused the migration ({type(error).__name__}): its log says why; "
            f"the user {settings.db_user} needs the right to create tables in {settings.db_name}"
        ) from error
