"""The calls of an order: its activities and its shipping attempts, one method each."""

from temporalio import workflow
from temporalio.exceptions import ActivityError, ChildWorkflowError, WorkflowAlreadyStartedError

with workflow.unsafe.imports_passed_through():
    from activities.orders import OrderActivities
    from activities.payments import PaymentActivities
    from schemas.activity_io import (
        AnswerLateEvents,
        ChargePayment,
        ChargeResult,
        LookUpOrder,
        MarkOrderShipped,
        OrderSnapshot,
        ReceiveOrder,
        RefundPayment,
        ValidateOrder,
        ValidationResult,
    )
    from schemas.order import OrderDetails, OrderPolicy
    from schemas.workflow_io import ShippingInput, ShippingResult
    from workflows.names import SHIPPING_WORKFLOW, shipping_workflow_id
    from workflows.policies import CHILD_START_ATTEMPTS_MAX, until_it_works, within_the_time_allowed


class OrderCalls:
    """The calls of one order, each with the time-outs and retries that the policy gives it."""

    def __init__(self, order_id: str, policy: OrderPolicy, shipping_task_queue: str) -> None:
        self._order_id = order_id
        self._policy = policy
        self._shipping_task_queue = shipping_task_queue

    async def look_up(self) -> OrderSnapshot:
        """What the database knows of the order."""
        return await workflow.execute_activity_method(
            OrderActivities.look_up_order, LookUpOrder(order_id=self._order_id), **until_it_works(self._policy)
        )

    async def answer_late(self, batch: AnswerLateEvents) -> None:
        """Has the database answer events of an order whose life is over."""
        await workflow.execute_activity_method(
            OrderActivities.answer_late_events, batch, **until_it_works(self._policy)
        )

    async def receive(self, details: OrderDetails) -> None:
        """Keeps the order in the database."""
        await workflow.execute_activity_method(
            OrderActivities.receive_order,
            ReceiveOrder(order_id=self._order_id, details=details),
            **until_it_works(self._policy),
        )

    async def validate(self, details: OrderDetails) -> ValidationResult:
        """Whether the order may go on."""
        return await workflow.execute_activity_method(
            OrderActivities.validate_order,
            ValidateOrder(order_id=self._order_id, details=details),
            **until_it_works(self._policy),
        )

    async def charge(self, details: OrderDetails) -> ChargeResult | None:
        """Charges the payment; None where it stays unknown whether it was charged."""
        try:
            return await workflow.execute_activity_method(
                PaymentActivities.charge_payment,
                ChargePayment(
                    order_id=self._order_id,
                    payment_id=details.payment_id,
                    amount=details.amount,
                    currency=details.currency,
                ),
                **within_the_time_allowed(self._policy),
            )
        except ActivityError as error:
            workflow.logger.warning("order.payment.outcome_unknown", exc_info=error)
            return None

    async def give_back(self, details: OrderDetails) -> None:
        """Refunds the payment, or makes sure that nothing is charged any more."""
        await workflow.execute_activity_method(
            PaymentActivities.refund_payment,
            RefundPayment(order_id=self._order_id, payment_id=details.payment_id),
            **until_it_works(self._policy),
        )

    async def mark_shipped(self, tracking_id: str | None) -> None:
        """Marks the order's row in the database as shipped."""
        await workflow.execute_activity_method(
            OrderActivities.mark_order_shipped,
            MarkOrderShipped(order_id=self._order_id, tracking_id=tracking_id),
            **until_it_works(self._policy),
        )

    async def ship(self, details: OrderDetails, attempt: int) -> ShippingResult | None:
        """One attempt to ship, as a child workflow; None where it failed."""
        request = ShippingInput(order_id=self._order_id, address=details.address, attempt=attempt, policy=self._policy)
        for _ in range(CHILD_START_ATTEMPTS_MAX):
            try:
                shipped: ShippingResult = await workflow.execute_child_workflow(
                    SHIPPING_WORKFLOW,
                    request,
                    id=shipping_workflow_id(self._order_id, attempt),
                    task_queue=self._shipping_task_queue,
                    result_type=ShippingResult,
                    static_summary=f"order {self._order_id}, shipping attempt {attempt}",
                    # A terminated run takes its attempt along: the run that goes on with the order makes its own.
                    parent_close_policy=workflow.ParentClosePolicy.TERMINATE,
                )
            except WorkflowAlreadyStartedError:
                # A terminated run's attempt that Temporal has not ended yet.
                await workflow.sleep(self._policy.shipping_retry_delay)
            except ChildWorkflowError as error:
                workflow.logger.info("order.shipping_attempt.failed", exc_info=error)
                return None
            else:
                return shipped
        return None
