"""The tables: made or brought up to date, and what goes wrong with that said in a sentence."""

from sqlalchemy.exc import DBAPIError

from activities.adapters.postgres.errors import INSUFFICIENT_PRIVILEGE, database_error, sqlstate_of
from migrations import DatabaseTooNewError, Migration, RoleKind, upgrade
from orders.clients.database import postgres_problem, postgres_url
from orders.clients.diagnoses.postgres import postgres_diagnosis
from orders.clients.postgres_login import postgres_secrets
from orders.errors import OrdersError, RefusedAtTheDoorError, UnreachableError, WrongSettingsError
from orders.settings import Settings


async def ensure_tables(settings: Settings) -> Migration:
    """Brings the tables to this version's form; may be repeated, and run by several processes at once.

    Raises:
        UnreachableError: Postgres does not answer, or not with what was asked for.
        RefusedAtTheDoorError: Postgres does not let us in, or has no such database.
        OrdersError: the database belongs to a newer version, or refuses.
    """
    try:
        return await upgrade(postgres_url(settings), postgres_secrets(settings), _roles(settings))
    except DatabaseTooNewError as error:
        raise OrdersError(str(error)) from error
    except (DBAPIError, OSError) as error:
        # A right that is missing is one to make tables: said below.
        found = await postgres_diagnosis(settings) if sqlstate_of(error) != INSUFFICIENT_PRIVILEGE else None
        if found is not None:
            raise RefusedAtTheDoorError(found.mistake, found.sentence, found.action) from error
        if sqlstate_of(error) == _NO_SUCH_ROLE:
            raise WrongSettingsError(
                f"Postgres has not all of the roles {', '.join(settings.db_roles.values())}: make those that DB_ROLE_… "
                "name (CREATE ROLE … LOGIN), or correct the settings"
            ) from error
        unavailable = database_error(error)
        if unavailable is not None:
            raise UnreachableError(postgres_problem(settings, unavailable)) from error
        raise OrdersError(
            f"the database refused the migration ({type(error).__name__}): its log says why; "
            f"the user {settings.db_user} needs the right to create tables in {settings.db_name}"
        ) from error


_NO_SUCH_ROLE = "42704"
"""Undefined object (PostgreSQL's appendix A): of what migrations do, only grants name something that may be missing."""


def _roles(settings: Settings) -> dict[RoleKind, str]:
    return {RoleKind(kind): role for kind, role in settings.db_roles.items()}
