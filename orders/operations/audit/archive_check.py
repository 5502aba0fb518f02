"""The archive's part of an audit: whether its files are there, whole, and hold what the database says."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from activities.adapters.postgres.audit import AuditedEvent, AuditedJournal, AuditStore
from orders.operations.archive.files import DamagedArchiveError, archive_files, read_file
from orders.operations.audit.batches import in_batches
from orders.operations.audit.chain_check import Stretch, check_events
from orders.operations.audit.findings import Audit, Kind

_DOCUMENTS_MAX: Final = 200


class ArchiveCheck:
    """Checks files of the archive, one after the other.

    Args:
        audit: notes what is wrong.
        store: knows which orders are in which file.
        folder: of the archive.
        noted: of some orders the number and link of an event that is to be found in a file; those found are taken out.
    """

    def __init__(self, audit: Audit, store: AuditStore, folder: Path, noted: dict[str, tuple[int, str | None]]) -> None:
        self._audit = audit
        self._store = store
        self._folder = folder
        self._noted = noted
        self._goes_on: dict[str, tuple[int, bytes | None, int]] = {}
        """Of orders of which a later file is to have more: the last number until now, its link, and the last of all."""

    async def check(self, expected: Mapping[str, int], only: str | None) -> None:
        """Checks files.

        Args:
            expected: how many orders are to be in which file.
            only: one order's id, whose files alone are looked at, and of them only its events; None for all of them.
        """
        there = self._files()
        for name in sorted(expected.keys() | (set() if only else there.keys())):
            if name not in there:
                count = f"{expected[name]} orders"
                self._audit.note(None, None, Kind.MISSING, f"the file {name} of the archive is gone, with {count}")
            else:
                await self._check_one(there[name], expected.get(name, 0), only)
        if self._goes_on:
            # An `orders archive` that runs beside this one may have moved on what was in the table before.
            later = self._files()
            for name in sorted(later.keys() - there.keys()):
                await self._check_one(later[name], 0, only)
        for order_id, (number, _, last) in self._goes_on.items():
            self._note_missing(order_id, number + 1, last)

    def _files(self) -> dict[str, Path]:
        return {path.name: path for path in archive_files(self._folder)}

    async def _check_one(self, path: Path, expected: int, only: str | None) -> None:
        try:
            seen = await self._check_file(path, only)
        except DamagedArchiveError as error:
            self._audit.note(None, None, Kind.CHANGED, str(error))
            return
        lacking = expected - len(seen)
        if lacking > 0:
            text = f"{path.name} lacks {lacking} of the orders whose events are said to be in it"
            self._audit.note(only, None, Kind.MISSING, text)

    def _note_missing(self, order_id: str, first: int, last: int) -> None:
        for sequence in range(first, last + 1):
            self._audit.note(order_id, sequence, Kind.MISSING, "it is said to be in the archive, and is not")

    async def _check_file(self, path: Path, only: str | None) -> set[str]:
        seen: Counter[str] = Counter()
        documents = (one for one in read_file(path) if only is None or one["order_id"] == only)
        for some in in_batches(documents, _DOCUMENTS_MAX):
            known = await self._store.archived([one["order_id"] for one in some])
            for one in some:
                journal = known.get(one["order_id"])
                if journal is None:
                    text = f"{path.name} has its events, and the database does not know the order"
                    self._audit.note(one["order_id"], None, Kind.MISSING, text)
                elif path.name in journal.archived_in:
                    # Else an archiving was interrupted, and its events are in the table or in another file.
                    seen[one["order_id"]] += 1
                    self._check_document(journal, one["events"])
        return set(seen)

    def _check_document(self, journal: AuditedJournal, lines: list[dict[str, Any]]) -> None:
        events = [_event(line) for line in lines]
        order_id = journal.order_id
        if not events:
            self._audit.note(order_id, None, Kind.CHANGED, "the archive has the order without events")
            return
        first, last = events[0].sequence, events[-1].sequence
        number, before, _ = self._goes_on.pop(order_id, (0, None, 0))
        if first == 1:
            number, before = 0, None
        elif number:
            self._note_missing(order_id, number + 1, first - 1)
        stretch = Stretch(order_id, first, last, before, before_is_known=first == number + 1)
        found = check_events(self._audit, stretch, events)
        if last < journal.archived_sequence:
            self._goes_on[order_id] = (last, found, journal.archived_sequence)
        elif journal.archived_link is not None and found != journal.archived_link:
            text = "its hash in the archive is not the one that the database has kept of it"
            self._audit.note(order_id, last, Kind.CHANGED, text)
        self._compare_with_noted(order_id, events)

    def _compare_with_noted(self, order_id: str, events: list[AuditedEvent]) -> None:
        sequence, link = self._noted.get(order_id, (0, None))
        for event in events:
            if event.sequence == sequence:
                del self._noted[order_id]
                if link is not None and event.link != bytes.fromhex(link):
                    self._audit.note(order_id, sequence, Kind.CHANGED, "its hash is not the one of the checkpoint")


def _event(line: Mapping[str, Any]) -> AuditedEvent:
    return AuditedEvent(
        sequence=line["sequence"],
        event_id=line["event_id"],
        type=line["type"],
        at=datetime.fromisoformat(line["ts"]),
        payload=line["payload"],
        traceparent=line.get("traceparent"),
        salt=_bytes(line.get("salt")),
        payload_digest=_bytes(line.get("payload_digest")),
        link=_bytes(line.get("link")),
    )


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else bytes.fromhex(text)
