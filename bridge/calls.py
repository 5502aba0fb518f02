"""The call on Temporal that a record becomes, and what makes it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any, Final

from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RetryConfig

RPC_TIMEOUT: Final = timedelta(seconds=10)
"""How long one call may take, retries of the client included, before its outcome counts as unknown."""

SINGLE_ATTEMPT: Final = RetryConfig(max_retries=1)
"""For the client of a bridge (``Client.connect(retry_config=SINGLE_ATTEMPT)``), which does its own repeating.

By default the client repeats a call for 10 s by itself, prints each failure past our logging, and meanwhile neither a
drain nor the log of state changes can know of it (temporalio 1.35; 1 means one attempt).
"""


@dataclass(frozen=True, slots=True)
class Call:
    """One call on Temporal that may be repeated: it starts a workflow, or signals the run that is open.

    Args:
        workflow: The workflow's type.
        workflow_id: The workflow's id. A run that is open under this id is signalled, whatever its type is, so no other
            kind of workflow may use the same ids.
        task_queue: Where a run that is started finds its workers.
        argument: The workflow's one argument; None for none.
        signal: The signal. A run that is open gets it; where none is open, a run starts with it as its first. None for
            a plain start, which leaves a run that is open as it is.
        signal_argument: The signal's one argument; None for none.
        run_again_after_failure: Whether a run may follow one that failed, timed out, was cancelled or terminated. One
            that completed is never followed, as a second completed run would do its work twice.
        run_timeout: The longest that a started run may take; None for no limit.
        summary: A line about the run in Temporal's UI, which may be stored unencrypted; empty for none.
        details: The same in some more words, as Markdown.
        when_closed: The call to make where Temporal allows no further run under the id, or what makes that call, as it
            is seldom needed. None: the record is then a duplicate.
        lane: Records of one lane are called one after the other, in the order of their offsets. None for the workflow's
            id.
        traceparent: The sender's trace where only the record's value has it, as W3C Trace Context writes it; what the
            record's headers say goes before it. None: there is none.
    """

    workflow: str
    workflow_id: str
    task_queue: str
    argument: Any = None
    signal: str | None = None
    signal_argument: Any = None
    run_again_after_failure: bool = True
    run_timeout: timedelta | None = None
    summary: str = ""
    details: str = ""
    when_closed: "Call | Callable[[], Call] | None" = None
    lane: str | None = None
    traceparent: str | None = None

    @property
    def lane_key(self) -> str:
        """What names the call's lane."""
        return self.workflow_id if self.lane is None else self.lane


class CallOutcome(StrEnum):
    """What a call came to, once Temporal has acknowledged it."""

    DELIVERED = "delivered"
    """A run was started, signalled, or found open by a plain start."""
    LATE = "late"
    """No further run is allowed under the id, and the call's `when_closed` was delivered."""
    DUPLICATE = "duplicate"
    """No further run is allowed under the id, and there is nothing else to call, or it was called before."""


class Caller:
    """Makes calls on Temporal.

    Args:
        client: Connected or lazy. A bridge's has `SINGLE_ATTEMPT`. Its data converter writes the arguments.
        rpc_timeout: How long one call may take before its outcome counts as unknown.
        was_settled: Says whether a call's `when_closed` was answered before, and so need not be made; it raises
            nothing. None: it always is made.
    """

    def __init__(
        self,
        client: Client,
        rpc_timeout: timedelta = RPC_TIMEOUT,
        was_settled: Callable[[Call], Awaitable[bool]] | None = None,
    ) -> None:
        self._client = client
        self._rpc_timeout = rpc_timeout
        self._was_settled = was_settled

    async def make(self, call: Call) -> CallOutcome:
        """Makes the call, or the one for where that is closed.

        Race-free, because the server decides in one step whether there is a run to signal. When it raises or is
        cancelled, the outcome is unknown, and the call may be repeated.

        Raises:
            temporalio.service.RPCError: Temporal refused or did not answer; `bridge.decisions` says what it means.
            ValueError: The data converter cannot write an argument; so may other errors of the converter be.
        """
        try:
            await self._start(call)
        except WorkflowAlreadyStartedError:
            late = call.when_closed
            if late is None:
                return CallOutcome.DUPLICATE
            late = late if isinstance(late, Call) else late()
            if self._was_settled is not None and await self._was_settled(late):
                return CallOutcome.DUPLICATE
            outcome = await self.make(late)
            return CallOutcome.LATE if outcome is CallOutcome.DELIVERED else outcome
        return CallOutcome.DELIVERED

    async def _start(self, call: Call) -> None:
        await self._client.start_workflow(
            call.workflow,
            args=_arguments(call.argument),
            id=call.workflow_id,
            task_queue=call.task_queue,
            run_timeout=call.run_timeout,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            id_reuse_policy=(
                WorkflowIDReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY
                if call.run_again_after_failure
                else WorkflowIDReusePolicy.REJECT_DUPLICATE
            ),
            start_signal=call.signal,
            start_signal_args=_arguments(call.signal_argument),
            static_summary=call.summary or None,
            static_details=call.details or None,
            rpc_timeout=self._rpc_timeout,
        )


def _arguments(argument: Any) -> list[Any]:
    return [] if argument is None else [argument]
