"""One attempt to ship an order, as a child workflow on its own task queue."""

import asyncio

from temporalio import workflow
from temporalio.exceptions import FailureError

with workflow.unsafe.imports_passed_through():
    from activities.shipping import ShippingActivities
    from schemas.activity_io import Shipment
    from schemas.states import OrderState
    from schemas.workflow_io import ShippingInput, ShippingMilestone, ShippingResult
    from workflows.names import SHIPPING_MILESTONE_SIGNAL, SHIPPING_WORKFLOW
    from workflows.until_done import LOST_WITH, until_done


@workflow.defn(name=SHIPPING_WORKFLOW)
class ShippingWorkflow:
    """Prepares the package, hands it to the carrier, and tells the order: of the package at once, of both in the end.

    The workflow fails where the carrier refuses the shipment, or leaves it without a known outcome for the time
    allowed. Then the attempt is lost, and the order decides whether to try again.
    """

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
        prepared = ShippingMilestone(state=OrderState.PACKAGE_PREPARED, attempt=request.attempt)
        # The carrier does not wait for the order to know: whatever becomes of the signal, the result says the same.
        telling = asyncio.create_task(self._tell(prepared))
        carrier = await until_done(
            ShippingActivities.dispatch_carrier, shipment, request.policy, fails_with=LOST_WITH
        )  # fmt: skip
        await telling
        return ShippingResult(package_id=package.package_id, tracking_id=carrier.tracking_id)

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
