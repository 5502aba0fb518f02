"""What an audit comes to."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

FINDINGS_MAX: Final = 1_000
"""Most findings that are kept; those beyond are counted."""


class Kind(StrEnum):
    """What is wrong."""

    CHANGED = "changed"
    """It is there, and not as it was recorded."""
    MISSING = "missing"
    UNEXPECTED = "unexpected"
    """It is there, and nothing else knows of it."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not whole."""

    order_id: str | None
    """None where it is a file."""
    sequence: int | None
    """Of the event; None where it is the order or a file as a whole."""
    kind: Kind
    detail: str
    """A sentence."""


@dataclass(slots=True)
class Audit:
    """What was looked at, and what was found."""

    orders: int = 0
    events: int = 0
    """Of the database and of the archive, where that was looked at."""
    unhashed: int = 0
    """Of these, events without a hash: recorded by an earlier version."""
    erased: int = 0
    """Of these, events of which personal data was erased: the rest of each is held by its hash."""
    archived_unseen: int = 0
    """Orders with events in the archive, which was not looked at. The database keeps the hash of the last of these
    events, by which all of them can be verified once the files are at hand."""
    checkpoint_orders: int | None = None
    """Orders of the checkpoint; None where there was none to compare with."""
    checkpoint_digest: str | None = None
    checkpoint_unseen: int = 0
    """Orders of the checkpoint whose event of then is in the archive, which was not looked at."""
    findings: list[Finding] = field(default_factory=list)
    findings_total: int = 0

    @property
    def is_whole(self) -> bool:
        """Whether nothing was found wrong."""
        return not self.findings_total

    def note(self, order_id: str | None, sequence: int | None, kind: Kind, detail: str) -> None:
        """Keeps a finding."""
        self.findings_total += 1
        if len(self.findings) < FINDINGS_MAX:
            self.findings.append(Finding(order_id, sequence, kind, detail))


def audit_json(audit: Audit) -> dict[str, Any]:
    """An audit for a program."""
    return {
        "whole": audit.is_whole,
        "orders": audit.orders,
        "events": audit.events,
        "events_without_hash": audit.unhashed,
        "events_erased": audit.erased,
        "orders_with_unseen_archive": audit.archived_unseen,
        "checkpoint": None
        if audit.checkpoint_orders is None
        else {
            "orders": audit.checkpoint_orders,
            "sha256": audit.checkpoint_digest,
            "orders_with_unseen_archive": audit.checkpoint_unseen,
        },
        "findings_total": audit.findings_total,
        "findings": [
            {"order_id": one.order_id, "sequence": one.sequence, "kind": one.kind, "detail": one.detail}
            for one in audit.findings
        ],
    }
