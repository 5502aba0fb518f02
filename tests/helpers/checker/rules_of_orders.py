"""What must hold for every order: its states, its published events, its money, and that the stores agree on them."""

import json
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from schemas.event_types import EventType
from schemas.outbound import OUTBOUND_EVENT, OutboundType, outbound_event_id
from schemas.states import FINAL_STATES, OrderState, ReasonCode
from tests.helpers.checker.facts import Facts, Violation
from tests.helpers.messages.kafka_io import StoredRecord

CHARGED_STATES = frozenset(
    {
        OrderState.PAID,
        OrderState.PACKAGE_PREPARED,
        OrderState.CARRIER_DISPATCHED,
        OrderState.SHIPPING_FAILED,
        OrderState.REFUNDED,
        OrderState.SHIPPED,
        OrderState.COMPLETED,
    }
)
"""States that only an order reaches whose payment was charged."""

NEXT_STATES: dict[OrderState | None, frozenset[OrderState]] = {
    None: frozenset({OrderState.RECEIVED}),
    OrderState.RECEIVED: frozenset({OrderState.VALIDATED, OrderState.REJECTED, OrderState.CANCELLED}),
    OrderState.VALIDATED: frozenset({OrderState.APPROVED, OrderState.CANCELLED, OrderState.EXPIRED}),
    OrderState.APPROVED: frozenset({OrderState.PAID, OrderState.PAYMENT_DECLINED, OrderState.CANCELLED}),
    OrderState.PAID: frozenset({OrderState.PACKAGE_PREPARED, OrderState.SHIPPING_FAILED}),
    OrderState.PACKAGE_PREPARED: frozenset({OrderState.CARRIER_DISPATCHED, OrderState.SHIPPING_FAILED}),
    OrderState.CARRIER_DISPATCHED: frozenset({OrderState.SHIPPED, OrderState.SHIPPING_FAILED}),
    OrderState.SHIPPING_FAILED: frozenset({OrderState.REFUNDED}),
    OrderState.SHIPPED: frozenset({OrderState.COMPLETED}),
}
"""Which state may follow which."""


LOSES_AN_ATTEMPT = ("ShipmentRefused", "ProviderGivenUp")
"""Failures of an activity by which the carrier loses a shipping attempt."""


def providers_end_orders(facts: Facts) -> Iterator[Violation]:
    """I19: an order that ends for want of an answer, or cannot be shipped, does so for what a provider did.

    As far as evidence can tell: a worker's log names the answer, or that the provider was given up. Without the log of
    any worker there is nothing to tell it by.
    """
    if not facts.has_worker_logs:
        return
    for order_id, bodies in facts.first_bodies.items():
        ends = {(body.get("state"), body.get("reason")) for body in bodies}
        types = {kind for workflow, kind in facts.failed_activities if workflow == f"order:{order_id}"}
        unknown = (OrderState.PAYMENT_DECLINED, ReasonCode.PAYMENT_OUTCOME_UNKNOWN)
        if unknown in ends and "ProviderGivenUp" not in types:
            yield Violation("I19", order_id, "its payment's outcome is unknown, and its provider was not given up")
        attempts = f"shipping:{order_id}:"
        lost = {kind for workflow, kind in facts.failed_activities if workflow.startswith(attempts)}
        failed = any(state == OrderState.SHIPPING_FAILED for state, _ in ends)
        if failed and lost.isdisjoint(LOSES_AN_ATTEMPT):
            yield Violation("I19", order_id, f"its shipping failed, and its carrier lost no attempt: {sorted(lost)}")


def money_moves_once(facts: Facts) -> Iterator[Violation]:
    """I6: at most one charge per payment, at most one refund and only after a charge, and money agrees with state."""
    for payment_id, entries in facts.ledger.items():
        kinds = Counter(entry.kind for entry in entries)
        if kinds["charge"] > 1 or kinds["refund"] > 1:
            yield Violation("I6", payment_id, f"moved money more than once: {dict(kinds)}")
        if kinds["refund"] > kinds["charge"]:
            yield Violation("I6", payment_id, "refunded without a charge")
        if len({(entry.amount, entry.currency) for entry in entries}) > 1:
            yield Violation("I6", payment_id, "charged and refunded different amounts")


