"""What Postgres has recorded of an order."""

from dataclasses import dataclass

from activities.adapters.postgres.reader import PAGE_MAX, JournalRecord, OrderRecord
from activities.ports import DatabaseUnavailableError, PaymentClaim, StoredEvent
from orders.clients.database import order_reader, postgres_unreachable
from orders.errors import UnreachableError
from orders.settings import Settings
from schemas.activity_io import EventOutcome


@dataclass(frozen=True, slots=True)
class DatabaseSide:
    """What was found."""

    order: OrderRecord | None
    journal: JournalRecord | None
    events: tuple[StoredEvent, ...]
    """The audit table's rows, in order."""
    inbound: tuple[EventOutcome, ...]
    """What became of inbound events, by time."""
    payment: PaymentClaim | None
    cut: bool
    """Whether there are more events or inbound events than one page holds."""


async def look_in_postgres(settings: Settings, order_id: str) -> DatabaseSide:
    """Reads everything about the order.

    Raises:
        UnreachableError: Postgres does not answer, or lacks our tables.
    """
    try:
        async with order_reader(settings) as reader:
            order = await reader.order(order_id)
            journal = await reader.journal(order_id)
            events = await reader.events(order_id)
            inbound = await reader.inbound_events(order_id)
            payment = None if order is None else await reader.payment(order.details.payment_id)
    except DatabaseUnavailableError as error:
        raise UnreachableError(f"{postgres_unreachable(settings)} ({error})") from error
    return DatabaseSide(order, journal, events, inbound, payment, cut=PAGE_MAX in (len(events), len(inbound)))
