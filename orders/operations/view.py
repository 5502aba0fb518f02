"""What is known of one order, for people and programs: Temporal's run first, else the database's row."""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionRequest
from temporalio.client import (
    Client,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowQueryFailedError,
)
from temporalio.service import RPCError, RPCStatusCode

from orders.clients.opened import Clients
from orders.clients.queries import NOT_IN_TIME, ask
from orders.clients.temporal import reaching_temporal
from orders.errors import NotFoundError, UnreachableError
from orders.operations.open_runs import look_at_open_run
from schemas.states import FINAL_STATES, OrderState, OrderStep
from schemas.workflow_io import OrderResult, OrderStatus
from workflows.names import ORDER_WORKFLOW, STATUS_QUERY, order_workflow_id

_CALL_TIMEOUT = timedelta(seconds=10)
_GONE, _RUNNING, _COMPLETED = "GONE", "RUNNING", "COMPLETED"
_NO_WORKER = NOT_IN_TIME | {RPCStatusCode.FAILED_PRECONDITION}


@dataclass(frozen=True, slots=True)
class OrderView:
    """An order as it is now."""

    run: str
    """Status of its last run in Temporal: RUNNING, COMPLETED, FAILED ...; GONE where Temporal has forgotten it."""
    status: OrderStatus
    approved: bool | None
    """Whether it has been approved; None where that is not known, as Postgres did not answer."""
    failure: str | None = None
    """Why the last run failed."""


async def view_order(clients: Clients, order_id: str) -> OrderView:
    """Where an order is.

    Raises:
        NotFoundError: neither Temporal nor the database knows it.
        UnreachableError: Temporal does not answer; or no worker does for a run that is open, and says what holds it up;
            or what only Postgres knows is asked for, and Postgres does not answer.
        WrongSettingsError: Temporal does not let us in, or holds payloads that need other keys.
    """
    client = await clients.temporal()
    workflow_id = order_workflow_id(order_id)
    view = in_the_way = None
    run = _GONE
    with reaching_temporal(clients.settings):
        last = await _last_run(client, workflow_id)
        # Another team's workflow is asked nothing: what it would answer is no order's status.
        if last is not None and last.workflow_type == ORDER_WORKFLOW:
            run = last.status
            view = await _view_in_temporal(client, order_id, run)
        elif last is not None:
            in_the_way = held_by_another(workflow_id, last.workflow_type)
    if view is None:
        return await _view_in_database(clients, order_id, run, in_the_way)
    return view if run == _RUNNING else await _with_records(clients, view)


@dataclass(frozen=True, slots=True)
class _LastRun:
    workflow_type: str
    status: str


async def _last_run(client: Client, workflow_id: str) -> _LastRun | None:
    """What Temporal says of the workflow's last run; None where it knows none.

    By the call itself, as the SDK's description of a run decodes every search attribute, twice: 190 us of the
    processor, an eighth of a request for an order's status (cProfile, 2026-11-26, temporalio 1.35).
    """
    request = DescribeWorkflowExecutionRequest(
        namespace=client.namespace, execution=WorkflowExecution(workflow_id=workflow_id)
    )
    try:
        answer = await client.workflow_service.describe_workflow_execution(request, retry=True, timeout=_CALL_TIMEOUT)
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        return None
    info = answer.workflow_execution_info
    status = WorkflowExecutionStatus(info.status).name if info.status else "UNKNOWN"
    return _LastRun(info.type.name, status)


def held_by_another(workflow_id: str, workflow_type: str) -> str:
    """What to say where the id of an order's workflow is that of a workflow of another type."""
    return (
        f"the workflow {workflow_id} in Temporal is a {workflow_type}, and none of ours: events of this order are "
        "signalled to it and lost; give it another id, or use another namespace"
    )


async def _view_in_temporal(client: Client, order_id: str, run: str) -> OrderView | None:
    """What the order's last run says of itself: its result, or its answer to a query, which takes a worker.

    Returns:
        None where the run is over without a result, and no worker answers for it.
    """
    workflow_id = order_workflow_id(order_id)
    if run == _COMPLETED:
        ended = client.get_workflow_handle(workflow_id, result_type=OrderResult)
        return OrderView(run, _status_of_result(await ended.result(rpc_timeout=_CALL_TIMEOUT)), approved=None)
    handle = client.get_workflow_handle(workflow_id)
    try:
        status = await ask(handle, STATUS_QUERY, result_type=OrderStatus, wait=_CALL_TIMEOUT)
    except (RPCError, WorkflowQueryFailedError) as error:
        if isinstance(error, RPCError) and error.status not in _NO_WORKER:
            raise
        if run != _RUNNING:
            return None
        refusal = str(error) if isinstance(error, WorkflowQueryFailedError) else None
        description = await handle.describe(rpc_timeout=_CALL_TIMEOUT)
        held_up = await look_at_open_run(client, description, answers=False, waited=_CALL_TIMEOUT, refusal=refusal)
        raise UnreachableError(
            f"order {order_id} is in Temporal ({run}) and does not say where it is; it waits for {held_up.held_up_by}"
        ) from error
    return OrderView(run, status, status.approved, await _failure_of(client, workflow_id, run))


async def _failure_of(client: Client, workflow_id: str, run: str) -> str | None:
    if run == _RUNNING:
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


async def _with_records(clients: Clients, view: OrderView) -> OrderView:
    """The view of a run that is over, with what Postgres knows beside its result: also of events that came later."""
    status = view.status
    try:
        async with clients.order_reader() as reader:
            record = await reader.order(status.order_id)
            journal = await reader.journal(status.order_id)
            approved = await reader.has_been(status.order_id, OrderState.APPROVED)
    except UnreachableError as error:
        clients.note(f"the payment, the amount, the approval and later events are left out: {error}")
        return view
    known: dict[str, Any] = {}
    if record is not None:
        details = record.details
        known = {"payment_id": details.payment_id, "amount": details.amount, "currency": details.currency}
    if journal is not None:
        known["last_sequence"] = max(status.last_sequence, journal.last_sequence)
    return replace(view, status=status.model_copy(update=known), approved=approved)


async def _view_in_database(clients: Clients, order_id: str, run: str, in_the_way: str | None) -> OrderView:
    """What is left of an order that Temporal has forgotten, or never knew, or whose run is over and says nothing.

    Args:
        clients: lead to the database.
        order_id: which order.
        run: the status of its last run.
        in_the_way: what is known of a workflow of another type under the order's workflow id.
    """
    async with clients.order_reader() as reader:
        record = await reader.order(order_id)
    if record is None:
        if in_the_way is not None:
            raise NotFoundError(f"order {order_id!r} is unknown: {in_the_way}")
        if run != _GONE:
            raise NotFoundError(
                f"the run of order {order_id!r} is over ({run}), and no order.created of it was accepted"
            )
        raise NotFoundError(
            f"order {order_id!r} is unknown: check the id, or send its order.created "
            f"(`orders start {order_id} --payment-id PAYMENT_ID`)"
        )
    status = OrderStatus(
        order_id=order_id,
        step=OrderStep(record.state) if record.state in FINAL_STATES else OrderStep.RECEIVING,
        state=record.state,
        reason=record.reason,
        address=record.details.address,
        tracking_id=record.tracking_id,
        last_sequence=record.last_sequence,
    )
    return await _with_records(clients, OrderView(run, status, approved=None))
