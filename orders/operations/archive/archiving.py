"""Moves the events of orders that are long over into files: written, read back and compared before any is removed."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from activities.adapters.postgres.archive import ArchiveMismatchError, ArchiveStore, Candidate
from orders.clients.opened import Clients
from orders.errors import OrdersError, UsageError
from orders.operations.archive.files import discard, payloads_of, read_file, require_folder, write_file

ORDERS_MAX: Final = 500
"""Most orders of one file and one transaction: some 4,000 events, whose removal takes a fraction of a second."""
EVENTS_MAX: Final = 10_000
"""Most events, but of one order alone."""
AGE_MIN: Final = timedelta(hours=1)
"""Since an order's last change: until then an attempt at its last record may still be repeated."""


@dataclass(slots=True)
class Archived:
    """What was moved out, or would be."""

    orders: int = 0
    events: int = 0
    files: list[str] = field(default_factory=list)
    unpublished: list[str] = field(default_factory=list)
    """Orders that stay, as Kafka is not known to have all their events."""
    changed: int = 0
    """Orders that stay until the next time: somebody wrote to them meanwhile."""
    more: bool = False
    """Whether the limit left others for the next time."""


async def archive(
    clients: Clients,
    *,
    until: datetime,
    folder: Path,
    limit: int,
    dry_run: bool = False,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Archived:
    """Archives orders that are over, those that have not changed for longest first. It may be stopped at any moment.

    Args:
        clients: lead to the database.
        until: the latest moment of an order's last change.
        folder: where the files go.
        limit: how many orders at most.
        dry_run: whether to count only.
        progress: told how many orders were looked at, and of about how many.

    Raises:
        UsageError: the time is too recent, or there is no such folder.
        UnreachableError: Postgres does not answer.
        OrdersError: the disk does not take a file, or does not give back what was written.
    """
    if until > datetime.now(UTC) - AGE_MIN:
        raise UsageError("archive orders that have not changed for an hour at least: --older-than 1h")
    if not dry_run:
        require_folder(folder)
    done = Archived()
    after: Candidate | None = None
    async with clients.database() as engine:
        store = ArchiveStore(engine)
        total = await store.count(until, limit)
        while True:
            page = await store.candidates(until, after, ORDERS_MAX)
            if not page:
                return done
            after = page[-1]
            done.unpublished += [one.order_id for one in page if not one.is_published]
            ready = [one for one in page if one.is_published]
            room = limit - done.orders
            done.more = len(ready) > room
            for batch in _batches(ready[:room]):
                await _archive_batch(store, batch, folder, done, dry_run=dry_run)
                seen = done.orders + done.changed + len(done.unpublished)
                progress(seen, max(seen, total))
            if done.more:
                return done


def _batches(chosen: list[Candidate]) -> list[list[Candidate]]:
    batches: list[list[Candidate]] = []
    events = EVENTS_MAX
    for one in chosen:
        size = one.last - one.first + 1
        if events + size > EVENTS_MAX:
            batches.append([])
            events = 0
        batches[-1].append(one)
        events += size
    return batches


async def _archive_batch(
    store: ArchiveStore, batch: list[Candidate], folder: Path, done: Archived, *, dry_run: bool
) -> None:
    if dry_run:
        done.orders += len(batch)
        done.events += sum(one.last - one.first + 1 for one in batch)
        return
    path = write_file(folder, await store.documents(batch), datetime.now(UTC))
    # What counts is what the disk gives back.
    read_back = payloads_of(read_file(path))
    try:
        removed = await store.remove(batch, read_back, path.name)
    except ArchiveMismatchError as error:
        raise OrdersError(str(error)) from error
    if not removed:
        discard(path)
    else:
        done.files.append(path.name)
    done.orders += len(removed)
    done.events += sum(removed.values())
    done.changed += len(batch) - len(removed)


def archived_json(done: Archived, *, dry_run: bool) -> dict[str, Any]:
    """What was moved out, for a program; of a dry run, what would be."""
    return {
        "dry_run": dry_run,
        "orders": done.orders,
        "events": done.events,
        "files": done.files,
        "unpublished": done.unpublished,
        "changed_meanwhile": done.changed,
        "more": done.more,
    }
