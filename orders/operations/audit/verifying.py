"""Verifies what is recorded of orders: each event by its hash, each journal by its numbers. It changes nothing."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from activities.adapters.postgres.audit import AuditedJournal, AuditStore
from orders.clients.opened import Clients
from orders.errors import NotFoundError, UsageError
from orders.operations.archive.files import require_folder
from orders.operations.audit.archive_check import ArchiveCheck
from orders.operations.audit.chain_check import Stretch, check_events
from orders.operations.audit.checkpoints import compare_with
from orders.operations.audit.findings import Audit, Kind

_ESTIMATED: Final = "orders verified (their number is estimated):"
_PAGE: Final = 200
"""Orders of one snapshot: some 1,600 events."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What is verified."""

    order_id: str | None = None
    """One order; None for all of them."""
    since: datetime | None = None
    """Only orders that have an event recorded since then, each whole; the archive is then left alone."""
    folder: Path | None = None
    """The archive's; None where its files are not looked at."""
    checkpoint: Path | None = None
    """What the database is compared with."""


Progress = Callable[[str, int, int | None], None]
"""Is told what is being done, how much of it is done, and of how much; None where nobody knows."""


async def verify(clients: Clients, scope: Scope, progress: Progress = lambda _what, _done, _total: None) -> Audit:
    """Reads and compares.

    Args:
        clients: lead to the database.
        scope: what is verified.
        progress: told how far it is.

    Raises:
        NotFoundError: there is no such order, and no checkpoint that names it.
        UsageError: there is no such folder, or the file is no checkpoint.
        UnreachableError: Postgres does not answer.
    """
    if scope.folder is not None:
        require_folder(scope.folder)
    if scope.order_id is not None and scope.since is not None:
        raise UsageError("name an order or give --since, not both")
    audit = Audit()
    noted: dict[str, tuple[int, str | None]] = {}
    async with clients.database() as engine:
        store = AuditStore(engine)
        if scope.checkpoint is not None:
            noted = await compare_with(audit, store, scope.checkpoint, scope.order_id)
        files = await _check_tables(audit, store, scope, progress)
        if scope.folder is not None and scope.since is None:
            audit.archived_unseen = 0
            progress("reading the archive", 0, None)
            await ArchiveCheck(audit, store, scope.folder, noted).check(files, scope.order_id)
            for order_id, (sequence, _) in noted.items():
                audit.note(order_id, sequence, Kind.MISSING, "the checkpoint has it, and the archive does not")
        else:
            audit.checkpoint_unseen = len(noted)
    return audit


async def _check_tables(audit: Audit, store: AuditStore, scope: Scope, progress: Progress) -> Counter[str]:
    """Checks what is in the database; returns how many orders are said to be in which file of the archive."""
    files: Counter[str] = Counter()
    if scope.order_id is not None:
        journal = await store.one(scope.order_id)
        if journal is not None:
            _check_journal(audit, journal, files)
        elif not audit.checkpoint_orders:
            raise NotFoundError(f"nothing is recorded of an order {scope.order_id}")
        return files
    # How many have changed since a moment is known once all were looked at.
    total = None if scope.since else await store.estimate()
    after: str | None = ""
    while after is not None:
        page = await store.page(after, scope.since, _PAGE)
        for journal in page.journals:
            _check_journal(audit, journal, files)
        after = page.last_id
        progress("orders verified:" if total is None else _ESTIMATED, audit.orders, total and max(total, audit.orders))
    return files


def _check_journal(audit: Audit, journal: AuditedJournal, files: Counter[str]) -> None:
    audit.orders += 1
    files.update(set(journal.archived_in))
    audit.archived_unseen += bool(journal.archived_in)
    if journal.last_sequence is None:
        audit.note(journal.order_id, None, Kind.MISSING, "it has a row or events, and its journal is gone")
        return
    stretch = Stretch(
        order_id=journal.order_id,
        first=journal.archived_sequence + 1,
        last=journal.last_sequence,
        before=journal.archived_link,
        may_be_erased=journal.is_forgotten,
    )
    check_events(audit, stretch, journal.events)
