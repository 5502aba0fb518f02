"""One order: how far it is, everything that happened to it, and what can be done now. Pure."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from activities.adapters.postgres.reader import OrderRecord
from activities.ports import PaymentClaim, StoredEvent
from orders.operations.explain.database_side import DatabaseSide
from orders.signatures.contents import vouched_words
from orders.web.console.rendering.money import money
from orders.web.console.rendering.words import PAYMENTS, STATES, event_words, reason_words
from orders.web.console.views.waiting import address_line
from schemas.event_types import EventType
from schemas.order import Address, OrderDetails
from schemas.outbound import OutboundType
from schemas.states import OrderState, OrderStep
from workflows.life.steps import NEXT_STEPS, STEPS, Verdict

_WAY: Final = (
    (OrderState.RECEIVED, "Received"),
    (OrderState.VALIDATED, "Checked"),
    (OrderState.APPROVED, "Approved"),
    (OrderState.PAID, "Paid"),
    (OrderState.PACKAGE_PREPARED, "Packed"),
    (OrderState.CARRIER_DISPATCHED, "With the carrier"),
    (OrderState.SHIPPED, "Shipped"),
    (OrderState.COMPLETED, "Done"),
)
"""The way of an order that nothing goes wrong with."""
_OTHER_ENDS: Final = {
    OrderState.REJECTED: "Refused",
    OrderState.CANCELLED: "Cancelled",
    OrderState.EXPIRED: "Expired",
    OrderState.PAYMENT_DECLINED: "Payment declined",
    OrderState.SHIPPING_FAILED: "Shipping failed",
    OrderState.REFUNDED: "Refunded",
}

_ADDRESS_LABELS: Final = {
    "street": "Street and number",
    "zip_code": "Post code",
    "city": "City",
    "state": "State or region",
    "country": "Country",
}


@dataclass(frozen=True, slots=True)
class Mark:
    """A step of the line."""

    name: str
    standing: Literal["done", "now", "failed", "todo"]
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class JournalLine:
    """An event of the journal, which is what was published on order.events."""

    sequence: int
    at: datetime
    state: OrderState | None
    what: str
    reason: str | None
    cause: str | None
    """The inbound event that led to it, in words; None where time or our own work did."""
    cause_id: str | None
    by: str | None
    vouched: str
    """What vouches for that, in words."""
    note: str | None


@dataclass(frozen=True, slots=True)
class Payment:
    """The order's payment, as far as Postgres knows it."""

    payment_id: str
    words: str
    reason: str | None
    amount: str | None
    of_other_order: str | None
    """Which order holds the payment id, where it is another."""


@dataclass(frozen=True, slots=True)
class AddressLine:
    """A line of the form for another address."""

    name: str
    label: str
    value: str


def address_lines(address: Address) -> tuple[AddressLine, ...]:
    """The form's lines, with what the order has."""
    return tuple(AddressLine(name, label, getattr(address, name) or "") for name, label in _ADDRESS_LABELS.items())


@dataclass(frozen=True, slots=True)
class OrderPage:
    """What Postgres knows of the order, for its page; Kafka and Temporal are asked apart, as they may take long."""

    order_id: str
    record: OrderRecord | None
    line: tuple[Mark, ...]
    journal: tuple[JournalLine, ...]
    cut: bool
    payment: Payment | None
    can: frozenset[EventType]
    """What would be applied if it came now."""

    @property
    def state(self) -> OrderState | None:
        """The recorded state; None where nothing is recorded."""
        return None if self.record is None else self.record.state

    @property
    def is_over(self) -> bool:
        """Whether nothing comes of it any more."""
        return self.state is not None and self.state.is_final

    @property
    def words(self) -> str:
        """Where it is, in a sentence."""
        if self.record is None:
            return "Nothing of it is recorded: no order.created of it was accepted."
        told = STATES[self.record.state]
        why = reason_words(self.record.reason)
        same = why is None or why == told or self.record.state is OrderState.CANCELLED
        return f"{told[0].upper()}{told[1:]}{'' if same else f': {why}'}."

    @property
    def archived(self) -> str | None:
        """Which of its events are in the archive, in a sentence; None where none is."""
        if self.record is None or not self.record.archived_sequence:
            return None
        through, files = self.record.archived_sequence, self.record.archived_in
        events = "Event 1 was" if through == 1 else f"Events 1 to {through} were"
        where = f"the file{'s' if len(files) > 1 else ''} {', '.join(files)}" if files else "a file"
        return f"{events} moved into the archive: {where}."

    @property
    def amount(self) -> str | None:
        """What it costs; None where it does not say."""
        details = self.details
        return money(details.amount, details.currency) if details and details.is_priced else None

    @property
    def details(self) -> OrderDetails | None:
        """What it is, as accepted."""
        return None if self.record is None else self.record.details

    @property
    def lines(self) -> tuple[tuple[str, str], ...]:
        """Each item and adjustment with its money."""
        details = self.details
        if details is None:
            return ()
        items = [
            (
                f"{one.quantity:,} \N{MULTIPLICATION SIGN} {one.sku}",
                money(one.quantity * one.unit_amount, details.currency),
            )
            for one in details.items
        ]
        more = [
            (f"{one.kind}{f', {one.description}' if one.description else ''}", money(one.amount, details.currency))
            for one in details.adjustments
        ]
        return (*items, *more)

    @property
    def address(self) -> str | None:
        """Where it goes."""
        return address_line(self.details.address) if self.details else None

    @property
    def deadline(self) -> datetime | None:
        """Until when it waits for approval; None where it does not wait, or nobody recorded it."""
        waits = self.record is not None and self.record.state is OrderState.VALIDATED
        return self.record.approval_deadline if self.record is not None and waits else None


