"""One attempt to ship an order, as a child workflow on its own task queue."""

import asyncio

from temporalio import workflow
from temporalio.exceptions import ActivityError, FailureError

with workflow.unsafe.imports_passed_through():
    from activities.shipping import ShippingActivities
    from schemas.activity_io import Shipment
    from schemas.states import OrderState
    from schemas.workflow_io import ShippingInput, ShippingMilestone, ShippingResult
    from workflows.names import SHIPPING_MILESTONE_SIGNAL, SHIPPING_WORKFLOW
    from workflows.until_done import LOST_WITH, until_done


@workflow.defn(name=SHIPPING_WORKFLOW)
class ShippingWorkflow:
    """Prepares the package, hands it to the carrier, and tells the order of both by its result.

    The order learns of the package by a signal where the result is not to be had soon: where the dispatch takes longer
    than the policy's `prepared_told_after`, and before the attempt fails.

    The workflow fails where the carrier refuses the shipment, or leaves it without a known outcome for the time
    allowed. Then the attempt is lost, and the order decides whether to try again.
    """

    def __init__(self) -> None:
        self._dispatch_failed = False
        self._is_telling = False

    @workflow.run
    async def run(self, request: ShippingInput) -> ShippingResult:
        """Ships once."""
        shipment = Shipment(
            order_id=request.order_id,
            address=request.address,
            attempt=request.attempt,
            patience=request.policy.patience,
        )
        package = await until_done(
            ShippingActivities.prepare_package, shipment, request.policy, fails_with=LOST_WITH
        )  # fmt: skip
        # The carrier does not wait for the order to know: whatever becomes of the signal, the result says the same.
        telling = asyncio.create_task(self._tell_in_time(request))
        try:
            carrier = await until_done(
                ShippingActivities.dispatch_carrier, shipment, request.policy, fails_with=LOST_WITH
            )  # fmt: skip
        except ActivityError:
            self._dispatch_failed = True
            await telling
            raise
        if self._is_telling:
            await telling
        return ShippingResult(package_id=package.package_id, tracking_id=carrier.tracking_id)

    async def _tell_in_time(self, request: ShippingInput) -> None:
        """Tells the order of the prepared package, unless the attempt has succeeded before it is time to."""
        patience = request.policy.prepared_told_after
        if patience is not None:
            # The timer is not cancelled where the carrier is faster: a workflow may end while one runs, and its
            # cancellation would be an event of every order's history.
            timer = asyncio.create_task(workflow.sleep(patience, summary="until the order is told of its package"))
            await workflow.wait_condition(lambda: timer.done() or self._dispatch_failed)
        self._is_telling = True
        await self._tell(ShippingMilestone(state=OrderState.PACKAGE_PREPARED, attempt=request.attempt))

    async def _tell(self, milestone: ShippingMilestone) -> None:
        parent = workflow.info().parent
        if parent is None:
            return
        # By workflow id alone: the order may have continued as a new run meanwhile.
        order = workflow.get_external_workflow_handle(parent.workflow_id)
        try:
            await order.signal(SHIPPING_MILESTONE_SIGNAL, milestone)
        except FailureError as error:
            # The result carries what the signal would have: an order that cannot be told now learns it then.
            workflow.logger.warning("shipping.milestone.not_told", exc_info=error)
