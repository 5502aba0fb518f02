"""What Temporal knows of an order: its runs, where the last one is, and what it tries."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from temporalio.client import (
    Client,
    WorkflowExecution,
    WorkflowExecutionDescription,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowQueryFailedError,
)
from temporalio.service import RPCError, RPCStatusCode

from orders.clients.opened import Clients
from orders.clients.queries import ask
from orders.clients.temporal import reaching_temporal
from orders.operations.open_runs import CALL_TIMEOUT, OpenRun, PendingActivity, look_at_open_run
from orders.operations.view import held_by_another
from schemas.base import IDENTIFIER_PATTERN
from schemas.workflow_io import OrderResult, OrderStatus
from workflows.names import (
    LATE_EVENT_WORKFLOW,
    ORDER_WORKFLOW,
    SHIPPING_WORKFLOW,
    STATUS_QUERY,
    order_id_of,
    order_workflow_id,
)

RUNS_MAX: Final = 50
_CHILDREN_MAX: Final = 5
_LATE_MAX: Final = 5
"""Most open answers to late events that are looked into. In an outage all of an order's wait for the same."""
_ORDER_ID: Final = re.compile(IDENTIFIER_PATTERN)
_OUR_TYPES: Final = frozenset({ORDER_WORKFLOW, SHIPPING_WORKFLOW, LATE_EVENT_WORKFLOW})
_LISTED_MAX: Final = 1_000
"""Most runs that are looked at. Temporal lists by the beginning of an id: with the attempts of an order `a` it lists
those of an order `a:b`."""


@dataclass(frozen=True, slots=True)
class RunView:
    """One workflow run that is part of the order's life."""

    workflow_id: str
    run_id: str
    type: str
    status: str
    started_at: datetime
    closed_at: datetime | None


@dataclass(frozen=True, slots=True)
class TemporalSide:
    """What was found in Temporal."""

    runs: tuple[RunView, ...]
    """The order's own, its shipping attempts, and the answers to late events; oldest first."""
    runs_cut: bool
    status: OrderStatus | None
    """The last run's own answer."""
    result: OrderResult | None
    """What the last run came to, where it completed."""
    failure: str | None
    """Why the last run failed."""
    open_runs: tuple[OpenRun, ...]
    """The last run, where it is open; the open runs that it waits for; and the open answers to late events."""
    in_the_way: str | None = None
    """What to do about a workflow of another type that has the id of the order's; None for nearly all orders."""

    @property
    def pending(self) -> tuple[PendingActivity, ...]:
        """The activities that the open runs wait for."""
        return tuple(one for run in self.open_runs for one in run.pending)


async def look_in_temporal(clients: Clients, order_id: str) -> TemporalSide:
    """Asks Temporal for everything about the order.

    Raises:
        UnreachableError: it does not answer.
        WrongSettingsError: it does not let us in, has no such namespace, or holds payloads that need other keys.
    """
    client = await clients.temporal()
    with reaching_temporal(clients.settings):
        return await _look(client, order_id)


async def _look(client: Client, order_id: str) -> TemporalSide:
    description = await _describe(client, order_id)
    in_the_way = None
    if description is not None and description.workflow_type != ORDER_WORKFLOW:
        # Another team's workflow is asked nothing, and is no run of the order.
        in_the_way = held_by_another(description.id, description.workflow_type)
        description = None
    runs, cut = await _runs(client, order_id, description)
    late = await _open_late_answers(client, runs)
    if description is None:
        return TemporalSide(runs, cut, None, None, None, tuple(late), in_the_way=in_the_way)
    status, own = await _status(client, description)
    result, failure = await _outcome(client, description)
    own_runs = () if own is None else (own, *await _open_children(client, description))
    return TemporalSide(runs, cut, status, result, failure, (*own_runs, *late))


async def _describe(client: Client, order_id: str) -> WorkflowExecutionDescription | None:
    try:
        return await client.get_workflow_handle(order_workflow_id(order_id)).describe(rpc_timeout=CALL_TIMEOUT)
    except RPCError as error:
        if error.status in (RPCStatusCode.NOT_FOUND, RPCStatusCode.INVALID_ARGUMENT):
            return None
        raise