def money_follows_the_order(facts: Facts) -> Iterator[Violation]:
    """I6: what the provider moved for an order is what the order's state says."""
    owners = {row.payment_id: row.order_id for row in facts.evidence.payments}
    for order in facts.evidence.orders:
        if order.payment_id is None or order.state is None:
            continue
        entries = facts.ledger.get(order.payment_id, []) if owners.get(order.payment_id) == order.order_id else []
        charged = any(entry.kind == "charge" for entry in entries)
        refunded = any(entry.kind == "refund" for entry in entries)
        state = OrderState(order.state)
        if state in CHARGED_STATES and not charged:
            yield Violation("I6", order.order_id, f"is {state}, but {order.payment_id} was not charged")
        if state in FINAL_STATES and (charged and not refunded) != (state is OrderState.COMPLETED):
            kept = "kept" if charged and not refunded else "not kept"
            yield Violation("I6", order.order_id, f"is {state}, but the money of {order.payment_id} was {kept}")
        if any((entry.amount, entry.currency) != (order.amount, order.currency) for entry in entries):
            yield Violation("I6", order.order_id, f"{order.payment_id} did not move {order.amount} {order.currency}")


def shipments_follow_the_order(facts: Facts) -> Iterator[Violation]:
    """LIFE: what the carrier has is what the order says: dispatched if completed, and to the order's last address."""
    shipments = {shipment.order_id: shipment for shipment in facts.evidence.shipments}
    for order in facts.evidence.orders:
        shipment = shipments.get(order.order_id)
        dispatched = shipment is not None and shipment.tracking_id is not None
        if order.state in FINAL_STATES and dispatched != (order.state == OrderState.COMPLETED):
            yield Violation("LIFE", order.order_id, f"is {order.state}, dispatched: {dispatched}")
        if shipment is not None and dispatched and shipment.address != order.address:
            yield Violation("LIFE", order.order_id, f"was sent to {shipment.address}, not to {order.address}")


def approved_in_time_does_not_expire(facts: Facts) -> Iterator[Violation]:
    """I17: no order expires whose approval was in Kafka before its deadline.

    The deadline begins with VALIDATED, by the workflow's clock; a record's time is its topic's, the broker's best.
    """
    for order_id, bodies in facts.first_bodies.items():
        at = {body["state"]: body["occurred_at"] for body in bodies if body.get("type") == OutboundType.STATE_CHANGED}
        if OrderState.EXPIRED not in at or OrderState.VALIDATED not in at:
            continue
        validated_at = datetime.fromisoformat(at[OrderState.VALIDATED]).timestamp()
        deadline = validated_at + facts.evidence.approval_timeout_seconds
        for record in facts.evidence.inputs:
            is_approval = facts.evidence.input_topics.get(record.topic) is EventType.ORDER_APPROVED
            identity = facts.evidence.identity_of(record) if is_approval else None
            in_time = record.timestamp_ms / 1_000 < deadline
            if identity is not None and identity[0] == order_id and in_time and facts.is_event(identity):
                early = deadline - record.timestamp_ms / 1_000
                yield Violation("I17", order_id, f"expired, and was approved {early:.1f} s before its deadline")


def sequences_are_gapless(facts: Facts) -> Iterator[Violation]:
    """I7: sequences from 1 without gaps, first occurrences in order, repeats byte-identical, all in one partition."""
    for order_id, records in facts.published.items():
        first: dict[int, StoredRecord] = {}
        if len({record.partition for record, _ in records}) > 1:
            yield Violation("I7", order_id, "is published to several partitions")
        for record, body in records:
            sequence = body.get("sequence")
            yield from (Violation("I7", order_id, what) for what in _flaws(record, body))
            if not isinstance(sequence, int):
                continue
            if sequence in first:
                same = (first[sequence].key, first[sequence].value, first[sequence].headers)
                if (record.key, record.value, record.headers) != same:
                    yield Violation("I7", order_id, f"sequence {sequence} was published again with other bytes")
            elif sequence != len(first) + 1:
                yield Violation("I7", order_id, f"sequence {sequence} follows {len(first)}")
            first.setdefault(sequence, record)


