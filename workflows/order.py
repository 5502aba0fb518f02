"""An order's life, from its first event to its last."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Final, NoReturn

from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from schemas.activity_io import ChargeResult, SettleLateEvents
    from schemas.event_types import SIGNALS
    from schemas.order import OrderDetails
    from schemas.states import OrderState, OrderStep, PaymentStatus, ReasonCode
    from schemas.workflow_io import OrderResult, OrderStatus
    from workflows.arrivals import cancel_requested, read_event, read_milestone
    from workflows.calls import OrderCalls
    from workflows.life.batches import next_fitting
    from workflows.life.ledger import accept_order, change_state, reach_milestone, reject_held, settle_inbox
    from workflows.life.recovery import take_up
    from workflows.life.state import OrderRunInput, OrderRunState, begun_again, carried_bytes
    from workflows.life.views import result_of, status_of, summary_of
    from workflows.names import ORDER_WORKFLOW, SHIPPING_MILESTONE_SIGNAL, SHIPPING_TASK_QUEUE, STATUS_QUERY
    from workflows.patches import RECORDS_FIRST
    from workflows.policies import CARRIED_BYTES_MAX, CARRIED_EVENTS_MAX
    from workflows.publisher import Publisher
    from workflows.search_attributes import changed_attributes

ORPHANED_EVENTS: Final = "OrphanedEvents"
"""Failure type of a run whose order never came. It fails, so that a later ``order.created`` starts a new run."""

_EVENT_TYPES: Final = {signal: event_type for event_type, signal in SIGNALS.items()}


@workflow.defn(name=ORDER_WORKFLOW)
class OrderWorkflow:
    """Runs one order.

    Three coroutines share one state. `_live` walks through the steps; `_decide_arrivals` decides what comes in
    meanwhile; the publisher hands out what the two have made. Signal handlers only put into the inbox. `run` ends when
    the last step is reached and nothing is left to decide or to publish.
    """

    @workflow.init
    def __init__(self, request: OrderRunInput) -> None:
        self._policy = request.policy
        self._calls = OrderCalls(request.order_id, request.policy, request.shipping_task_queue or SHIPPING_TASK_QUEUE)
        self._request = request
        self._state = request.resumed or OrderRunState(order_id=request.order_id)
        self._publisher = Publisher(self._state, self._policy)
        self._is_deciding = False
        self._is_continuing = False
        self._is_too_large = False
        """Whether the state no longer fits into a payload: the run then goes on as it is, to Temporal's own limit."""

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
            undecided = begun_again(self._state)
            if carried_bytes(undecided) > CARRIED_BYTES_MAX:
                raise self._publisher.written_elsewhere()
            self._continue_with(undecided)
        if self._is_continuing:
            self._continue_with(self._state)
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
        """Every signal comes here: those of `SIGNALS`, and the milestones of the shipping attempts.

        One handler for raw values instead of one for each signal, as the SDK drops a signal whose argument does not
        decode, and fails the workflow task for ever on one with an argument too many. Here both are answered.
        """
        argument = arguments[0] if arguments else None
        if name in _EVENT_TYPES:
            self._state.inbox.append(read_event(_EVENT_TYPES[name], argument))
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

    # The frame -----------------------------------------------------------------------------------------------------

    async def _until(self, condition: Callable[[], bool], tasks: Sequence[asyncio.Task[None]]) -> None:
        """Waits, and meanwhile answers for the coroutines of the run and for Temporal's own cancellation."""
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

    def _continue_with(self, state: OrderRunState) -> NoReturn:
        workflow.continue_as_new(self._request.model_copy(update={"resumed": state}))

    def _is_quiet(self) -> bool:
        """Whether every event is answered and every answer is out."""
        return not self._state.inbox and self._publisher.is_idle and workflow.all_handlers_finished()

    async def _decide_arrivals(self) -> None:
        while True:
            await workflow.wait_condition(
                lambda: self._is_deciding and bool(self._state.inbox or self._state.milestones)
            )
            self._decide()

    def _decide(self) -> None:
        """Decides all that has arrived, in order of arrival."""
        if not self._is_deciding:
            return
        state, now = self._state, workflow.now()
        milestones, state.milestones = state.milestones, []
        for milestone in milestones:
            reach_milestone(state, milestone.state, milestone.tracking_id, now)
        settle_inbox(state, now)
        self._show()  # An order that is cancelled ends without another step.

    def _show(self) -> None:
        """Lets operators see where the order is: in the Temporal UI, and by its search.

        It costs no call of its own: Temporal gets it with the commands of the same workflow task.
        """
        workflow.set_current_details(summary_of(self._state))
        if self._policy.search_attributes:
            shown = workflow.info().typed_search_attributes
            workflow.upsert_search_attributes(changed_attributes(self._state, shown, workflow.now()))

    # The steps -----------------------------------------------------------------------------------------------------

    async def _live(self) -> None:
        """Walks through the steps, from wherever the state says that the run is."""
        self._show()
        if not self._state.is_looked_up:
            await self._look_up()
        if self._state.is_late:
            self._show()
            await self._answer_as_late()
        self._is_deciding = True
        steps: dict[OrderStep, Callable[[], Awaitable[None]]] = {
            OrderStep.AWAITING_ORDER: self._await_order,
            OrderStep.RECEIVING: self._receive,
            OrderStep.VALIDATING: self._validate,
            OrderStep.AWAITING_MANUAL_APPROVAL: self._await_approval,
            OrderStep.CHARGING_PAYMENT: self._charge,
            OrderStep.SHIPPING: self._ship,
            OrderStep.REFUNDING_PAYMENT: self._refund,
            OrderStep.MARKING_SHIPPED: self._mark_shipped,
            OrderStep.ORPHANED: self._stay_orphaned,
        }
        while self._state.step in steps and not self._is_continuing:
            self._show()
            await steps[self._state.step]()
        self._show()

    async def _look_up(self) -> None:
        state = self._state
        state.order_deadline = workflow.now() + self._policy.early_event_time_to_live
        snapshot = await self._calls.look_up()
        take_up(state, snapshot)
        if state.step is OrderStep.AWAITING_ORDER and snapshot.details is not None:
            # A run ended between keeping the order and saying so. An `order.created` that is here goes first.
            settle_inbox(state, workflow.now())
            if state.step is OrderStep.AWAITING_ORDER:
                accept_order(state, snapshot.details, None)

    async def _answer_as_late(self) -> None:
        """The order is over: the database numbers the refusals, as runs and late-event workflows may do so at once."""
        while True:
            await workflow.wait_condition(lambda: bool(self._state.inbox))
            batch, size = next_fitting(len(self._state.inbox), self._late_batch)
            await self._calls.settle_late(batch)
            del self._state.inbox[:size]

    def _late_batch(self, size: int) -> SettleLateEvents:
        return SettleLateEvents(order_id=self._state.order_id, events=tuple(self._state.inbox[:size]))

    async def _await_order(self) -> None:
        await self._wait_within(self._state.order_deadline, lambda: self._state.step is not OrderStep.AWAITING_ORDER)
        if self._state.step is not OrderStep.AWAITING_ORDER or await self._continue_if_due():
            return
        if self._state.seconds_left(self._state.order_deadline, workflow.now()) == 0:
            self._state.step = OrderStep.ORPHANED
            reject_held(self._state, ReasonCode.UNKNOWN_ORDER, workflow.now())

    async def _stay_orphaned(self) -> None:
        """Until the refusals are out and the run fails; an order that comes in this moment is still taken on."""
        await workflow.wait_condition(lambda: self._state.step is not OrderStep.ORPHANED)

    async def _receive(self) -> None:
        state = self._state
        await self._calls.receive(self._details)
        change_state(state, OrderState.RECEIVED, workflow.now(), cause=state.created_by)
        state.step = OrderStep.VALIDATING
        state.release_held()
        self._decide()

    async def _validate(self) -> None:
        validation = await self._calls.validate(self._details)
        self._decide()
        if self._state.is_ended:
            return  # Cancelled meanwhile.
        if not validation.valid:
            change_state(self._state, OrderState.REJECTED, workflow.now(), reason=validation.reason)
            return
        change_state(self._state, OrderState.VALIDATED, workflow.now())
        self._state.step = OrderStep.AWAITING_MANUAL_APPROVAL
        self._state.release_held()
        self._decide()

    async def _await_approval(self) -> None:
        state = self._state
        state.approval_deadline = state.approval_deadline or workflow.now() + self._policy.approval_timeout
        self._decide()
        await self._wait_within(state.approval_deadline, lambda: state.order_state is not OrderState.VALIDATED)
        # What arrived in the moment of the deadline counts as in time.
        self._decide()
        if state.is_ended:
            return
        if state.order_state is OrderState.APPROVED:
            state.step = OrderStep.CHARGING_PAYMENT
        elif not await self._continue_if_due() and self._has_expired():
            change_state(state, OrderState.EXPIRED, workflow.now(), reason=ReasonCode.APPROVAL_TIMED_OUT)

    def _has_expired(self) -> bool:
        state = self._state
        is_waiting = state.order_state is OrderState.VALIDATED
        return is_waiting and state.seconds_left(state.approval_deadline, workflow.now()) == 0

    async def _has_recorded(self) -> None:
        """Waits until the records say what led here: before anything is done that they alone could not undo.

        A run that takes up the order goes on from the records. Were the charge made before APPROVED is recorded, the
        next run could let the order expire, or be cancelled, and the money would stay taken.
        """
        if workflow.patched(RECORDS_FIRST):
            await self._publisher.recorded()

    async def _charge(self) -> None:
        await self._has_recorded()
        charged = await self._calls.charge(self._details)
        if charged is None:
            # Charged or not: nobody knows. It is made sure that it is not before the order says so.
            await self._calls.give_back(self._details)
            charged = ChargeResult(status=PaymentStatus.DECLINED, reason=ReasonCode.PAYMENT_OUTCOME_UNKNOWN)
        # An address that arrived in the moment of the answer is still in time.
        self._decide()
        if charged.status is PaymentStatus.CHARGED:
            change_state(self._state, OrderState.PAID, workflow.now())
            self._state.step = OrderStep.SHIPPING
        else:
            reason = charged.reason or ReasonCode.CARD_DECLINED
            change_state(self._state, OrderState.PAYMENT_DECLINED, workflow.now(), reason=reason)

    async def _ship(self) -> None:
        state = self._state
        await self._has_recorded()
        while state.shipping_attempt < self._policy.shipping_attempts:
            if state.shipping_attempt > 0:
                await workflow.sleep(self._policy.shipping_retry_delay)
            state.shipping_attempt += 1
            self._show()
            shipped = await self._calls.ship(self._details, state.shipping_attempt)
            self._decide()
            if shipped is not None:
                reach_milestone(state, OrderState.CARRIER_DISPATCHED, shipped.tracking_id, workflow.now())
            if state.order_state is OrderState.CARRIER_DISPATCHED:
                state.step = OrderStep.MARKING_SHIPPED
                return
        reason = ReasonCode.SHIPPING_ATTEMPTS_EXHAUSTED
        change_state(state, OrderState.SHIPPING_FAILED, workflow.now(), reason=reason)
        state.step = OrderStep.REFUNDING_PAYMENT

    async def _refund(self) -> None:
        await self._has_recorded()
        await self._calls.give_back(self._details)
        reason = ReasonCode.SHIPPING_ATTEMPTS_EXHAUSTED
        change_state(self._state, OrderState.REFUNDED, workflow.now(), reason=reason)

    async def _mark_shipped(self) -> None:
        state = self._state
        if state.order_state is not OrderState.SHIPPED:
            await self._calls.mark_shipped(state.tracking_id)
            self._decide()
            change_state(state, OrderState.SHIPPED, workflow.now())
        change_state(state, OrderState.COMPLETED, workflow.now())

    # Waiting -------------------------------------------------------------------------------------------------------

    async def _wait_within(self, deadline: datetime | None, condition: Callable[[], bool]) -> None:
        """Waits for the condition, the deadline, or Temporal's wish that the run continues as a new one."""
        timer = asyncio.create_task(
            workflow.sleep(self._state.seconds_left(deadline, workflow.now()), summary="until the deadline")
        )
        await workflow.wait_condition(lambda: condition() or timer.done() or self._continuation_is_due())
        timer.cancel()

    async def _continue_if_due(self) -> bool:
        """Prepares to continue as a new run where Temporal suggests it; whether it is ready to.

        Nothing new is decided until everything that was decided is out; what arrives meanwhile is carried over.
        """
        if not self._continuation_is_due():
            return False
        self._is_deciding = False
        await workflow.wait_condition(lambda: self._publisher.is_idle)
        if len(self._state.inbox) <= CARRIED_EVENTS_MAX:
            self._is_too_large = carried_bytes(self._state) > CARRIED_BYTES_MAX
            self._is_continuing = not self._is_too_large
        if not self._is_continuing:
            self._is_deciding = True
            self._decide()
        return self._is_continuing

    def _continuation_is_due(self) -> bool:
        return workflow.info().is_continue_as_new_suggested() and not self._is_too_large

    @property
    def _details(self) -> OrderDetails:
        if self._state.details is None:
            raise AssertionError("a step past AWAITING_ORDER has an order")
        return self._state.details


def _has_failed(task: asyncio.Task[None]) -> bool:
    return task.done() and task.exception() is not None
