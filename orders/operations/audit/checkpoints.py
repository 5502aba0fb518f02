"""Checkpoints: how far each order's chain is, written down to be kept where the database's owner cannot reach it.

A chain shows that one of an order's events was changed. That a whole order is gone, or its last events, or that all of
its hashes were made anew, only somebody can see who has kept a note of them.
"""

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from activities.adapters.postgres.audit import AuditStore, Held
from orders.clients.opened import Clients
from orders.errors import OrdersError, UsageError
from orders.operations.audit.batches import in_batches
from orders.operations.audit.findings import Audit, Kind

_PAGE: Final = 1_000
_HEADER: Final = {"checkpoint_of": "orders", "version": 1}


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint that was written."""

    orders: int
    sha256: str
    taken_at: datetime


async def write_checkpoint(clients: Clients, path: Path) -> Checkpoint:
    """Writes a line for each order: its last event's number and link.

    Args:
        clients: lead to the database.
        path: the file, which is not there yet.

    Raises:
        UsageError: there is such a file, or no such folder.
        OrdersError: the disk does not take it.
        UnreachableError: Postgres does not answer.
    """
    _require_new(path)
    taken_at = datetime.now(UTC)
    part = path.with_name(f".{path.name}.part")
    digest, orders, after = hashlib.sha256(), 0, ""
    try:
        async with clients.database() as engine:
            store = AuditStore(engine)
            with part.open("wb") as out:
                _put(out, digest, {**_HEADER, "taken_at": taken_at.isoformat()})
                while page := await store.heads(after, _PAGE):
                    for order_id, sequence, link in page:
                        known = None if link is None else link.hex()
                        _put(out, digest, {"order_id": order_id, "sequence": sequence, "link": known})
                    orders, after = orders + len(page), page[-1][0]
                out.flush()
                os.fsync(out.fileno())
        part.rename(path)
    except OSError as error:
        raise OrdersError(f"{path} cannot be written: {error.strerror}") from error
    finally:
        part.unlink(missing_ok=True)
    return Checkpoint(orders, digest.hexdigest(), taken_at)


def _require_new(path: Path) -> None:
    if path.exists():
        raise UsageError(f"{path} is there already: a checkpoint is kept, give another name")
    if not path.parent.is_dir():
        raise UsageError(f"there is no folder {path.parent}")


def _put(out: Any, digest: Any, line: dict[str, Any]) -> None:
    text = json.dumps(line, separators=(",", ":")).encode() + b"\n"
    digest.update(text)
    out.write(text)


async def compare_with(
    audit: Audit, store: AuditStore, path: Path, only: str | None
) -> dict[str, tuple[int, str | None]]:
    """Compares the database with a checkpoint.

    Args:
        audit: notes what is wrong.
        store: the database.
        path: the checkpoint's file.
        only: one order's id; None for all of them.

    Returns:
        What is to be looked for in the archive: number and link of the event of then, by order id.

    Raises:
        UsageError: the file is no checkpoint.
    """
    in_archive: dict[str, tuple[int, str | None]] = {}
    digest = hashlib.sha256()
    audit.checkpoint_orders = 0
    for some in in_batches(_lines(path, digest), _PAGE):
        noted = {one["order_id"]: (one["sequence"], one["link"]) for one in some if only in (None, one["order_id"])}
        held = await store.held({order_id: sequence for order_id, (sequence, _) in noted.items()})
        audit.checkpoint_orders += len(noted)
        for order_id, (sequence, link) in noted.items():
            if _is_in_archive(held[order_id], sequence):
                in_archive[order_id] = (sequence, link)
            else:
                _compare(audit, order_id, sequence, link, held[order_id])
    audit.checkpoint_digest = digest.hexdigest()
    return in_archive


def _is_in_archive(held: Held, sequence: int) -> bool:
    return not held.in_table and held.archived_sequence > sequence


def _compare(audit: Audit, order_id: str, sequence: int, link: str | None, held: Held) -> None:
    if not held.is_known:
        audit.note(order_id, None, Kind.MISSING, f"the checkpoint has the order up to {sequence}; it is gone")
        return
    if not held.in_table and held.archived_sequence != sequence:
        audit.note(order_id, sequence, Kind.MISSING, "the checkpoint has it, and it is not there")
        return
    found = held.link if held.in_table else held.archived_link
    if link is not None and found != bytes.fromhex(link):
        audit.note(order_id, sequence, Kind.CHANGED, "its hash is not the one of the checkpoint")


def _lines(path: Path, digest: Any) -> Iterator[dict[str, Any]]:
    try:
        with path.open("rb") as lines:
            first = next(lines, b"")
            digest.update(first)
            header = json.loads(first)
            if header.get("checkpoint_of") != _HEADER["checkpoint_of"] or header.get("version") != _HEADER["version"]:
                raise UsageError(f"{path} is no checkpoint of this version")
            for line in lines:
                digest.update(line)
                one = json.loads(line)
                yield {name: one[name] for name in ("order_id", "sequence", "link")}
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, AttributeError, TypeError):
        raise UsageError(f"{path} is no checkpoint: `orders audit checkpoint` writes them") from None
