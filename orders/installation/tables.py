"""The tables: made or brought up to date, and what goes wrong with that said in a sentence."""

from sqlalchemy.exc import DBAPIError

from activities.adapters.postgres.errors import INSUFFICIENT_PRIVILEGE, database_error, sqlstate_of
from migrations import DatabaseTooNewError, Migration, upgrade
from orders.clients.database import postgres_problem, postgres_url
from orders.clients.diagnoses.postgres import postgres_diagnosis
from orders.clients.postgres_login import postgres_secrets
from orders.errors import OrdersError, RefusedAtTheDoorError, UnreachableError
from orders.settings import Settings


async def ensure_tables(settings: Settings) -> Migration:
    """Brings the tables to this version's form; may be repeated, and run by several processes at once.

    Raises:
        UnreachableError: Postgres does not answer, or not with what was asked for.
        RefusedAtTheDoorError: Postgres does not let us in, or has no such database.
        OrdersError: the database belongs to a newer version, or refuses.
    """
    try:
        return await upgrade(postgres_url(settings), postgres_secrets(settings))
    except DatabaseTooNewError as error:
        raise OrdersError(str(error)) from error
    except (DBAPIError, OSError) as error:
        # A right that is missing is one to make tables: said below.
        found = await postgres_diagnosis(settings) if sqlstate_of(error) != INSUFFICIENT_PRIVILEGE else None
        if found is not None:
            raise RefusedAtTheDoorError(found.mistake, found.sentence, found.action) from error
        unavailable = database_error(error)
        if unavailable is not None:
            raise UnreachableError(postgres_problem(settings, unavailable)) from error
        raise OrdersError(
            f"the database refused the migration ({type(error).__name__}): its log says why; "
            f"the user {settings.db_user} needs the right to create tables in {settings.db_name}"
        ) from error
