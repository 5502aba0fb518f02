"""What the workers register, and what runs it."""

from typing import Final

from temporalio.worker import UnsandboxedWorkflowRunner, WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from workflows.late_event import LateEventWorkflow
from workflows.order import OrderWorkflow
from workflows.shipping import ShippingWorkflow

ORDER_WORKFLOWS: Final[tuple[type, ...]] = (OrderWorkflow, LateEventWorkflow)
"""The workflows of the task queue `order-tq`."""

SHIPPING_WORKFLOWS: Final[tuple[type, ...]] = (ShippingWorkflow,)
"""The workflows of the task queue `shipping-tq`."""

_PASSED_THROUGH: Final = ("schemas", "activities", "pydantic", "pydantic_core", "annotated_types")
"""Modules without state of their own, which need not be imported anew for each workflow. Our pure modules pass through
as well, where they are imported; a test holds that they read no clock and no environment."""


def workflow_runner(*, sandboxed: bool = True) -> WorkflowRunner:
    """What runs the workflows' code.

    Args:
        sandboxed: In the SDK's sandbox, which catches a workflow that reads the clock, the environment or a file. It
            costs about a third more CPU an order (measured 2026-11-23, temporalio 1.35, in turns on two busy cores: 111
            to 118 ms against 76 to 93 ms of the worker process for a whole order). Tests always run in it; a worker
            does as its setting says.
    """
    if not sandboxed:
        return UnsandboxedWorkflowRunner()
    return SandboxedWorkflowRunner(restrictions=SandboxRestrictions.default.with_passthrough_modules(*_PASSED_THROUGH))
