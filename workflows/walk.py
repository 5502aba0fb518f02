"""The walk of an order: what is done at each step, one method for each row of `workflows.life.steps.STEPS`."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any, Protocol, TypeVar

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from schemas.activity_io import AnswerLateEvents, ChargeResult, OrderSnapshot, ReceivedOrder, ValidationResult
    from schemas.order import OrderDetails, OrderPolicy
    from schemas.states import OrderState, OrderStep, PaymentStatus, ReasonCode
    from workflows.calls import OrderCalls
    from workflows.life.batches import next_fitting
    from workflows.life.ledger import (
        answer_inbox,
        change_state,
        conclude_validation,
        reach_milestone,
        receive,
        reject_held,
    )
    from workflows.life.opening import opening_of
    from workflows.life.recovery import recover
    from workflows.life.state import BacklogWait, DefectError, OrderRunState
    from workflows.life.steps import STEPS


Answer = TypeVar("Answer")


class Run(Protocol):
    """What the steps need of the run that they belong to."""

    def decide(self) -> None:
        """Decides all events that have arrived, in order of arrival."""
        ...

    def show(self) -> None:
        """Lets operators see where the order is."""
        ...

    async def transitions_published(self) -> None:
        """Waits until every transition made so far is recorded and acknowledged."""
        ...

    def continuation_is_due(self) -> bool:
        """Whether Temporal wishes that the run continues as a new one."""
        ...

    async def continue_if_due(self) -> bool:
        """Prepares to continue as a new run where Temporal wishes it; whether the run is ready to."""
        ...

    async def outlast(self, work: Coroutine[Any, Any, Answer]) -> Answer:
        """Waits for work; does not return where the run continues as a new one before, which then does it anew."""
        ...


class Walk:
    """Does the work of an order's steps.

    A step's method ends when the state is at another step, or when the run continues as a new one. Before and after
    each call it may decide what has arrived, so that an event counts up to the moment of the answer.

    Each call is one that the run outlasts: something may be away for days, and the order be told something at every
    moment. The next run calls the step's method anew, so a method that has made a transition, and waits after it, finds
    that in the state and goes on behind it.
    """

    def __init__(self, state: OrderRunState, policy: OrderPolicy, calls: OrderCalls, run: Run) -> None:
        self._state = state
        self._policy = policy
        self._calls = calls
        self._run = run

    async def look_up(self) -> None:
        """Goes on from what the database knows of the order, and decides what is here; every run's first work.

        Most runs begin with the ``order.created`` of an order that nobody knows. What follows from it can be told
        before, and so it is found, checked and kept by one call.
        """
        state = self._state
        state.order_deadline = workflow.now() + self._policy.early_event_time_to_live
        opening = opening_of(state, workflow.now(), self._policy.approval_timeout)
        if opening is None:
            received = ReceivedOrder(snapshot=await self._run.outlast(self._calls.look_up()))
        else:
            received = await self._run.outlast(self._calls.receive(opening.request))
            if received.opened_at is not None:
                opening.become(state, received.opened_at)
                return
        recover(state, received.snapshot or OrderSnapshot())
        if state.is_late:
            return
        answer_inbox(state, workflow.now())
        if received.validation is not None and state.step is OrderStep.RECEIVING:
            self._take_on(received.validation)

    async def answer_as_late(self) -> None:
        """Answers what comes after the order's life, for ever.

        The database numbers the refusals, as several runs and late-event workflows may refuse events at once.
        """
        while True:
            await self._run.outlast(workflow.wait_condition(lambda: bool(self._state.inbox)))
            batch, size = next_fitting(len(self._state.inbox), self._late_batch)
            await self._run.outlast(self._calls.answer_late(batch))
            del self._state.inbox[:size]

    def _late_batch(self, size: int) -> AnswerLateEvents:
        return AnswerLateEvents(order_id=self._state.order_id, events=tuple(self._state.inbox[:size]))

    # The steps, in the order of the table ----------------------------------------------------------------------------

    async def await_order(self) -> None:
        """Waits for ``order.created``; without it in time the events that are held are refused."""
        state = self._state
        is_over = await self._deadline_comes_before(lambda: state.step is not OrderStep.AWAITING_ORDER)
        if state.step is not OrderStep.AWAITING_ORDER or await self._run.continue_if_due():
            return
        # While the run prepared to continue, and then did not, the order may have come.
        if is_over and state.step is OrderStep.AWAITING_ORDER:
            state.step = OrderStep.ORPHANED
            reject_held(state, ReasonCode.UNKNOWN_ORDER, workflow.now())

    async def receive(self) -> None:
        """Checks the order, and takes it on: RECEIVED and what the check comes to are recorded as one."""
        self._take_on(await self._run.outlast(self._calls.validate(self._details)))

    def _take_on(self, validation: ValidationResult) -> None:
        receive(self._state, workflow.now())
        conclude_validation(self._state, validation, workflow.now(), self._policy.approval_timeout)

    async def validate(self) -> None:
        """Checks an order that an ended run has left between the two."""
        validation = await self._run.outlast(self._calls.validate(self._details))
        self._run.decide()
        conclude_validation(self._state, validation, workflow.now(), self._policy.approval_timeout)

    async def await_approval(self) -> None:
        """Waits for a person's decision; without one in time the order expires."""
        state = self._state
        # An order that an earlier version validated has none recorded, and a run that recovers it begins to wait anew.
        state.approval_deadline = state.approval_deadline or workflow.now() + self._policy.approval_timeout
        self._run.decide()
        await self._run.outlast(workflow.wait_condition(self._deadline_is_recorded))
        is_over = await self._deadline_comes_before(lambda: state.state is not OrderState.VALIDATED)
        if state.is_ended:
            return
        if state.state is OrderState.APPROVED:
            await self._go_on_to(OrderStep.CHARGING_PAYMENT)
        # While the run prepares to continue, and then does not, an approval may be decided.
        elif not await self._run.continue_if_due() and is_over and state.state is OrderState.VALIDATED:
            change_state(state, OrderState.EXPIRED, workflow.now(), reason=ReasonCode.APPROVAL_TIMED_OUT)

    def _deadline_is_recorded(self) -> bool:
        """Whether the deadline counts that is published: an ended run may have recorded another than ours."""
        return not self._state.has_unpublished_transitions or self._state.state is not OrderState.VALIDATED

    async def charge(self) -> None:
        """Charges the payment."""
        state = self._state
        if state.state is OrderState.APPROVED:
            charged = await self._run.outlast(self._calls.charge(self._details))
            if charged is None:
                # Nobody knows whether it was charged. It is made sure that it is not before the order says so.
                await self._run.outlast(self._calls.give_back(self._details))
                charged = ChargeResult(status=PaymentStatus.DECLINED, reason=ReasonCode.PAYMENT_OUTCOME_UNKNOWN)
            if charged.status is not PaymentStatus.CHARGED:
                reason = charged.reason or ReasonCode.CARD_DECLINED
                change_state(state, OrderState.PAYMENT_DECLINED, workflow.now(), reason=reason)
                return
            change_state(state, OrderState.PAID, workflow.now())
        await self._go_on_to(OrderStep.SHIPPING)

    async def ship(self) -> None:
        """Ships the order, in as many attempts as the policy allows."""
        state = self._state
        while state.state in (OrderState.PAID, OrderState.PACKAGE_PREPARED):
            if not state.is_attempting and state.shipping_attempt >= self._policy.shipping_attempts:
                reason = ReasonCode.SHIPPING_ATTEMPTS_EXHAUSTED
                change_state(state, OrderState.SHIPPING_FAILED, workflow.now(), reason=reason)
            else:
                await self._attempt_to_ship()
        is_shipped = state.state is OrderState.CARRIER_DISPATCHED
        await self._go_on_to(OrderStep.MARKING_SHIPPED if is_shipped else OrderStep.REFUNDING_PAYMENT)

    async def _attempt_to_ship(self) -> None:
        state = self._state
        if not state.is_attempting:
            if state.shipping_attempt > 0:
                await self._run.outlast(workflow.sleep(self._policy.shipping_retry_delay))
            state.shipping_attempt += 1
            state.is_attempting = True
        self._run.show()
        shipped = await self._run.outlast(self._calls.ship(self._details, state.shipping_attempt))
        state.is_attempting = False
        self._run.decide()
        if shipped is not None:
            reach_milestone(state, OrderState.CARRIER_DISPATCHED, shipped.tracking_id, workflow.now())

    async def refund(self) -> None:
        """Gives the money back."""
        await self._run.outlast(self._calls.give_back(self._details))
        reason = ReasonCode.SHIPPING_ATTEMPTS_EXHAUSTED
        change_state(self._state, OrderState.REFUNDED, workflow.now(), reason=reason)

    async def mark_shipped(self) -> None:
        """Marks the order as shipped, and completes it: with the dispatch one record (``mark_order_shipped``)."""
        if self._state.state is not OrderState.SHIPPED:
            change_state(self._state, OrderState.SHIPPED, workflow.now())
        change_state(self._state, OrderState.COMPLETED, workflow.now())

    async def stay_orphaned(self) -> None:
        """Waits until the refusals are out and the run fails; an order that comes in this moment is still taken on."""
        await self._run.outlast(workflow.wait_condition(lambda: self._state.step is not OrderStep.ORPHANED))

    # What several steps need -----------------------------------------------------------------------------------------

    async def _go_on_to(self, step: OrderStep) -> None:
        """Goes on to a step, where it publishes first once that is done: in the moment in which its work is scheduled.

        An event that ends the order before is still in time.
        """
        if STEPS[step].publishes_first:
            self._run.show()
            await self._run.outlast(self._run.transitions_published())
            # What arrived in the moment of the acknowledgement is in time as well.
            self._run.decide()
        if not self._state.is_ended:
            self._state.step = step

    async def _deadline_comes_before(self, condition: Callable[[], bool]) -> bool:
        """Waits for the step's deadline, for the condition, or for Temporal's wish that the run continues anew.

        The deadline comes only once everything has been handed over that was in Kafka by then and could still bring
        the condition about. Whatever arrives meanwhile is decided first, and so counts as in time.

        Returns:
            Whether the deadline has come, and the condition was not met before.
        """
        state = self._state

        def is_interrupted() -> bool:
            return condition() or self._run.continuation_is_due()

        timer = asyncio.create_task(workflow.sleep(state.seconds_left(workflow.now()), summary="until the deadline"))
        await workflow.wait_condition(lambda: timer.done() or is_interrupted())
        timer.cancel()
        # What arrived in the moment of the deadline counts as in time.
        self._run.decide()
        if is_interrupted():
            return False
        handing_over = asyncio.create_task(self._wait_for_backlog())
        await workflow.wait_condition(lambda: handing_over.done() or is_interrupted())
        if handing_over.done():
            handing_over.result()  # A defect of ours ends no wait: it fails the workflow task, for all to see.
        handing_over.cancel()
        # Temporal acknowledges an event before its offset is committed, so it is here before the answer that says so.
        self._run.decide()
        if self._run.continuation_is_due():
            return False  # The next run goes on waiting for the same.
        state.backlog = None
        return not condition()

    async def _wait_for_backlog(self) -> None:
        """Waits until what is in Kafka by now has been handed over, or for the longest time that the policy allows."""
        state, longest = self._state, self._policy.expiry_wait_max
        if longest is None:
            return  # There is no bridge to wait for.
        wait = state.backlog = state.backlog or BacklogWait(since=workflow.now())
        if wait.partitions is None:
            self._run.show()
            wait.partitions = await self._calls.find_backlog(STEPS[state.step].saved_by, self._left_of(wait, longest))
        if wait.partitions:
            self._run.show()
            workflow.logger.warning("order.expiry.waits: %s", ", ".join(one.in_words for one in wait.partitions))
            await self._calls.await_backlog(wait.partitions, self._left_of(wait, longest))

    def _left_of(self, wait: BacklogWait, longest: timedelta) -> timedelta:
        """The part of the longest wait that is left, which may be none."""
        return max(wait.since + longest - workflow.now(), timedelta(0))

    @property
    def _details(self) -> OrderDetails:
        if self._state.details is None:
            raise DefectError("a step past AWAITING_ORDER has an order")
        return self._state.details
