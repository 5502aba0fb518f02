"""Orders, events and batches, as tests of an order's journal need them."""

from datetime import UTC, datetime, timedelta

from activities.ports import OrderStore, StoredEvent
from schemas.activity_io import EventOutcome, OrderProjection, PublishEvents
from schemas.event_types import EventType
from schemas.inbound import InboundEvent
from schemas.order import Address, Item, OrderDetails
from schemas.outbound import OrderStateChanged, OutboundEvent
from schemas.states import InboundOutcome, OrderState

NOON = datetime(2026, 1, 31, 12, 0, 0, 123456, tzinfo=UTC)
DETAILS = OrderDetails(
    payment_id="p-1",
    customer_id="Zoë O'Brien",
    currency="EUR",
    amount=1250,
    items=(Item(sku="a", quantity=2, unit_amount=500), Item(sku="b", quantity=1, unit_amount=250)),
    address=Address(street="1 Long Road", zip_code="12345"),
)


def reached(order_id: str, sequence: int, state: OrderState, previous: OrderState | None = None) -> OrderStateChanged:
    return OrderStateChanged(
        order_id=order_id,
        sequence=sequence,
        previous_state=previous,
        state=state,
        occurred_at=NOON + timedelta(seconds=sequence),
        payment_id="p-1",
        amount=1250,
        currency="EUR",
    )


def outcome_of(event_id: str, outcome: InboundOutcome = InboundOutcome.APPLIED) -> EventOutcome:
    return EventOutcome(event_id=event_id, type=EventType.ORDER_APPROVED, outcome=outcome, at=NOON)


def batch(order_id: str, *events: OutboundEvent, outcomes: tuple[EventOutcome, ...] = ()) -> PublishEvents:
    states = [event.state for event in events if isinstance(event, OrderStateChanged)]
    projection = OrderProjection(state=states[-1], details=DETAILS) if states else None
    return PublishEvents(order_id=order_id, events=events, outcomes=outcomes, projection=projection)


async def received_and_validated(store: OrderStore, order_id: str) -> tuple[StoredEvent, ...]:
    return await store.record(
        batch(
            order_id,
            reached(order_id, 1, OrderState.RECEIVED),
            reached(order_id, 2, OrderState.VALIDATED, OrderState.RECEIVED),
            outcomes=(outcome_of("e-1"),),
        )
    )


async def ended(store: OrderStore, order_id: str) -> None:
    await received_and_validated(store, order_id)
    await store.record(batch(order_id, reached(order_id, 3, OrderState.CANCELLED, OrderState.VALIDATED)))
    await store.mark_published(order_id, 3)


def late(event_id: str, event_type: str = EventType.ORDER_CANCELLED) -> InboundEvent:
    return InboundEvent(event_id=event_id, type=event_type, body={})