def order_page(order_id: str, known: DatabaseSide) -> OrderPage:
    """The page from what Postgres knows."""
    journal = tuple(_journal_line(event) for event in known.events)
    state = known.order.state if known.order else None
    return OrderPage(
        order_id=order_id,
        record=known.order,
        line=tuple(steps_line(state, journal, known.order.archived_states if known.order else ())),
        journal=journal,
        cut=known.cut,
        payment=_payment(order_id, known.payment),
        can=what_can_be_done(state),
    )


def steps_line(
    state: OrderState | None, journal: Sequence[JournalLine], archived_states: Sequence[OrderState] = ()
) -> Iterator[Mark]:
    """The order's way: what is done and since when, where it is, and what would come next.

    Args:
        state: the recorded one.
        journal: what happened.
        archived_states: what it went through as told by events that are in the archive, where their times are.
    """
    reached: dict[OrderState, datetime | None] = dict.fromkeys(archived_states)
    reached |= {line.state: line.at for line in reversed(journal) if line.state is not None}
    ended_otherwise = [(name, one) for one, name in _OTHER_ENDS.items() if one in reached]
    now_marked = bool(ended_otherwise) or state is None
    for one, name in _WAY:
        if one in reached:
            yield Mark(name, "done", reached[one])
        elif not ended_otherwise:
            yield Mark(name, "todo" if now_marked else "now")
            now_marked = True
    for name, one in ended_otherwise:
        # The money is back: that went well, whatever went wrong before.
        yield Mark(name, "done" if one is OrderState.REFUNDED else "failed", reached[one])


def what_can_be_done(state: OrderState | None) -> frozenset[EventType]:
    """The events that the rules of the order's step apply; what the workflow itself decides when one comes counts."""
    if state is None:
        return frozenset()
    step = OrderStep(state) if state.is_final else NEXT_STEPS[state]
    return frozenset(one for one, rule in STEPS[step].rules.items() if rule is Verdict.APPLY)


def _journal_line(event: StoredEvent) -> JournalLine:
    body: dict[str, Any] = json.loads(event.payload_json)
    cause = body.get("cause") or {}
    moved = event.type == OutboundType.STATE_CHANGED
    return JournalLine(
        sequence=event.sequence,
        at=datetime.fromisoformat(body["occurred_at"]),
        state=OrderState(body["state"]) if moved else None,
        what=_what(event.type, body),
        reason=reason_words(body.get("reason")),
        cause=event_words(cause["type"]) if cause else None,
        cause_id=cause.get("event_id"),
        by=cause.get("by"),
        vouched=vouched_words(cause.get("verified_by")),
        note=cause.get("note"),
    )


def _what(event_type: str, body: dict[str, Any]) -> str:
    if event_type == OutboundType.ADDRESS_CHANGED:
        parts = [str(part) for part in body["address"].values() if part]
        return f"goes elsewhere now: {', '.join(parts)}"
    if event_type == OutboundType.EVENT_REJECTED:
        return f"{event_words(body['cause']['type'])} refused"
    if event_type != OutboundType.STATE_CHANGED:
        return event_type  # Of a later version.
    tracking = body.get("tracking_id")
    return STATES[OrderState(body["state"])] + (f", tracking {tracking}" if tracking else "")


def _payment(order_id: str, claim: PaymentClaim | None) -> Payment | None:
    if claim is None:
        return None
    return Payment(
        payment_id=claim.payment_id,
        words=PAYMENTS[claim.status],
        reason=reason_words(claim.reason),
        amount=money(claim.amount, claim.currency),
        of_other_order=None if claim.order_id == order_id else claim.order_id,
    )
