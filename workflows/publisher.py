"""The way out of a workflow: one coroutine hands all decisions that wait to ``publish_events``, batch by batch."""

from typing import Final

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from activities.errors import SEQUENCE_CONFLICT
    from activities.orders import OrderActivities
    from schemas.order import OrderPolicy
    from schemas.outbound import OrderStateChanged, OutboundEvent
    from schemas.states import OrderState
    from workflows.life.batches import next_fitting
    from workflows.life.ledger import batch_was_published, next_batch, take_over
    from workflows.life.state import OrderRunState
    from workflows.policies import CONFLICTS_MAX, until_it_works

ORDER_WRITTEN_ELSEWHERE: Final = "OrderWrittenElsewhere"
"""Failure type of a run that cannot go on, because another run of the same order writes the order's events."""


class Publisher:
    """Publishes what the run decides, in order, one batch at a time.

    One batch at a time, because the order of events is the order of batches. Many decisions in a batch, because each
    batch costs an activity.
    """

    def __init__(self, state: OrderRunState, policy: OrderPolicy) -> None:
        self._state = state
        self._policy = policy
        self.is_overtaken = False
        """Whether another run has written events of the order meanwhile: this one must begin again from the records."""

    @property
    def is_idle(self) -> bool:
        """Whether everything that was decided is recorded and acknowledged."""
        return not self._has_something

    async def run(self) -> None:
        """Publishes until the run is overtaken; mostly for ever.

        Raises:
            ApplicationError: of type `ORDER_WRITTEN_ELSEWHERE`, when the order's numbers keep being taken by others.
        """
        while not self.is_overtaken:
            await workflow.wait_condition(lambda: self._has_something)
            await self._publish_next()

    @property
    def _has_something(self) -> bool:
        return bool(self._state.unpublished) or self._state.owes_publication

    async def _publish_next(self) -> None:
        batch, size = next_fitting(len(self._state.unpublished), lambda count: next_batch(self._state, count))
        says_shipped = any(_is_shipped(event) for event in batch.events)
        activity = OrderActivities.mark_order_shipped if says_shipped else OrderActivities.publish_events
        try:
            published = await workflow.execute_activity_method(activity, batch, **until_it_works(self._policy))
        except ActivityError as error:
            if isinstance(error.cause, ApplicationError) and error.cause.type == SEQUENCE_CONFLICT:
                self._note_conflict(error)
                return
            # Nothing else may stop the way out: a failure that is not retried by the activity is retried here.
            workflow.logger.warning("order.events.publish_failed", exc_info=error)
            await workflow.sleep(self._policy.retry_maximum_interval)
            return
        if published.recorded_earlier:
            take_over(self._state, published.recorded_earlier)
        else:
            batch_was_published(self._state, batch, size)

    def _note_conflict(self, error: ActivityError) -> None:
        self._state.conflicts += 1
        if self._state.conflicts > CONFLICTS_MAX:
            raise self.written_elsewhere() from error
        self.is_overtaken = True

    def written_elsewhere(self) -> ApplicationError:
        """The failure of a run that cannot go on."""
        return ApplicationError(
            f"another run writes the events of order {self._state.order_id}; this one stopped so that the next event "
            "of the order starts a run that goes on from what is recorded",
            type=ORDER_WRITTEN_ELSEWHERE,
            non_retryable=True,
        )


def _is_shipped(event: OutboundEvent) -> bool:
    return isinstance(event, OrderStateChanged) and event.state is OrderState.SHIPPED
