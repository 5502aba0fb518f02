"""The run of an order, from its first event to its last: what frames the steps of `workflows.walk`."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any, Final, TypeVar

from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from schemas.event_types import TYPE_OF_SIGNAL
    from schemas.states import OrderStep
    from schemas.workflow_io import EventQuery, EventStatus, OrderResult, OrderStatus
    from workflows.arrivals import cancel_requested, read_event, read_milestone
    from workflows.calls import OrderCalls
    from workflows.life.ledger import answer_inbox, reach_milestone
    from workflows.life.state import OrderRunInput, with_undecided_only
    from workflows.life.steps import STEPS
    from workflows.life.views import event_status_of, result_of, status_of, summary_of
    from workflows.names import (
        EVENT_QUERY,
        ORDER_WORKFLOW,
        SHIPPING_MILESTONE_SIGNAL,
        SHIPPING_TASK_QUEUE,
        STATUS_QUERY,
    )
    from workflows.policies import CONTINUED_AGAIN_AFTER_EVENTS, PUBLISHED_WITHIN
    from workflows.publisher import Publisher
    from workflows.search_attributes import changed_attributes, is_shown
    from workflows.walk import Run, Walk

Answer = TypeVar("Answer")

ORPHANED_EVENTS: Final = "OrphanedEvents"
"""Failure type of a run whose order never came. It fails, so that a later ``order.created`` starts a new run."""


@workflow.defn(name=ORDER_WORKFLOW)
class OrderWorkflow(Run):
    """Runs one order.

    Three coroutines share one state. `_live` walks through the steps; `_decide_arrivals` decides what comes in
    meanwhile; the publisher hands out what the two have decided. Signal handlers only put into the inbox. `run` ends
    when the last step is reached and nothing is left to decide or to publish.
    """

    @workflow.init
    def __init__(self, request: OrderRunInput) -> None:
        self._policy = request.policy
        self._state = request.state()
        self._request = request.model_copy(update={"continued": None})
        self._publisher = Publisher(self._state, self._policy)
        shipping_task_queue = request.shipping_task_queue or SHIPPING_TASK_QUEUE
        self._calls = OrderCalls(request.order_id, request.policy, shipping_task_queue)
        self._walk = Walk(self._state, self._policy, self._calls, self)
        self._is_deciding = False
        self._is_continuing = False
        self._continues_from_events = 0
        """The length of the history from which on the run may continue as a new one. Its state may not have fitted
        into a payload; it gets smaller as what was decided is published."""
        self._continues_once_published = False
        """Whether it may also continue as soon as nothing waits to be published: the state did not fit with that. A run
        that has taken all the signals that Temporal allows comes to no further events before it has continued."""

    @workflow.run
    async def run(self, request: OrderRunInput) -> OrderResult:  # noqa: ARG002 -- `__init__` has taken it
        """Runs the order to its end.

        Raises:
            ApplicationError: of type `ORPHANED_EVENTS` where no ``order.created`` came in time.
        """
        tasks = [asyncio.create_task(part()) for part in (self._live, self._decide_arrivals, self._publisher.run)]
        await self._until(
            lambda: self._is_continuing or self._publisher.is_overtaken or (self._state.is_ended and self._is_quiet()),
            tasks,
        )
        # From the check above to the end of this method nothing is awaited: no event can come in between.
        if self._publisher.is_overtaken:
            undecided = self._request.carrying(with_undecided_only(self._state))
            if not undecided.fits:
                raise self._publisher.written_elsewhere()
            workflow.continue_as_new(undecided)
        if self._is_continuing:
            workflow.continue_as_new(self._request.carrying(self._state))
        if self._state.step is OrderStep.ORPHANED:
            raise ApplicationError(
                "events came for this order, but no order.created within the time to live; each was refused as "
                "unknown_order, and a later order.created starts the order",
                type=ORPHANED_EVENTS,
                non_retryable=True,
            )
        return result_of(self._state)

    @workflow.signal(dynamic=True)
    def take_signal(self, name: str, arguments: Sequence[RawValue]) -> None:
        """Takes every signal: those of the inbound event types, and the milestones of the shipping attempts.

        One handler for raw values instead of one for each signal: the SDK drops a signal whose argument does not
        decode, and fails the workflow task for ever on a signal with an argument too many. Here both are answered.
        """
        argument = arguments[0] if arguments else None
        if name in TYPE_OF_SIGNAL:
            self._state.inbox.append(read_event(TYPE_OF_SIGNAL[name], argument))
        elif name == SHIPPING_MILESTONE_SIGNAL:
            milestone = read_milestone(argument)
            if milestone is not None:
                self._state.milestones.append(milestone)
        else:
            workflow.logger.warning("order.signal.unknown")

    @workflow.query(name=STATUS_QUERY)
    def status(self) -> OrderStatus:
        """Where the order is and what it waits for."""
        return status_of(self._state)

    @workflow.query(name=EVENT_QUERY)
    def event(self, asked: EventQuery) -> EventStatus:
        """Whether an inbound event is held, and what the order waits for."""
        return event_status_of(self._state, asked)

    # The three coroutines, and what ends them ------------------------------------------------------------------------

    async def _live(self) -> None:
        """Walks through the steps, from wherever the state says that the run is."""
        self.show()
        if not self._state.is_looked_up:
            await self._walk.look_up()
        if self._state.is_late:
            self.show()
            await self._walk.answer_as_late()
        self._is_deciding = True
        while (method := STEPS[self._state.step].method) is not None and not self._is_continuing:
            self.show()
            if self._state.owes_publication and STEPS[self._state.step].publishes_first:
                await self.outlast(self.transitions_published())
            await getattr(self._walk, method)()
        self.show()
        if not self._is_continuing:
            # What is left is to answer and to publish, for as long as the database is away.
            await self.outlast(workflow.wait_condition(lambda: False))

    async def _decide_arrivals(self) -> None:
        while True:
            await workflow.wait_condition(
                lambda: self._is_deciding and bool(self._state.inbox or self._state.milestones)
            )
            self.decide()

    async def _until(self, condition: Callable[[], bool], tasks: Sequence[asyncio.Task[None]]) -> None:
        """Waits for the condition, and raises what a coroutine of the run raises meanwhile."""
        while True:
            for task in tasks:
                if _has_failed(task):
                    task.result()
            if condition():
                return
            try:
                await workflow.wait_condition(lambda: condition() or any(_has_failed(task) for task in tasks))
            except asyncio.CancelledError:
                # Whoever presses "cancel" in the Temporal UI means the order. Ending the run instead would lose the
                # events that it has accepted; so it is a request like any other, and refused after the charge.
                self._state.inbox.append(cancel_requested())

    def _is_quiet(self) -> bool:
        """Whether every event is answered and every answer is out."""
        return not self._state.inbox and self._publisher.is_idle and workflow.all_handlers_finished()

    # What the steps need of the run ----------------------------------------------------------------------------------

    def decide(self) -> None:
        """Decides all events that have arrived, in order of arrival; nothing while the run prepares to continue."""
        if not self._is_deciding:
            return
        state, now = self._state, workflow.now()
        milestones, state.milestones = state.milestones, []
        for milestone in milestones:
            reach_milestone(state, milestone.state, milestone.tracking_id, now)
        answer_inbox(state, now)
        self.show()  # An order that is cancelled ends without another step.

    def show(self) -> None:
        """Lets operators see where the order is: in the Temporal UI, and by its search.

        This costs no call of its own: Temporal gets it with the commands of the same workflow task.
        """
        workflow.set_current_details(summary_of(self._state))
        if self._policy.search_attributes and is_shown(self._state):
            shown = workflow.info().typed_search_attributes
            workflow.upsert_search_attributes(changed_attributes(self._state, shown, workflow.now()))

    async def transitions_published(self) -> None:
        """Waits until every transition made so far is recorded and acknowledged; other events may still wait."""
        await workflow.wait_condition(lambda: not self._state.has_unpublished_transitions)

    # Continuing as a new run -----------------------------------------------------------------------------------------

    def continuation_is_due(self) -> bool:
        """Whether Temporal wishes that the run continues as a new one, and it is not known to be too large for that."""
        info = workflow.info()
        is_small_again = info.get_current_history_length() >= self._continues_from_events or (
            self._continues_once_published and self._publisher.is_idle
        )
        return info.is_continue_as_new_suggested() and is_small_again

    async def continue_if_due(self) -> bool:
        """Prepares to continue as a new run where Temporal wishes it; whether the run is ready to.

        Nothing new is decided until every decision is published, or for as long as one may wait for that; what arrives
        meanwhile is carried over.
        """
        if not self.continuation_is_due():
            return False
        was_deciding, self._is_deciding = self._is_deciding, False
        with suppress(asyncio.TimeoutError):
            await workflow.wait_condition(lambda: self._publisher.is_idle, timeout=PUBLISHED_WITHIN)
        self._is_continuing = self._request.carrying(self._state).fits
        if not self._is_continuing:
            self._continues_once_published = not self._publisher.is_idle
            self._continues_from_events = workflow.info().get_current_history_length() + CONTINUED_AGAIN_AFTER_EVENTS
            self._is_deciding = was_deciding
            self.decide()
        return self._is_continuing

    async def outlast(self, work: Coroutine[Any, Any, Answer]) -> Answer:
        """Waits for work that takes for as long as something is away, while events may come without a pause.

        Where the run has to continue as a new one before, this never returns, and the next run begins the work anew. So
        it has to be work that may be done twice, as all is that an activity does. And the state may not have changed
        since the step's method began, but so that the method goes on from there when it is called again.
        """
        task = asyncio.create_task(work)
        while True:
            await workflow.wait_condition(lambda: task.done() or self.continuation_is_due())
            if task.done():
                return task.result()
            if await self.continue_if_due():
                await workflow.wait_condition(lambda: False)


def _has_failed(task: asyncio.Task[None]) -> bool:
    return task.done() and task.exception() is not None
