"""What Postgres has recorded of an order."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from activities.adapters.postgres.reader import PAGE_MAX, JournalRecord, OrderRecord
from activities.ports import PaymentClaim, StoredEvent
from orders.clients.opened import Clients
from schemas.activity_io import EventOutcome

NOTED_WITHIN: Final = timedelta(seconds=10)
"""After an order's last change. That its events are published is written down about a second later, with others'."""


@dataclass(frozen=True, slots=True)
class DatabaseSide:
    """What was found in Postgres."""

    order: OrderRecord | None
    journal: JournalRecord | None
    events: tuple[StoredEvent, ...]
    """The audit table's rows, in order."""
    inbound: tuple[EventOutcome, ...]
    """What became of inbound events, by time."""
    payment: PaymentClaim | None
    cut: bool
    """Whether there are more events or inbound events than one page holds."""

    @property
    def unpublished(self) -> int:
        """How many recorded events are not known to be published, though that should be known by now."""
        if self.journal is None:
            return 0
        if self.order is not None and datetime.now(UTC) - self.order.updated_at < NOTED_WITHIN:
            return 0
        return self.journal.last_sequence - self.journal.last_published_sequence


async def look_in_postgres(clients: Clients, order_id: str) -> DatabaseSide:
    """Reads everything about the order.

    Raises:
        UnreachableError: Postgres does not answer, or lacks our tables.
    """
    async with clients.order_reader() as reader:
        order = await reader.order(order_id)
        journal = await reader.journal(order_id)
        events = await reader.events(order_id)
        inbound = await reader.inbound_events(order_id)
        payment = None if order is None else await reader.payment(order.details.payment_id)
    return DatabaseSide(order, journal, events, inbound, payment, cut=PAGE_MAX in (len(events), len(inbound)))
