"""What a run leaves behind in Kafka, Temporal and Postgres, as plain values that the checker judges."""

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

from schemas.event_types import EventType
from tests.helpers.checker.commit_log import Commit
from tests.helpers.messages.kafka_io import PartitionOffsets, StoredRecord
from workflows.names import order_id_of


@dataclass(frozen=True, slots=True)
class OrderRow:
    """A row of `orders`."""

    order_id: str
    state: str | None
    last_sequence: int
    payment_id: str | None = None
    amount: int = 0
    currency: str = "USD"
    address: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PaymentRow:
    """A row of `payments`."""

    payment_id: str
    order_id: str
    status: str
    amount: int = 0
    currency: str = "USD"


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """Money that the payment provider moved: what the customer sees, whatever our own tables say."""

    payment_id: str
    kind: str
    """``charge`` or ``refund``."""
    amount: int = 0
    currency: str = "USD"


@dataclass(frozen=True, slots=True)
class ShipmentRow:
    """What the carrier has of an order."""

    order_id: str
    tracking_id: str | None
    """None where the package was prepared and not dispatched."""
    address: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AuditRow:
    """A row of `events`."""

    order_id: str
    sequence: int
    event_id: str
    type: str
    payload_json: str


@dataclass(frozen=True, slots=True)
class InboundRow:
    """A row of `inbound_events`."""

    event_id: str
    order_id: str
    type: str
    outcome: str
    reason: str | None = None


Coordinates = tuple[str, int, int]
"""Topic, partition and offset of a record."""

Identity = tuple[str, str, str]
"""Order id, event id and type of an inbound event."""


@dataclass(frozen=True, slots=True)
class ProcessEnd:
    """How a process of ours ended."""

    name: str
    status: int
    """Negative where a signal ended it."""
    signals: tuple[str, ...] = ()
    """What it was told, in order: ``SIGTERM``, ``SIGKILL`` ..."""
    expected_status: int = 0
    """What it was to leave with when it was told to stop."""
    stopping_seconds: float = 0.0
    """From the first signal to the end."""
    may_end: bool = False
    """Whether it was to end by itself, as at a failpoint."""


@dataclass(frozen=True, slots=True)
class StuckOrder:
    """An order that Temporal was kept from taking for a while, with a backlog of its own."""

    order_id: str
    records: frozenset[Coordinates]
    """Its backlog."""
    others_sent_at: float
    """Until when others' records were sent, in seconds since 1970."""
    released_at: float | None = None
    """When it was let go; None where it is stuck for ever."""


