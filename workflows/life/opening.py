"""How an order begins that nobody knows yet and nothing stands against, told before the database is asked. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from schemas.activity_io import OrderSnapshot, ReceiveOrder, ValidationResult
from schemas.states import OrderStep
from workflows.life.batches import next_fitting
from workflows.life.ledger import (
    answer_inbox,
    batch_was_published,
    conclude_validation,
    next_batch,
    receive,
    take_over,
)
from workflows.life.recovery import recover
from workflows.life.state import OrderRunState


@dataclass(frozen=True, slots=True)
class Opening:
    """What is to be recorded at once, and the run as it is where that has been recorded."""

    request: ReceiveOrder
    opened: OrderRunState
    taken: int
    """How many events of the inbox are decided in it."""

    def become(self, state: OrderRunState, opened_at: datetime) -> None:
        """Makes a run what it is after its opening.

        Args:
            state: the run's; events that have come since then wait in its inbox.
            opened_at: when the events were made that are recorded.
        """
        recorded = self.request.made_at(opened_at)
        arrived, milestones = state.inbox[self.taken :], state.milestones
        for name in OrderRunState.model_fields:
            setattr(state, name, getattr(self.opened, name))
        take_over(state, recorded.events)
        state.inbox, state.milestones = [*state.inbox, *arrived], milestones
        batch_was_published(state, recorded, len(state.unpublished))


def opening_of(state: OrderRunState, now: datetime, approval_timeout: timedelta) -> Opening | None:
    """The opening of an order whose ``order.created`` is here; None where it is not, or is refused or held.

    Args:
        state: of a run that has looked nothing up yet; it is left as it is.
        now: the workflow's time.
        approval_timeout: the policy's.
    """
    opened = state.model_copy(deep=True)
    recover(opened, OrderSnapshot())
    answer_inbox(opened, now)
    if opened.step is not OrderStep.RECEIVING:
        return None
    receive(opened, now)
    conclude_validation(opened, ValidationResult(valid=True), now, approval_timeout)
    waiting = len(opened.unpublished)
    batch, size = next_fitting(waiting, lambda count: next_batch(opened, count))
    if size < waiting or opened.is_ended or batch.projection is None:
        return None
    request = ReceiveOrder(
        order_id=batch.order_id, events=batch.events, outcomes=batch.outcomes, projection=batch.projection
    )
    return Opening(request, opened, taken=len(state.inbox))
