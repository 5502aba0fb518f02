"""Takes up an order from what the database knows of it. Pure."""

from schemas.activity_io import OrderSnapshot
from schemas.states import OrderStep
from workflows.life.ledger import projection_of
from workflows.life.state import OrderRunState
from workflows.life.steps import NEXT_STEPS


def take_up(state: OrderRunState, snapshot: OrderSnapshot) -> None:
    """Sets the run to where the recorded events end: numbers, decided events and step go on from there."""
    state.is_looked_up = True
    state.last_sequence = snapshot.last_sequence
    for event_id in snapshot.settled_event_ids:
        state.remember(event_id)
    # Without a number the state is a row's default and not a transition that was recorded.
    if snapshot.details is None or snapshot.state is None or snapshot.last_sequence == 0:
        return
    state.details = snapshot.details
    state.order_state = snapshot.state
    state.reason = snapshot.reason
    state.address_updated_at = snapshot.address_updated_at
    state.tracking_id = snapshot.tracking_id
    state.recorded = projection_of(snapshot)
    if snapshot.state.is_final:
        state.is_late = True
        state.step = OrderStep(snapshot.state.value)
    else:
        state.step = NEXT_STEPS[snapshot.state]
