"""The database's schema, by Alembic: `upgrade` brings any database of ours to the newest revision.

Works from an installed package as well as from the clone: it needs no ``alembic.ini``. A developer makes the next
revision as ``versions/NNNN_what_it_does.py`` by hand; a test holds the outcome to the tables that statements use,
``activities.adapters.postgres.schema``.
"""

from migrations.rights import RIGHTS, RoleKind, grants
from migrations.runner import DatabaseTooNewError, Migration, current_revision, head_revision, upgrade

__all__ = [
    "RIGHTS",
    "DatabaseTooNewError",
    "Migration",
    "RoleKind",
    "current_revision",
    "grants",
    "head_revision",
    "upgrade",
]
