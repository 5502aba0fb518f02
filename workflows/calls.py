"""The calls of an order: its activities and its shipping attempts, one method each."""

from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import (
    ActivityError,
    ChildWorkflowError,
    WorkflowAlreadyStartedError,
    is_cancelled_exception,
)

with workflow.unsafe.imports_passed_through():
    from activities.errors import PROVIDER_GIVEN_UP
    from activities.expiry import ExpiryActivities
    from activities.orders import OrderActivities
    from activities.payments import PaymentActivities
    from schemas.activity_io import (
        AnswerLateEvents,
        AwaitBacklog,
        Backlog,
        ChargePayment,
        ChargeResult,
        FindBacklog,
        LookUpOrder,
        OrderSnapshot,
        ReceivedOrder,
        ReceiveOrder,
        RefundPayment,
        ValidateOrder,
        ValidationResult,
    )
    from schemas.event_types import EventType
    from schemas.order import OrderDetails, OrderPolicy
    from schemas.workflow_io import ShippingInput, ShippingResult
    from workflows.names import SHIPPING_WORKFLOW, shipping_workflow_id
    from workflows.policies import pause_before_anew, until_handed_over
    from workflows.until_done import LOST_WITH, failure_type, until_done


class OrderCalls:
    """The calls of one order, each with the time-outs and retries that the policy gives it."""

    def __init__(self, order_id: str, policy: OrderPolicy, shipping_task_queue: str) -> None:
        self._order_id = order_id
        self._policy = policy
        self._shipping_task_queue = shipping_task_queue

    async def look_up(self) -> OrderSnapshot:
        """What the database knows of the order."""
        return await until_done(OrderActivities.look_up_order, LookUpOrder(order_id=self._order_id), self._policy)

    async def answer_late(self, batch: AnswerLateEvents) -> None:
        """Has the database answer events of an order whose life is over."""
        await until_done(OrderActivities.answer_late_events, batch, self._policy)

    async def receive(self, request: ReceiveOrder) -> ReceivedOrder:
        """Finds, checks and keeps a new order at once; or says what stands against that."""
        return await until_done(OrderActivities.receive_order, request, self._policy)

    async def validate(self, details: OrderDetails) -> ValidationResult:
        """Whether the order may go on."""
        request = ValidateOrder(order_id=self._order_id, details=details)
        return await until_done(OrderActivities.validate_order, request, self._policy)

    async def find_backlog(self, saved_by: tuple[EventType, ...], within: timedelta) -> tuple[Backlog, ...] | None:
        """What is in Kafka by now and not handed over; None where Kafka has not said within the time allowed."""
        try:
            found = await workflow.execute_activity_method(
                ExpiryActivities.find_backlog,
                FindBacklog(order_id=self._order_id, event_types=saved_by),
                **until_handed_over(self._policy, within),
            )
        except ActivityError as error:
            _log_unless_cancelled(error)
            return None
        return found.partitions

    async def await_backlog(self, partitions: tuple[Backlog, ...], within: timedelta) -> None:
        """Waits until the backlog is handed over, or the time allowed is over."""
        try:
            await workflow.execute_activity_method(
                ExpiryActivities.await_backlog,
                AwaitBacklog(order_id=self._order_id, partitions=partitions),
                **until_handed_over(self._policy, within),
            )
        except ActivityError as error:
            _log_unless_cancelled(error)

    async def charge(self, details: OrderDetails) -> ChargeResult | None:
        """Charges the payment; None where the provider was given up, and whether it has charged is unknown."""
        request = ChargePayment(
            order_id=self._order_id,
            payment_id=details.payment_id,
            amount=details.amount,
            currency=details.currency,
            patience=self._policy.patience,
        )
        charge_payment = PaymentActivities.charge_payment
        try:
            return await until_done(charge_payment, request, self._policy, fails_with={PROVIDER_GIVEN_UP})
        except ActivityError as error:
            workflow.logger.warning("order.payment.outcome_unknown", exc_info=error)
            return None

    async def give_back(self, details: OrderDetails) -> None:
        """Refunds the payment, or makes sure that nothing is charged any more."""
        request = RefundPayment(
            order_id=self._order_id, payment_id=details.payment_id, patience=self._policy.endless_patience
        )
        await until_done(PaymentActivities.refund_payment, request, self._policy)

    async def ship(self, details: OrderDetails, attempt: int) -> ShippingResult | None:
        """One attempt to ship, as a child workflow; None where the carrier has lost it.

        Only the carrier loses an attempt: one that ends otherwise, or cannot be started, is begun anew.
        """
        request = ShippingInput(order_id=self._order_id, address=details.address, attempt=attempt, policy=self._policy)
        times = 0
        while True:
            try:
                shipped: ShippingResult = await workflow.execute_child_workflow(
                    SHIPPING_WORKFLOW,
                    request,
                    id=shipping_workflow_id(self._order_id, attempt),
                    task_queue=self._shipping_task_queue,
                    result_type=ShippingResult,
                    # Without a summary: the SDK would encrypt it for this workflow, and it would stand at the child.
                    # A terminated run takes its attempt along: the run that goes on with the order makes its own.
                    parent_close_policy=workflow.ParentClosePolicy.TERMINATE,
                )
            except WorkflowAlreadyStartedError:
                workflow.logger.info("order.shipping_attempt.id_is_held")  # By a terminated run's, not ended yet.
            except ChildWorkflowError as error:
                workflow.logger.info("order.shipping_attempt.failed", exc_info=error)
                if failure_type(error) in LOST_WITH:
                    return None
            else:
                return shipped
            await workflow.sleep(pause_before_anew(self._policy.shipping_retry_delay, times))
            times += 1


def _log_unless_cancelled(error: ActivityError) -> None:
    """Raises the alarm over a wait that took longer than is allowed, or that an operator has ended.

    One that an event has ended is no matter.
    """
    if not is_cancelled_exception(error):
        workflow.logger.error("order.expiry.not_awaited_any_longer", exc_info=error)
