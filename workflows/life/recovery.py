"""Recovers an order from what the database knows of it. Pure."""

from schemas.activity_io import OrderProjection, OrderSnapshot
from schemas.states import OrderStep
from workflows.life.state import OrderRunState
from workflows.life.steps import NEXT_STEPS


def recover(state: OrderRunState, snapshot: OrderSnapshot) -> None:
    """Sets the run to where the recorded events end: numbers, decided events and step go on from there.

    Args:
        state: of a run that has decided nothing yet.
        snapshot: what the database knows of the order.
    """
    state.is_looked_up = True
    state.last_sequence = snapshot.last_sequence
    state.owes_publication = not snapshot.is_published
    for event in snapshot.decided_events:
        state.remember(event.event_id, event.type, reused=event.reused)
    # Without a number the state is the row's default, and no transition was recorded.
    if snapshot.details is None or snapshot.state is None or snapshot.last_sequence == 0:
        return
    state.details = snapshot.details
    state.state = snapshot.state
    state.reason = snapshot.reason
    state.address_updated_at = snapshot.address_updated_at
    state.tracking_id = snapshot.tracking_id
    # What was recorded and published with VALIDATED stays the truth, whichever run the order is in.
    state.approval_deadline = snapshot.approval_deadline
    state.row = OrderProjection(
        state=snapshot.state,
        details=snapshot.details,
        address_updated_at=snapshot.address_updated_at,
        tracking_id=snapshot.tracking_id,
        reason=snapshot.reason,
        approval_deadline=snapshot.approval_deadline,
        decided_by=snapshot.decided_by,
    )
    if snapshot.state.is_final:
        state.is_late = True
        state.owes_publication = False  # Whoever answers the first late event publishes what is left.
        state.step = OrderStep(snapshot.state.value)
    else:
        state.step = NEXT_STEPS[snapshot.state]