@dataclass(frozen=True, slots=True)
class Run:
    """A workflow execution as Temporal lists it."""

    workflow_id: str
    run_id: str
    type: str
    status: str
    """``RUNNING``, ``COMPLETED``, ``FAILED``, ``TERMINATED`` ..."""

    @property
    def order_id(self) -> str:
        """The order that it belongs to; its own id where it is none of ours."""
        return order_id_of(self.workflow_id) or self.workflow_id


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that one system's run left behind."""

    input_topics: dict[str, EventType]
    inputs: tuple[StoredRecord, ...] = ()
    dead_letters: tuple[StoredRecord, ...] = ()
    published: tuple[StoredRecord, ...] = ()
    """The records of ``order.events``."""
    offsets: tuple[PartitionOffsets, ...] = ()
    """How far each partition of the input topics is committed by the bridge's group."""
    commits: tuple[Commit, ...] = ()
    """Every commit of the bridge's group, oldest first."""
    orders: tuple[OrderRow, ...] = ()
    payments: tuple[PaymentRow, ...] = ()
    ledger: tuple[LedgerEntry, ...] = ()
    shipments: tuple[ShipmentRow, ...] = ()
    audit: tuple[AuditRow, ...] = ()
    inbound: tuple[InboundRow, ...] = ()
    runs: tuple[Run, ...] = ()
    logs: dict[str, str] = field(default_factory=dict)
    """What the processes wrote, by process."""
    ends: tuple[ProcessEnd, ...] = ()
    """How each process that has ended did."""
    records_held_max: int = 2_000
    """How many records a bridge may hold."""
    stuck_orders: tuple[StuckOrder, ...] = ()
    approval_timeout_seconds: float = 30.0
    """How long an order waits for its approval."""
    confidential: tuple[str, ...] = ()
    """Texts that must appear in no log and no dead letter's ``dlq_*`` header: passwords, personal data."""

    def order(self, order_id: str) -> OrderRow | None:
        """The order's row."""
        return next((row for row in self.orders if row.order_id == order_id), None)

    def inbound_event(self, order_id: str, event_id: str) -> InboundRow | None:
        """What became of an inbound event."""
        return next((row for row in self.inbound if (row.order_id, row.event_id) == (order_id, event_id)), None)

    def published_of(self, order_id: str) -> list[dict[str, Any]]:
        """The bodies published for an order, by sequence, repeats left out."""
        bodies = (json.loads(record.value or b"null") for record in self.published)
        return sorted(
            {body["sequence"]: body for body in bodies if body["order_id"] == order_id}.values(),
            key=lambda body: int(body["sequence"]),
        )

    def states_of(self, order_id: str) -> list[str]:
        """The states that an order went through, in order."""
        return [body["state"] for body in self.published_of(order_id) if body["type"] == "order.state_changed"]

    def runs_of(self, order_id: str) -> list[Run]:
        """The runs of the order's own workflow."""
        return [run for run in self.runs if run.order_id == order_id and run.type == "OrderWorkflow"]

    def repeats(self) -> tuple[int, int]:
        """How many different events are on ``order.events``, and how many records repeat one of them."""
        bodies = [json.loads(record.value or b"null") for record in self.published]
        different = {(body["order_id"], body["sequence"]) for body in bodies}
        return len(different), len(bodies) - len(different)

    def identity_of(self, record: StoredRecord) -> Identity | None:
        """The identity of an input record's event; None where it has no order id."""
        named = identity_of(record)
        return None if named is None else (*named, self.input_topics[record.topic].value)


def source_of(letter: StoredRecord) -> tuple[str, int, int] | None:
    """The coordinates of the record that a dead letter was made of; None where its headers do not say."""
    topic, partition, offset = (letter.header(f"dlq_source_{name}") for name in ("topic", "partition", "offset"))
    if topic is None or partition is None or offset is None or not (partition + offset).isdecimal():
        return None
    return topic, int(partition), int(offset)


def is_pointer(letter: StoredRecord) -> bool:
    """Whether a dead letter only points to its source, which was too large to be kept whole."""
    return letter.header("dlq_pointer") == "true" and letter.value is None


def _attribute(record: StoredRecord, name: str) -> str | None:
    """A CloudEvents attribute in either spelling of its header, without JSON quotes."""
    for header, value in record.headers:
        if header.lower() in (f"ce_{name}", f"ce-{name}") and value is not None:
            text = value.decode("utf-8", "replace")
            return str(json.loads(text)) if text.startswith('"') else text
    return None


def _identity_by_place(record: StoredRecord) -> str:
    digest = hashlib.blake2b(str(record.timestamp_ms).encode(), digest_size=8)
    for part in (record.key, record.value):
        digest.update(b"-" if part is None else str(len(part)).encode() + b":" + part)
    return ":".join([*map(str, record.coordinates), digest.hexdigest()])


def identity_of(record: StoredRecord) -> tuple[str, str] | None:
    """Order id and event id of an input record, by the contract's rules; None where it has no order id.

    Written here a second time, and apart from the bridge's decoder, because the checker must not share its mistakes.
    """
    try:
        body = json.loads(record.value or b"")
    except (ValueError, RecursionError):
        return None
    if not isinstance(body, dict):
        return None
    event_id: Any = None
    content_type = (record.header("content-type") or "").split(";")[0].strip().lower()
    attributes = {name: text for name in ("id", "source") if (text := _attribute(record, name)) is not None}
    bare_envelope = "specversion" in body and "order_id" not in body and not attributes
    if content_type == "application/cloudevents+json" or bare_envelope:
        event_id, body = f"{body.get('source')}|{body.get('id')}", body.get("data")
    elif "id" in attributes:
        event_id = f"{attributes.get('source')}|{attributes['id']}"
    if not isinstance(body, dict) or not isinstance(body.get("order_id"), str):
        return None
    if event_id is None:
        event_id = body.get("event_id") or _identity_by_place(record)
    return body["order_id"], str(event_id)
