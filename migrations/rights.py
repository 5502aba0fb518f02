"""What each kind of role may do with the tables, and no more: `orders migrate` grants it, docs/security.md shows it."""

from collections.abc import Iterator, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class RoleKind(StrEnum):
    """Whose role it is. Who migrates owns the tables, and needs no grant."""

    WORKER = "worker"
    API = "api"
    READER = "reader"
    """Bridges, and commands that only look."""
    KEEPER = "keeper"
    """Who archives and forgets: the one that may change the audit table, behind a setting that its trigger asks for."""


_READ: Final = "SELECT"
_ADD: Final = "SELECT, INSERT"
_CHANGE: Final = "SELECT, INSERT, UPDATE"
_REMOVE: Final = "SELECT, INSERT, UPDATE, DELETE"

_LOOKED_AT: Final = (
    "alembic_version", "orders", "journals", "events", "inbound_events", "payments",
    "sandbox_payments", "sandbox_ledger", "sandbox_shipments",
)  # fmt: skip
"""What anybody of ours may read: everything but who may sign in."""
_SIGN_IN: Final = ("api_keys", "sessions")
TABLES: Final = (*_LOOKED_AT, *_SIGN_IN)

RIGHTS: Final[Mapping[RoleKind, Mapping[str, str]]] = MappingProxyType(
    {
        RoleKind.READER: dict.fromkeys(_LOOKED_AT, _READ),
        RoleKind.WORKER: {
            **dict.fromkeys(_LOOKED_AT, _READ),
            **dict.fromkeys(("orders", "journals", "inbound_events", "payments"), _CHANGE),
            **dict.fromkeys(("sandbox_payments", "sandbox_ledger", "sandbox_shipments"), _CHANGE),
            # The audit table: added to, and never changed.
            "events": _ADD,
        },
        RoleKind.API: {**dict.fromkeys(_LOOKED_AT, _READ), "api_keys": _CHANGE, "sessions": _REMOVE},
        RoleKind.KEEPER: {
            **dict.fromkeys(_LOOKED_AT, _READ),
            **dict.fromkeys(("orders", "journals", "inbound_events", "sandbox_shipments"), "SELECT, UPDATE"),
            "events": "SELECT, UPDATE, DELETE",
        },
    }
)
"""The rights on each table. A role that is worker and API at once is not foreseen: give each process its own."""


def grants(kind: RoleKind, role: str) -> Iterator[str]:
    """The statements that give a role what its kind needs, after taking away what it had on our tables.

    Args:
        kind: whose it is.
        role: its name; it must exist.
    """
    name = '"' + role.replace('"', '""') + '"'
    yield f"REVOKE ALL ON {', '.join(TABLES)} FROM {name}"
    by_rights: dict[str, list[str]] = {}
    for table, rights in RIGHTS[kind].items():
        by_rights.setdefault(rights, []).append(table)
    for rights, tables in by_rights.items():
        yield f"GRANT {rights} ON {', '.join(tables)} TO {name}"
