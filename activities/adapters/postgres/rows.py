"""From models to rows and back: pure, no statement is executed here."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import ARRAY, DateTime, Integer, LargeBinary, RowMapping, Text, bindparam, cast, func, select
from sqlalchemy.dialects.postgresql import JSON, Insert, insert
from sqlalchemy.types import TypeEngine

from activities import journal
from activities.adapters.postgres.schema import events, inbound_events
from schemas.activity_io import EventOutcome
from schemas.order import Address, Adjustment, Item, OrderDetails
from schemas.outbound import OUTBOUND_EVENT, OutboundEvent, outbound_event_id
from schemas.states import OrderState, ReasonCode

ORDER_ID: Final = bindparam("order_id", type_=Text)


def digest(event_id: str) -> bytes:
    """The key by which an inbound event is looked up.

    An id may be longer than an index takes (2,704 bytes: a third of a page), so its SHA-256 stands in the key.
    """
    return hashlib.sha256(event_id.encode("utf-8", "surrogatepass")).digest()


def order_values(order_id: str, details: OrderDetails, state: OrderState, *, sequence: int) -> dict[str, Any]:
    """The columns of `orders` that an order's details give."""
    return {
        "id": order_id,
        "state": state,
        "address_json": details.address.model_dump(mode="json", exclude_none=True),
        "items_json": [item.model_dump(mode="json") for item in details.items],
        "adjustments_json": [one.model_dump(mode="json") for one in details.adjustments],
        "amount": details.amount,
        "is_priced": details.is_priced,
        "currency": details.currency,
        "customer_id": details.customer_id,
        "payment_id": details.payment_id,
        "last_sequence": sequence,
    }


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


def _insert_from_arrays(table: Any, columns: Mapping[str, tuple[TypeEngine[Any], TypeEngine[Any] | None]]) -> Insert:
    """``INSERT … SELECT FROM unnest(…) ON CONFLICT DO NOTHING``: one statement, prepared once, for any number of rows.

    Args:
        table: where.
        columns: for each column the type it is sent as, and the one it is cast to; None where that is the same.
    """
    arrays = [cast(bindparam(name, type_=ARRAY(sent)), ARRAY(sent)) for name, (sent, _) in columns.items()]
    source = func.unnest(*arrays).table_valued(*columns).render_derived(name="new")
    values = [source.c[name] if to is None else cast(source.c[name], to) for name, (_, to) in columns.items()]
    return insert(table).from_select(list(columns), select(*values)).on_conflict_do_nothing()


INSERT_EVENTS: Final = _insert_from_arrays(
    events,
    {
        "order_id": (Text(), None),
        "sequence": (Integer(), None),
        "event_id": (Text(), None),
        "type": (Text(), None),
        # Sent as text: the bytes are fixed, and the type keeps them as they are (jsonb would not).
        "payload_json": (Text(), JSON()),
        "ts": (DateTime(timezone=True), None),
    },
)
"""Appends to the audit table; see `event_arrays`."""

INSERT_INBOUND_EVENTS: Final = _insert_from_arrays(
    inbound_events,
    {
        "order_id": (Text(), None),
        "event_digest": (LargeBinary(), None),
        "event_id": (Text(), None),
        "type": (Text(), None),
        "outcome": (Text(), None),
        "reason": (Text(), None),
        "ts": (DateTime(timezone=True), None),
        "body_digest": (LargeBinary(), None),
        "sequence": (Integer(), None),
    },
)
"""Keeps the first outcome of each inbound event, by its id and type; see `outcome_arrays`."""


def event_arrays(fresh: Sequence[OutboundEvent]) -> dict[str, list[Any]]:
    """The parameters of `INSERT_EVENTS`."""
    stored = [journal.stored(event) for event in fresh]
    return {
        "order_id": [event.order_id for event in stored],
        "sequence": [event.sequence for event in stored],
        "event_id": [outbound_event_id(event.order_id, event.sequence) for event in stored],
        "type": [str(event.type) for event in stored],
        "payload_json": [event.payload_json for event in stored],
        "ts": [event.occurred_at for event in fresh],
    }


def outcome_arrays(order_id: str, outcomes: Sequence[EventOutcome]) -> dict[str, list[Any]]:
    """The parameters of `INSERT_INBOUND_EVENTS`."""
    return {
        "order_id": [order_id] * len(outcomes),
        "event_digest": [digest(one.event_id) for one in outcomes],
        "event_id": [one.event_id for one in outcomes],
        "type": [one.type for one in outcomes],
        "outcome": [str(one.outcome) for one in outcomes],
        "reason": [None if one.reason is None else str(one.reason) for one in outcomes],
        "ts": [one.at for one in outcomes],
        "body_digest": [None if one.body_digest is None else bytes.fromhex(one.body_digest) for one in outcomes],
        "sequence": [one.sequence for one in outcomes],
    }
