"""The evidence of a run, indexed for the checker's rules, and what a rule says when it is broken."""

import json
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from schemas.states import ReasonCode
from tests.helpers.checker.evidence import (
    AuditRow,
    Coordinates,
    Evidence,
    Identity,
    InboundRow,
    LedgerEntry,
    source_of,
)
from tests.helpers.messages.kafka_io import StoredRecord


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken promise."""

    invariant: str
    subject: str
    """An order id, a payment id, a record's coordinates or a partition."""
    what: str

    def __str__(self) -> str:
        return f"{self.invariant} {self.subject}: {self.what}"


@dataclass(frozen=True, slots=True)
class LogLine:
    """One event of a process's log."""

    process: str
    event: str
    at: float
    """Seconds since 1970."""
    fields: dict[str, Any]


class Facts:
    """The evidence, indexed once."""

    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence

    @cached_property
    def published(self) -> dict[str, list[tuple[StoredRecord, dict[str, Any]]]]:
        """Records of ``order.events`` with their bodies by order, as a consumer sees them."""
        found = defaultdict(list)
        for record in self.evidence.published:
            body = _json_object(record.value)
            found[str(body.get("order_id"))].append((record, body))
        return found

    @cached_property
    def first_bodies(self) -> dict[str, list[dict[str, Any]]]:
        """Bodies by order, repeats left out, by sequence."""
        return {
            order_id: sorted(
                {body.get("sequence"): body for _, body in records}.values(),
                key=lambda body: int(body.get("sequence") or 0),
            )
            for order_id, records in self.published.items()
        }

    @cached_property
    def inbound(self) -> dict[Identity, InboundRow]:
        return {(row.order_id, row.event_id, row.type): row for row in self.evidence.inbound}

    @cached_property
    def letters(self) -> dict[tuple[str, int, int] | None, list[StoredRecord]]:
        found = defaultdict(list)
        for letter in self.evidence.dead_letters:
            found[source_of(letter)].append(letter)
        return found

    @cached_property
    def bridge_lines(self) -> tuple[LogLine, ...]:
        """What the bridges say of themselves, by time; lines of libraries are left out."""
        found = [
            LogLine(process, body["event"], datetime.fromisoformat(body["timestamp"]).timestamp(), body)
            for process, text in self.evidence.logs.items()
            for line in text.splitlines()
            if line.startswith("{") and ('"event": "bridge.' in line or '"event": "process.' in line)
            for body in [_json_object(line.encode())]
            if body and "bridge" in process
        ]
        return tuple(sorted(found, key=lambda line: line.at))

    @cached_property
    def has_worker_logs(self) -> bool:
        """Whether the evidence holds what workers logged: the demonstration keeps the logs of its own."""
        return any("worker" in process for process in self.evidence.logs)

    @cached_property
    def failed_activities(self) -> set[tuple[str, str]]:
        """Workflow and type of the error of each failed attempt of an activity, as the workers' logs tell them."""
        lines = [
            _json_object(line.encode())
            for text in self.evidence.logs.values()
            for line in text.splitlines()
            if '"activity.failed"' in line
        ]
        return {(str(line.get("workflow_id")), str(line.get("error_type"))) for line in lines}

    @cached_property
    def settled_at(self) -> dict[Coordinates, float]:
        """When a bridge first said of each record that it is settled."""
        found: dict[Coordinates, float] = {}
        for line in self.bridge_lines:
            if line.event == "bridge.record.settled":
                fields = line.fields
                found.setdefault((fields["topic"], fields["partition"], fields["offset"]), line.at)
        return found

    @cached_property
    def ledger(self) -> dict[str, list[LedgerEntry]]:
        """What the provider moved, by payment id."""
        found = defaultdict(list)
        for entry in self.evidence.ledger:
            found[entry.payment_id].append(entry)
        return found

    @cached_property
    def effects(self) -> dict[Identity, list[str]]:
        """What each inbound event led to, by its identity: ``order.state_changed APPROVED`` ..."""
        found = defaultdict(list)
        for order_id, bodies in self.first_bodies.items():
            for body in bodies:
                if body.get("cause"):
                    cause = body["cause"]
                    found[order_id, cause["event_id"], str(cause.get("type"))].append(
                        f"{body.get('type')} {body.get('state')}"
                    )
        return found

    @cached_property
    def identified(self) -> dict[Identity, list[StoredRecord]]:
        """Input records by their identity."""
        found = defaultdict(list)
        for record in self.evidence.inputs:
            identity = self.evidence.identity_of(record)
            if identity is not None:
                found[identity].append(record)
        return found

    def is_event(self, identity: Identity) -> bool:
        """Whether the event was one that could be applied: not set aside, nor refused for what it is."""
        row = self.inbound.get(identity)
        return row is not None and row.reason not in (ReasonCode.INVALID, ReasonCode.EVENT_ID_REUSED)

    @cached_property
    def audit(self) -> dict[str, list[AuditRow]]:
        found = defaultdict(list)
        for row in self.evidence.audit:
            found[row.order_id].append(row)
        return found


def _json_object(value: bytes | None) -> dict[str, Any]:
    try:
        body = json.loads(value or b"")
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