async def _runs(
    client: Client, order_id: str, description: WorkflowExecutionDescription | None = None
) -> tuple[tuple[RunView, ...], bool]:
    """The runs that Temporal lists, and the last one, which the list may not have yet."""
    found = {} if description is None else {description.run_id: _run_view(description)}
    listed = 0
    if _ORDER_ID.fullmatch(order_id):  # No other may stand in a query without quoting, and none is an order's.
        query = (
            f'WorkflowId = "{order_workflow_id(order_id)}" OR WorkflowId STARTS_WITH "shipping:{order_id}:" '
            f'OR WorkflowId STARTS_WITH "late:{order_id}:"'
        )
        async for execution in client.list_workflows(query, limit=_LISTED_MAX, rpc_timeout=CALL_TIMEOUT):
            listed += 1
            if order_id_of(execution.id) != order_id or execution.workflow_type not in _OUR_TYPES:
                continue
            if len(found) >= RUNS_MAX and execution.run_id not in found:
                return _by_time(found.values()), True
            found[execution.run_id] = _run_view(execution)
    return _by_time(found.values()), listed == _LISTED_MAX


def _by_time(runs: Iterable[RunView]) -> tuple[RunView, ...]:
    return tuple(sorted(runs, key=lambda run: run.started_at))


def _run_view(execution: WorkflowExecution) -> RunView:
    return RunView(
        execution.id,
        execution.run_id,
        execution.workflow_type,
        execution.status.name if execution.status else "UNKNOWN",
        execution.start_time,
        execution.close_time,
    )


async def _status(
    client: Client, description: WorkflowExecutionDescription
) -> tuple[OrderStatus | None, OpenRun | None]:
    """The run's own answer, and what holds it up where it is open."""
    status = refusal = None
    try:
        handle = client.get_workflow_handle(description.id)
        status = await ask(handle, STATUS_QUERY, result_type=OrderStatus, wait=CALL_TIMEOUT)
    except WorkflowQueryFailedError as error:
        refusal = str(error)
    except RPCError:
        pass  # Why nobody answers is asked of Temporal next.
    if description.status is not WorkflowExecutionStatus.RUNNING:
        return status, None
    return status, await look_at_open_run(client, description, answers=status is not None, refusal=refusal)


async def _open_children(client: Client, description: WorkflowExecutionDescription) -> list[OpenRun]:
    """The open runs that the order's run has begun and waits for: its attempt to ship."""
    raw: Any = description.raw_description
    children = [(child.workflow_id, child.run_id) for child in raw.pending_children[:_CHILDREN_MAX]]
    return await _still_open(client, children)


async def _open_late_answers(client: Client, runs: Iterable[RunView]) -> list[OpenRun]:
    """The open runs that answer late events. Each is a run of its own, which nothing of the order waits for."""
    late = [
        (run.workflow_id, run.run_id)
        for run in runs
        if run.type == LATE_EVENT_WORKFLOW and run.status == WorkflowExecutionStatus.RUNNING.name
    ]
    return await _still_open(client, late[:_LATE_MAX])


async def _still_open(client: Client, runs: Iterable[tuple[str, str]]) -> list[OpenRun]:
    """Those of these runs, by workflow id and run id, that have not ended meanwhile."""
    found = []
    for workflow_id, run_id in runs:
        try:
            described = await client.get_workflow_handle(workflow_id, run_id=run_id).describe(rpc_timeout=CALL_TIMEOUT)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            continue
        if described.status is WorkflowExecutionStatus.RUNNING:
            found.append(await look_at_open_run(client, described))
    return found


async def _outcome(client: Client, description: WorkflowExecutionDescription) -> tuple[OrderResult | None, str | None]:
    if description.status is WorkflowExecutionStatus.RUNNING:
        return None, None
    try:
        handle = client.get_workflow_handle(description.id, run_id=description.run_id, result_type=OrderResult)
        return await handle.result(follow_runs=False, rpc_timeout=CALL_TIMEOUT), None
    except WorkflowFailureError as error:
        return None, str(error.cause)
