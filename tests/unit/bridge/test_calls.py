"""Calls on Temporal: what is asked of the client, and what its answers are called."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from bridge.calls import Call, Caller, CallOutcome


@dataclass
class Client:
    """Starts workflows, but for the ids that are closed."""

    closed: set[str] = field(default_factory=set)
    error: Exception | None = None
    asked: list[dict[str, Any]] = field(default_factory=list)

    async def start_workflow(self, workflow: str, **options: Any) -> None:
        self.asked.append({"workflow": workflow} | options)
        if self.error is not None:
            raise self.error
        if options["id"] in self.closed:
            raise WorkflowAlreadyStartedError(options["id"], workflow)


async def make(client: Any, call: Call) -> CallOutcome:
    return await Caller(client, timedelta(seconds=3)).make(call)


async def test_a_signal_starts_the_workflow_where_none_is_open() -> None:
    client = Client()
    call = Call(
        "DeviceWorkflow",
        "d-1",
        "devices",
        argument=1,
        signal="refill",
        signal_argument=2,
        run_timeout=timedelta(days=1),
        summary="device d-1",
        details="begun by a refill",
    )
    assert await make(client, call) is CallOutcome.DELIVERED
    assert client.asked == [
        {
            "workflow": "DeviceWorkflow",
            "args": [1],
            "id": "d-1",
            "task_queue": "devices",
            "run_timeout": timedelta(days=1),
            "id_conflict_policy": WorkflowIDConflictPolicy.USE_EXISTING,
            "id_reuse_policy": WorkflowIDReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY,
            "start_signal": "refill",
            "start_signal_args": [2],
            "static_summary": "device d-1",
            "static_details": "begun by a refill",
            "rpc_timeout": timedelta(seconds=3),
        }
    ]


async def test_what_a_call_does_not_name_is_not_asked_for() -> None:
    client = Client()
    await make(client, Call("DeviceWorkflow", "d-1", "devices", run_again_after_failure=False))
    (asked,) = client.asked
    assert (asked["args"], asked["start_signal"], asked["start_signal_args"]) == ([], None, [])
    assert (asked["static_summary"], asked["static_details"], asked["run_timeout"]) == (None, None, None)
    assert asked["id_reuse_policy"] is WorkflowIDReusePolicy.REJECT_DUPLICATE


LATE = Call("LateWorkflow", "late-d-1", "devices", argument="late")


@pytest.mark.parametrize(
    ("closed", "when_closed", "outcome", "ids"),
    [
        ({"d-1"}, None, CallOutcome.DUPLICATE, ["d-1"]),
        ({"d-1"}, LATE, CallOutcome.LATE, ["d-1", "late-d-1"]),
        ({"d-1"}, lambda: LATE, CallOutcome.LATE, ["d-1", "late-d-1"]),
        ({"d-1", "late-d-1"}, LATE, CallOutcome.DUPLICATE, ["d-1", "late-d-1"]),
        (set(), LATE, CallOutcome.DELIVERED, ["d-1"]),
    ],
    ids=["nothing else to call", "late", "late, made when needed", "late before", "open"],
)
async def test_where_no_further_run_is_allowed_the_other_call_is_made(
    closed: set[str], when_closed: Any, outcome: CallOutcome, ids: list[str]
) -> None:
    client = Client(closed)
    call = Call("DeviceWorkflow", "d-1", "devices", signal="refill", when_closed=when_closed)
    assert await make(client, call) is outcome
    assert [asked["id"] for asked in client.asked] == ids


@pytest.mark.parametrize(
    ("known", "outcome", "ids"),
    [({"late-d-1"}, CallOutcome.DUPLICATE, ["d-1"]), ({"d-1"}, CallOutcome.LATE, ["d-1", "late-d-1"])],
)
async def test_a_late_call_that_was_answered_before_is_not_made(
    known: set[str], outcome: CallOutcome, ids: list[str]
) -> None:
    async def was_settled(call: Call) -> bool:
        return call.workflow_id in known

    client: Any = Client({"d-1"})
    call = Call("DeviceWorkflow", "d-1", "devices", signal="refill", when_closed=lambda: LATE)
    assert await Caller(client, was_settled=was_settled).make(call) is outcome
    assert [asked["id"] for asked in client.asked] == ids


async def test_what_temporal_refuses_or_does_not_answer_is_raised() -> None:
    with pytest.raises(RPCError):
        await make(Client(error=RPCError("away", RPCStatusCode.UNAVAILABLE, b"")), LATE)
