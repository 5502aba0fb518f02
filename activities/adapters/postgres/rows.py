"""From models to rows and back: pure, no statement is executed here."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

from sqlalchemy import RowMapping, Text, bindparam

from activities import journal
from activities.audit_chain import sealed
from activities.ports import StoredEvent
from schemas.activity_io import EventOutcome, OrderProjection
from schemas.order import Address, Adjustment, Item, OrderDetails
from schemas.outbound import OUTBOUND_EVENT, OutboundEvent, outbound_event_id
from schemas.states import OrderState, ReasonCode

ORDER_ID: Final = bindparam("order_id", type_=Text)


class Columns(Protocol):
    """A row, as SQLAlchemy's mappings and the driver's records are."""

    def __getitem__(self, name: str, /) -> Any:
        """The value of a column."""
        ...


def digest(event_id: str) -> bytes:
    """The key by which an inbound event is looked up.

    An id may be longer than an index takes (2,704 bytes: a third of a page), so its SHA-256 stands in the key.
    """
    return hashlib.sha256(event_id.encode("utf-8", "surrogatepass")).digest()


def detail_values(details: OrderDetails) -> dict[str, Any]:
    """The columns of `orders` that an order's details give; documents as text."""
    return {
        "address_json": details.address.model_dump_json(exclude_none=True),
        "items_json": _json_list(details.items),
        "adjustments_json": _json_list(details.adjustments),
        "amount": details.amount,
        "is_priced": details.is_priced,
        "currency": details.currency,
        "customer_id": details.customer_id,
        "payment_id": details.payment_id,
    }


def projection_values(projection: OrderProjection) -> dict[str, Any]:
    """The columns of `orders` after a batch, but for its sequence."""
    return {
        # An order whose first events are refusals has no state of its own yet.
        "keeps_state": projection.state is None,
        "state": str(projection.state or OrderState.RECEIVED),
        "tracking_id": projection.tracking_id,
        "reason": None if projection.reason is None else str(projection.reason),
        "address_updated_at": projection.address_updated_at,
        "approval_deadline": projection.approval_deadline,
        "decided_by": projection.decided_by,
        **detail_values(projection.details),
    }


def _json_list(models: Sequence[Item | Adjustment]) -> str:
    return f"[{','.join(one.model_dump_json() for one in models)}]"


def details(row: RowMapping) -> OrderDetails:
    """The order's details, from its row in `orders`."""
    return OrderDetails(
        payment_id=row["payment_id"],
        customer_id=row["customer_id"],
        currency=row["currency"],
        amount=row["amount"],
        is_priced=row["is_priced"],
        items=tuple(Item.model_validate(item) for item in row["items_json"]),
        adjustments=tuple(Adjustment.model_validate(one) for one in row["adjustments_json"]),
        address=Address.model_validate(row["address_json"]),
    )


def state_of(payload: str | None) -> OrderState | None:
    """The state that a published transition led to; None where there is none."""
    return None if payload is None else OUTBOUND_EVENT.validate_json(payload).state


def reason_of(text: str | None) -> ReasonCode | None:
    """The reason in a column of that name."""
    return None if text is None else ReasonCode(text)


def event_arrays(fresh: Sequence[OutboundEvent]) -> dict[str, list[Any]]:
    """The new rows of `events`, as parameters of `order_statements.RECORDS`."""
    stored = [journal.stored(event) for event in fresh]
    seals = [sealed(event.payload_json, event.traceparent) for event in stored]
    return {
        "sequences": [event.sequence for event in stored],
        "event_ids": [outbound_event_id(event.order_id, event.sequence) for event in stored],
        "types": [str(event.type) for event in stored],
        "payloads": [event.payload_json for event in stored],
        "times": [event.occurred_at for event in fresh],
        "traceparents": [event.traceparent for event in stored],
        "salts": [one.salt for one in seals],
        "payload_digests": [one.payload_digest for one in seals],
        "entries": [one.entry for one in seals],
    }


def stored_in(order_id: str, values: Mapping[str, Any]) -> tuple[StoredEvent, ...]:
    """The events that parameters of `event_arrays` record."""
    columns = (values[name] for name in ("sequences", "types", "payloads", "traceparents"))
    return tuple(StoredEvent(order_id, *row) for row in zip(*columns, strict=True))


def outcome_arrays(outcomes: Sequence[EventOutcome]) -> dict[str, list[Any]]:
    """The new rows of `inbound_events`, likewise."""
    return {
        "inbound_digests": [digest(one.event_id) for one in outcomes],
        "inbound_ids": [one.event_id for one in outcomes],
        "inbound_types": [one.type for one in outcomes],
        "outcomes": [str(one.outcome) for one in outcomes],
        "reasons": [None if one.reason is None else str(one.reason) for one in outcomes],
        "decided_at": [one.at for one in outcomes],
        "body_digests": [None if one.body_digest is None else bytes.fromhex(one.body_digest) for one in outcomes],
        "outcome_sequences": [one.sequence for one in outcomes],
    }
