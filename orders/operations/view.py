"""What is known of one order, for people and programs: Temporal's run first, else the database's row."""

from dataclasses import dataclass
from datetime import timedelta

from temporalio.client import (
    Client,
    WorkflowExecutionDescription,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowQueryFailedError,
)
from temporalio.service import RPCError, RPCStatusCode

from orders.clients.opened import Clients
from orders.clients.temporal import reaching_temporal
from orders.errors import NotFoundError, UnreachableError
from schemas.states import FINAL_STATES, OrderStep
from schemas.workflow_io import OrderResult, OrderStatus
from workflows.names import ORDER_WORKFLOW, STATUS_QUERY, order_workflow_id

_CALL_TIMEOUT = timedelta(seconds=10)
_NO_WORKER = (RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.FAILED_PRECONDITION, RPCStatusCode.CANCELLED)


@dataclass(frozen=True, slots=True)
class OrderView:
    """An order as it is now."""

    run: str
    """Status of its last run in Temporal: RUNNING, COMPLETED, FAILED ...; GONE where Temporal has forgotten it."""
    status: OrderStatus
    failure: str | None = None
    """Why the last run failed."""


async def view_order(clients: Clients, order_id: str) -> OrderView:
    """Where an order is.

    Raises:
        NotFoundError: neither Temporal nor the database knows it.
        UnreachableError: Temporal does not answer, or no worker does; or Temporal does not know the order, and Postgres
            does not answer.
        WrongSettingsError: Temporal does not let us in, or holds payloads that need other keys.
    """
    client = await clients.temporal()
    workflow_id = order_workflow_id(order_id)
    with reaching_temporal(clients.settings):
        try:
            description = await client.get_workflow_handle(workflow_id).describe(rpc_timeout=_CALL_TIMEOUT)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            in_the_way = None
        else:
            # Another team's workflow is asked nothing: what it would answer is no order's status.
            if description.workflow_type == ORDER_WORKFLOW:
                return await _view_in_temporal(client, order_id, description)
            in_the_way = held_by_another(workflow_id, description.workflow_type)
    return await _view_in_database(clients, order_id, in_the_way)


def held_by_another(workflow_id: str, workflow_type: str) -> str:
    """What to say where the id of an order's workflow is that of a workflow of another type."""
    return (
        f"the workflow {workflow_id} in Temporal is a {workflow_type}, and none of ours: events of this order are "
        "signalled to it and lost; give it another id, or use another namespace"
    )


async def _view_in_temporal(client: Client, order_id: str, description: WorkflowExecutionDescription) -> OrderView:
    """What the order's last run says of itself: its result, or its answer to a query, which takes a worker."""
    if description.status is WorkflowExecutionStatus.COMPLETED:
        result = await client.get_workflow_handle(description.id, result_type=OrderResult).result(
            rpc_timeout=_CALL_TIMEOUT
        )
        return OrderView("COMPLETED", _status_of_result(result))
    run = description.status.name if description.status else "UNKNOWN"
    try:
        handle = client.get_workflow_handle(description.id)
        status = await handle.query(STATUS_QUERY, result_type=OrderStatus, rpc_timeout=_CALL_TIMEOUT)
    except (RPCError, WorkflowQueryFailedError) as error:
        if isinstance(error, RPCError) and error.status not in _NO_WORKER:
            raise
        raise UnreachableError(
            f"order {order_id} is in Temporal ({run}), but no worker answers for it: start one with `orders worker`"
        ) from error
    return OrderView(run, status, await _failure_of(client, description.id, run))


async def _failure_of(client: Client, workflow_id: str, run: str) -> str | None:
    if run in ("RUNNING", "COMPLETED"):
        return None
    try:
        await client.get_workflow_handle(workflow_id).result(rpc_timeout=_CALL_TIMEOUT)
    except WorkflowFailureError as error:
        return str(error.cause)
    except RPCError:
        return None
    return None


def _status_of_result(result: OrderResult) -> OrderStatus:
    return OrderStatus(
        order_id=result.order_id,
        step=OrderStep(result.state),
        state=result.state,
        reason=result.reason,
        address=result.address,
        tracking_id=result.tracking_id,
        last_sequence=result.last_sequence,
    )


async def _view_in_database(clients: Clients, order_id: str, in_the_way: str | None) -> OrderView:
    """What is left of an order that Temporal has forgotten, or never knew.

    Args:
        clients: lead to the database.
        order_id: which order.
        in_the_way: what is known of a workflow of another type under the order's workflow id.
    """
    async with clients.order_reader() as reader:
        record = await reader.order(order_id)
    if record is None:
        if in_the_way is not None:
            raise NotFoundError(f"order {order_id!r} is unknown: {in_the_way}")
        raise NotFoundError(
            f"order {order_id!r} is unknown: check the id, or send its order.created "
            f"(`orders start {order_id} --payment-id PAYMENT_ID`)"
        )
    return OrderView(
        "GONE",
        OrderStatus(
            order_id=order_id,
            step=OrderStep(record.state) if record.state in FINAL_STATES else OrderStep.RECEIVING,
            state=record.state,
            reason=record.reason,
            payment_id=record.details.payment_id,
            amount=record.details.amount,
            currency=record.details.currency,
            address=record.details.address,
            tracking_id=record.tracking_id,
            last_sequence=record.last_sequence,
        ),
    )