def _flaws(record: StoredRecord, body: dict[str, Any]) -> Iterator[str]:
    """How a published record breaks the contract of ``order.events``."""
    try:
        OUTBOUND_EVENT.validate_json(record.value or b"")
    except ValidationError as error:
        yield f"offset {record.offset} is not of the contract: {error.errors(include_input=False)}"
        return
    order_id, sequence = body["order_id"], body["sequence"]
    expected = {
        "ce_specversion": "1.0",
        "ce_id": outbound_event_id(order_id, sequence),
        "ce_type": body["type"],
        "ce_subject": order_id,
        "ce_sequence": f"{sequence:010}",
        "content-type": "application/json",
    }
    wrong = {name: record.header(name) for name, value in expected.items() if record.header(name) != value}
    if wrong:
        yield f"sequence {sequence} has the headers {wrong}"
    if not record.header("ce_source") or not record.header("ce_time"):
        yield f"sequence {sequence} has no ce_source or no ce_time"
    if record.key != order_id.encode():
        yield f"sequence {sequence} has the key {record.key!r}"


def states_follow_each_other(facts: Facts) -> Iterator[Violation]:
    """LIFE: states follow each other as they may, each event tells the state before it, and nothing follows the end."""
    for order_id, bodies in facts.first_bodies.items():
        state: OrderState | None = None
        for body in bodies:
            if body.get("previous_state") != state:
                said = body.get("previous_state")
                yield Violation("LIFE", order_id, f"sequence {body['sequence']} says {said} was before, not {state}")
            if body.get("type") != OutboundType.STATE_CHANGED:
                if body.get("state") != state:
                    yield Violation("LIFE", order_id, f"{body.get('type')} moved {state} to {body.get('state')}")
                continue
            following = OrderState(body["state"])
            if following not in NEXT_STATES.get(state, frozenset()):
                yield Violation("LIFE", order_id, f"{following} followed {state}")
            state = following


def audit_equals_published(facts: Facts) -> Iterator[Violation]:
    """I8: audit rows equal what was published, and the order's row is where the last event left it."""
    for order_id in facts.audit.keys() | facts.first_bodies.keys():
        rows = {row.sequence: row for row in facts.audit.get(order_id, [])}
        bodies = {body.get("sequence"): body for body in facts.first_bodies.get(order_id, [])}
        if rows.keys() != bodies.keys():
            yield Violation("I8", order_id, f"audit has {sorted(rows)}, order.events has {sorted(map(str, bodies))}")
        for sequence in rows.keys() & bodies.keys():
            row, body = rows[sequence], bodies[sequence]
            same = json.loads(row.payload_json) == body and row.type == body.get("type")
            if not same or row.event_id != outbound_event_id(order_id, sequence):
                yield Violation("I8", order_id, f"sequence {sequence} differs between audit and order.events")


def projection_follows_the_events(facts: Facts) -> Iterator[Violation]:
    """I8: the order's row is where its last event left it."""
    orders = {order.order_id: order for order in facts.evidence.orders}
    for order_id, found in facts.first_bodies.items():
        states = [body.get("state") for body in found if body.get("type") == OutboundType.STATE_CHANGED]
        order = orders.get(order_id)
        if order is None:
            if states:
                yield Violation("I8", order_id, f"is published as {states[-1]}, but orders has no such row")
            continue
        if states and order.state != states[-1]:
            yield Violation("I8", order_id, f"orders says {order.state}, order.events says {states[-1]}")
        if order.last_sequence != found[-1].get("sequence"):
            yield Violation("I8", order_id, f"orders says sequence {order.last_sequence}, not {found[-1]['sequence']}")
    for order in facts.evidence.orders:
        if order.state is not None and order.order_id not in facts.first_bodies:
            yield Violation("I8", order.order_id, f"orders says {order.state}, but nothing was published")
