"""What a run that is gone has left in the database, recorded as it would have done."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from schemas.activity_io import EventOutcome, OrderProjection, PublishEvents
from schemas.event_types import EventType
from schemas.order import OrderDetails
from schemas.outbound import Cause, OrderStateChanged
from schemas.states import InboundOutcome, OrderState

if TYPE_CHECKING:
    from tests.workflow.workbench.bench import Bench

ROAD = (
    OrderState.RECEIVED,
    OrderState.VALIDATED,
    OrderState.APPROVED,
    OrderState.PAID,
    OrderState.PACKAGE_PREPARED,
    OrderState.CARRIER_DISPATCHED,
    OrderState.SHIPPED,
)
"""The states of the straight road, in their order, but for the end."""


async def left_by_an_ended_run(bench: "Bench", order_id: str, last: OrderState, *, is_published: bool = True) -> None:
    """Records an order's events up to a state of the straight road, as a run would have that is gone.

    Args:
        order_id: the order.
        last: the state.
        is_published: whether that run has also published them.
    """
    causes = {OrderState.RECEIVED: EventType.ORDER_CREATED, OrderState.APPROVED: EventType.ORDER_APPROVED}
    now = await bench.env.get_current_time()
    details = OrderDetails(payment_id=f"pay-{order_id}", amount=1_500)
    for number, state in enumerate(ROAD[: ROAD.index(last) + 1], 1):
        cause = causes.get(state)
        event = OrderStateChanged(
            order_id=order_id,
            sequence=number,
            previous_state=ROAD[number - 2] if number > 1 else None,
            state=state,
            occurred_at=now,
            cause=Cause(event_id=_id_of(cause, order_id), type=cause) if cause else None,
        )
        batch = PublishEvents(
            order_id=order_id,
            events=(event,),
            outcomes=(_applied(cause, order_id, now, number),) if cause else (),
            projection=OrderProjection(state=state, details=details),
        )
        stored = await bench.store.record(batch)
        if is_published:
            await bench.publisher.publish(stored)
            await bench.store.mark_published(order_id, number)


async def recorded_at_another_time(bench: "Bench", order_id: str, state: OrderState) -> None:
    """Records the order's next transition, of time or of our own work, as a killed worker has done for its run."""
    last = bench.store.events_of(order_id)[-1]
    known = bench.store.orders[order_id]
    assert known.details is not None
    moment = await bench.env.get_current_time() - timedelta(seconds=1)
    deadline = moment + bench.policy.approval_timeout if state is OrderState.VALIDATED else None
    event = OrderStateChanged(
        order_id=order_id,
        sequence=last.sequence + 1,
        previous_state=last.state,
        state=state,
        occurred_at=moment,
        payment_id=known.details.payment_id,
        amount=known.details.amount,
        currency=known.details.currency,
        approval_deadline=deadline,
    )
    projection = OrderProjection(state=state, details=known.details, approval_deadline=deadline)
    await bench.store.record(PublishEvents(order_id=order_id, events=(event,), projection=projection))


def _id_of(event_type: EventType, order_id: str) -> str:
    return f"{event_type.value.partition('.')[2]}-{order_id}"


def _applied(event_type: EventType, order_id: str, at: datetime, sequence: int) -> EventOutcome:
    return EventOutcome(
        event_id=_id_of(event_type, order_id),
        type=event_type.value,
        outcome=InboundOutcome.APPLIED,
        at=at,
        sequence=sequence,
    )
