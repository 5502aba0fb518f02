"""Evidence of a small run in which nothing is wrong, and the pieces to make other evidence of."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from schemas.event_types import EventType
from schemas.outbound import outbound_event_id
from tests.helpers.checker.commit_log import Commit
from tests.helpers.checker.evidence import (
    AuditRow,
    Evidence,
    InboundRow,
    LedgerEntry,
    OrderRow,
    PaymentRow,
    Run,
    ShipmentRow,
)
from tests.helpers.messages.kafka_io import PartitionOffsets, StoredRecord

AT = datetime(2026, 11, 23, tzinfo=UTC).isoformat()
COMPLETED_PATH = [
    ("RECEIVED", "e-created"),
    ("VALIDATED", None),
    ("APPROVED", "order.approved:0:0:ebde495098044c76"),
    ("PAID", None),
    ("PACKAGE_PREPARED", None),
    ("CARRIER_DISPATCHED", None),
    ("SHIPPED", None),
    ("COMPLETED", None),
]


_TYPES_OF_CAUSES = {
    "order.approved": "order.approved",
    "late-cancel": "order.cancelled",
    "a-0": "order.address_updated",
    "a-1": "order.address_updated",
}
"""Types of the inbound events that are causes here, by the beginning of their ids."""


def body_of(order_id: str, sequence: int, previous: str | None, state: str | None, cause: str | None) -> dict[str, Any]:
    return {
        "order_id": order_id,
        "sequence": sequence,
        "previous_state": previous,
        "state": state,
        "occurred_at": AT,
        "cause": None
        if cause is None
        else {"event_id": cause, "type": _TYPES_OF_CAUSES.get(cause.split(":")[0], "order.created")},
        "reason": None,
        "type": "order.state_changed",
    }


def path_of(order_id: str, path: list[tuple[str, str | None]]) -> list[dict[str, Any]]:
    states = [None, *(state for state, _ in path)]
    return [body_of(order_id, index + 1, states[index], state, cause) for index, (state, cause) in enumerate(path)]


def published_record(body: dict[str, Any], offset: int, partition: int = 0) -> StoredRecord:
    order_id, sequence = body["order_id"], body["sequence"]
    headers = {
        "ce_specversion": "1.0",
        "ce_id": outbound_event_id(order_id, sequence),
        "ce_source": "urn:test",
        "ce_type": body["type"],
        "ce_subject": order_id,
        "ce_time": AT,
        "ce_sequence": f"{sequence:010}",
        "content-type": "application/json",
    }
    return StoredRecord(
        topic="order.events",
        partition=partition,
        offset=offset,
        key=order_id.encode(),
        value=json.dumps(body).encode(),
        headers=tuple((name, value.encode()) for name, value in headers.items()),
    )


def audit_row(body: dict[str, Any]) -> AuditRow:
    order_id, sequence = body["order_id"], body["sequence"]
    return AuditRow(order_id, sequence, outbound_event_id(order_id, sequence), body["type"], json.dumps(body))


def input_record(topic: str, offset: int, body: object, partition: int = 0) -> StoredRecord:
    value = body if isinstance(body, bytes) else json.dumps(body).encode()
    return StoredRecord(topic=topic, partition=partition, offset=offset, value=value)


def letter_of(source: StoredRecord, offset: int = 0, **headers: str) -> StoredRecord:
    own = {
        "dlq_source_topic": source.topic,
        "dlq_source_partition": str(source.partition),
        "dlq_source_offset": str(source.offset),
        "dlq_error_code": "not_json",
        "dlq_message": "the value is not JSON",
    } | headers
    return replace(
        source,
        topic="order.dead_letters",
        offset=offset,
        headers=source.headers + tuple((name, value.encode()) for name, value in own.items()),
    )


LATE_REJECTION = body_of("o-1", 9, "COMPLETED", "COMPLETED", "late-cancel") | {
    "type": "order.event_rejected",
    "reason": "order_closed",
}
BODIES = [*path_of("o-1", COMPLETED_PATH), LATE_REJECTION]
MALFORMED = replace(input_record("order.created", 1, b"\xff{"), key=b"k", headers=(("trace", b"\x00\x01"),))

GOOD = Evidence(
    input_topics={str(event_type): event_type for event_type in EventType},
    inputs=(
        input_record("order.created", 0, {"order_id": "o-1", "payment_id": "p-1", "event_id": "e-created"}),
        MALFORMED,
        input_record("order.created", 2, {"order_id": "o-1", "payment_id": "p-1", "event_id": "e-created"}),
        input_record("order.approved", 0, {"order_id": "o-1"}),
        input_record("order.cancelled", 0, {"order_id": "o-1", "event_id": "late-cancel"}),
    ),
    dead_letters=(letter_of(MALFORMED),),
    published=tuple(published_record(body, offset) for offset, body in enumerate(BODIES)),
    offsets=(
        PartitionOffsets("order.created", 0, begin=0, end=3, committed=3),
        PartitionOffsets("order.approved", 0, begin=0, end=1, committed=1),
        PartitionOffsets("order.cancelled", 0, begin=0, end=1, committed=1),
        PartitionOffsets("order.address_updated", 0, begin=0, end=0, committed=None),
    ),
    commits=(Commit("order.created", 0, 1), Commit("order.approved", 0, 1), Commit("order.created", 0, 3)),
    orders=(OrderRow("o-1", "COMPLETED", 9, payment_id="p-1", amount=500, address={"city": "Ulm"}),),
    payments=(PaymentRow("p-1", "o-1", "charged", 500),),
    ledger=(LedgerEntry("p-1", "charge", 500),),
    shipments=(ShipmentRow("o-1", "T-1", {"city": "Ulm"}),),
    audit=tuple(audit_row(body) for body in BODIES),
    inbound=(
        InboundRow("e-created", "o-1", "order.created", "applied"),
        InboundRow("order.approved:0:0:ebde495098044c76", "o-1", "order.approved", "applied"),
        InboundRow("late-cancel", "o-1", "order.cancelled", "rejected", "order_closed"),
    ),
    runs=(
        Run("order:o-1", "r-1", "OrderWorkflow", "COMPLETED"),
        Run("shipping:o-1:1", "r-2", "ShippingWorkflow", "COMPLETED"),
        Run(f"late:o-1:{'0' * 32}", "r-3", "LateEventWorkflow", "COMPLETED"),
    ),
    logs={"bridge": "bridge.record.settled order_id=o-1"},
    confidential=("s3cret-password", "Rosenweg 7"),
)
