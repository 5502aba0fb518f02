"""Postgres: reached, its tables, and what we may do with them."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, Final

from sqlalchemy import text

from activities.adapters.postgres.engine import single_statements
from activities.adapters.postgres.schema import metadata
from migrations import head_revision
from orders.clients.opened import Clients
from orders.errors import OrdersError
from orders.installation.connections.findings import Finding, Verdict
from orders.settings import Settings

_SERVER: Final = "postgres"
_NEEDED: Final = ("SELECT", "INSERT", "UPDATE")
_HELPFUL: Final = ("DELETE",)
"""Rights without which orders run all the same: `orders archive` wants them, and the API for sessions that are over."""
_SANDBOX: Final = "sandbox_"
"""Begins the names of tables that only the embedded stand-ins for providers use."""

_WHO: Final = text(
    "SELECT current_user, current_setting('server_version'), to_regclass('alembic_version') IS NOT NULL, "
    "coalesce(has_schema_privilege(current_schema(), 'CREATE'), false)"
)
_REVISION: Final = text("SELECT version_num FROM alembic_version")
_RIGHTS: Final = text(
    "SELECT t, p, coalesce(has_table_privilege(to_regclass(t), p), false), to_regclass(t) IS NOT NULL "
    "FROM unnest(CAST(:tables AS text[])) AS t CROSS JOIN unnest(CAST(:privileges AS text[])) AS p"
)


async def try_postgres(clients: Clients) -> list[Finding]:
    """Logs in, and asks what is there and what we may do; changes nothing."""
    settings = clients.settings
    tables = [name for name in sorted(metadata.tables) if _is_used(name, settings)]
    try:
        async with clients.database() as engine, single_statements(engine) as connection:
            user, version, has_revision, may_create = (await connection.execute(_WHO)).one()
            given = {"tables": tables, "privileges": [*_NEEDED, *_HELPFUL]}
            rights = (await connection.execute(_RIGHTS, given)).all()
            may_read = (
                has_revision
                and (
                    await connection.execute(_RIGHTS, {"tables": ["alembic_version"], "privileges": ["SELECT"]})
                ).one()[2]
            )
            revision = (await connection.execute(_REVISION)).scalar() if may_read else None
    except OrdersError as error:
        return [Finding(_SERVER, "connection", Verdict.MISSING, str(error))]
    where = f"{settings.db_host}:{settings.db_port}"
    reached = Finding(_SERVER, "connection", Verdict.OK, f"version {version} at {where} lets {user!r} in")
    return [
        reached,
        _of_revision(revision, is_there=has_revision, may_read=may_read, may_create=may_create),
        *_of_tables(rights, user),
    ]


def _is_used(table: str, settings: Settings) -> bool:
    has_providers = settings.payment_gateway_url is not None and settings.carrier_gateway_url is not None
    return not (has_providers and table.startswith(_SANDBOX))


def _of_revision(revision: str | None, *, is_there: bool, may_read: bool, may_create: bool) -> Finding:
    head = head_revision()
    may = "" if may_create else ", as a user that may create tables: this one may not"
    if is_there and not may_read:
        return Finding(
            _SERVER, "tables", Verdict.UNKNOWN, "our user may not read alembic_version, which says what they are"
        )
    if revision == head:
        return Finding(_SERVER, "tables", Verdict.OK, f"are those of this version ({head})")
    detail = "are not there" if revision is None else f"are at revision {revision}, and this version has {head}"
    action = f"make them, or bring them up to date: `orders migrate`{may}. A newer revision needs a newer version"
    return Finding(_SERVER, "tables", Verdict.MISSING, detail, action)


def _of_tables(rights: Sequence[Any], user: str) -> Iterator[Finding]:
    """A finding for each kind of right that is missing, with all tables that it is missing for."""
    lacking: dict[str, list[str]] = defaultdict(list)
    for table, privilege, granted, is_there in rights:
        if is_there and not granted:
            lacking[privilege].append(table)
    for privileges, verdict, who in (
        (_NEEDED, Verdict.MISSING, "workers and the API need that"),
        (_HELPFUL, Verdict.LIMITED, "`orders archive` needs that, and the API for sessions that are over"),
    ):
        for privilege in privileges:
            if tables := lacking[privilege]:
                listed = ", ".join(tables)
                detail = f"{user!r} may not {privilege} in {listed}; {who}"
                yield Finding(_SERVER, "rights", verdict, detail, f"GRANT {privilege} ON {listed} TO {user}")
    if not any(lacking.values()) and rights:
        yield Finding(_SERVER, "rights", Verdict.OK, f"{user!r} may read and write all tables that are there")
