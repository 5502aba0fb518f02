"""What the read side hands out: rows as values, for people and programs. Pure."""

import json
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import RowMapping

from activities.adapters.postgres import rows
from schemas.activity_io import EventOutcome
from schemas.order import OrderDetails
from schemas.states import OrderState, ReasonCode


@dataclass(frozen=True, slots=True)
class OrderRecord:
    """A row of `orders`."""

    order_id: str
    state: OrderState
    details: OrderDetails
    tracking_id: str | None
    reason: ReasonCode | None
    last_sequence: int
    created_at: datetime
    updated_at: datetime
    approval_deadline: datetime | None = None
    """Until when approval was awaited, on the order's own clock; None before VALIDATED, and of orders that an earlier
    version of ours validated."""
    decided_by: str | None = None
    """Who approved or cancelled the order, where the message said so."""
    archived_sequence: int = 0
    """Its events up to this one are in the archive; 0 for none."""
    archived_states: tuple[OrderState, ...] = ()
    """The states that these led to, in order."""
    archived_in: tuple[str, ...] = ()
    """The archive's files that have them."""
    forgotten_at: datetime | None = None
    """When personal data was erased from it; None where it was not."""

    @property
    def awaited_until(self) -> datetime:
        """By what orders that await approval are sorted; see `schema.AWAITED_UNTIL`."""
        return self.approval_deadline or self.updated_at


def order_record(row: RowMapping) -> OrderRecord:
    """A row of `orders`, read."""
    return OrderRecord(
        order_id=row["id"],
        state=OrderState(row["state"]),
        details=rows.details(row),
        tracking_id=row["tracking_id"],
        reason=rows.reason_of(row["reason"]),
        last_sequence=row["last_sequence"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        approval_deadline=row["approval_deadline"],
        decided_by=row["decided_by"],
        archived_sequence=row["archived_sequence"],
        archived_states=tuple(OrderState(state) for state in row["archived_states"]),
        archived_in=tuple(row["archived_in"]),
        forgotten_at=row["forgotten_at"],
    )


def event_outcome(row: RowMapping) -> EventOutcome:
    """A row of `inbound_events`, read."""
    # By way of JSON, where the model's strictness allows words for enums.
    names = ("event_id", "type", "outcome", "reason", "sequence")
    digest = row["body_digest"]
    values = {name: row[name] for name in names} | {
        "at": row["ts"].isoformat(),
        "body_digest": None if digest is None else bytes(digest).hex(),
    }
    return EventOutcome.model_validate_json(json.dumps(values))
