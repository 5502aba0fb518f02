"""What holds up a run that is open in Temporal: a workflow task that fails, workers that are not there, activities.

A query that nobody answers says nothing of the cause. Temporal itself knows more: how often the run's workflow task was
tried and why it failed, and who asks its task queue for work.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType, WorkflowTaskFailedCause
from temporalio.api.failure.v1 import Failure
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflowservice.v1 import (
    GetWorkflowExecutionHistoryReverseRequest,
)
from temporalio.client import Client, WorkflowExecutionDescription
from temporalio.converter import DataConverter
from temporalio.exceptions import FailureError

from orders.operations.pollers import last_polls

CALL_TIMEOUT: Final = timedelta(seconds=5)
_EVENTS_LOOKED_AT: Final = 50
"""Of the end of a history: a failed workflow task stands before what came since, such as signals."""
_CAUSE_PREFIX: Final = "WORKFLOW_TASK_FAILED_CAUSE_"


@dataclass(frozen=True, slots=True)
class PendingActivity:
    """An activity that a run waits for: under way, or tried again and again."""

    type: str
    attempt: int
    last_failure: str | None
    next_attempt_at: datetime | None
    last_worker: str | None = None
    """Which worker made the last attempt, by pid and host; None where none did yet."""


@dataclass(frozen=True, slots=True)
class FailingTask:
    """A workflow task that is tried again and again: nothing of its run goes on until it succeeds."""

    times: int
    cause: str | None
    """Temporal's word for the failure, such as ``non_deterministic_error``; None where the history does not say."""
    message: str | None
    """What the worker said."""
    last_at: datetime | None


@dataclass(frozen=True, slots=True)
class OpenRun:
    """A run that is open, and what holds it up or might."""

    workflow_id: str
    task_queue: str
    workers: int
    """How many have asked the task queue for work of late."""
    last_poll_at: datetime | None
    """When the last of them did."""
    failing: FailingTask | None
    pending: tuple[PendingActivity, ...]
    answers: bool | None = None
    """Whether the run has answered a query; None where it was not asked."""
    waited: timedelta = CALL_TIMEOUT
    """How long its answer was waited for."""
    refusal: str | None = None
    """Why a worker that was asked did not answer; None where no worker said anything."""

    @property
    def held_up_by(self) -> str | None:
        """What has to happen before anything of the run goes on; None where nothing holds it up."""
        if self.failing is not None:
            return self._failing(self.failing)
        if self.answers:
            return None
        if self.refusal is not None:
            return (
                f"a worker that can go on with {self.workflow_id}: the one that was asked says: {self.refusal}; look "
                "at its log, and go back to the version before"
            )
        if not self.workers:
            return f"a worker: none asks {self.task_queue} for work; start one with `orders worker`"
        if self.answers is False:
            return (
                f"a worker's answer: {self._polled}, and none has answered within {self.waited.total_seconds():g} s, "
                "so they are busy, or have just stopped; see `orders health worker`"
            )
        return None

    @property
    def failed_activities(self) -> tuple[str, ...]:
        """A sentence for each activity that has failed and is tried again."""
        return tuple(
            f"{one.type}, which has failed {one.attempt - 1} times; the last time"
            f"{f' (by worker {one.last_worker})' if one.last_worker else ''}: {one.last_failure}"
            for one in self.pending
            if one.last_failure
        )

    def _failing(self, task: FailingTask) -> str:
        last = f", the last time at {task.last_at:%Y-%m-%dT%H:%M:%SZ}" if task.last_at else ""
        why = ": ".join(part for part in (task.cause, task.message) if part) or "the history does not say why"
        return (
            f"a workflow task of {self.workflow_id} that succeeds: {self._polled}, but the task has failed "
            f"{task.times} times{last} ({why}); look at the worker's log, and go back to the version before"
        )

    @property
    def _polled(self) -> str:
        if not self.workers:
            return f"no worker asks {self.task_queue} for work now"
        who = "one worker asks" if self.workers == 1 else f"{self.workers} workers ask"
        return f"{who} {self.task_queue} for work"


async def look_at_open_run(
    client: Client,
    description: WorkflowExecutionDescription,
    *,
    answers: bool | None = None,
    waited: timedelta = CALL_TIMEOUT,
    refusal: str | None = None,
) -> OpenRun:
    """Asks Temporal what it knows of an open run's workflow task, workers and activities.

    Args:
        client: Temporal's.
        description: of the run.
        answers: whether it has answered a query; None where it was not asked.
        waited: how long for its answer.
        refusal: what a worker said instead of an answer.
    """
    raw: Any = description.raw_description
    polls = (await last_polls(client, description.task_queue)).values()
    return OpenRun(
        workflow_id=description.id,
        task_queue=description.task_queue,
        workers=len(polls),
        last_poll_at=max(polls, default=None),
        failing=await _failing_task(client, description, raw),
        pending=tuple([await _pending(description.data_converter, one) for one in raw.pending_activities]),
        answers=answers,
        waited=waited,
        refusal=refusal,
    )


async def _failing_task(client: Client, description: WorkflowExecutionDescription, raw: Any) -> FailingTask | None:
    task = raw.pending_workflow_task
    if not raw.HasField("pending_workflow_task") or task.attempt <= 1:
        return None
    event = await _last_failed_task(client, description)
    tried = task.started_time if task.HasField("started_time") else task.scheduled_time
    times, at = task.attempt - 1, tried.ToDatetime(UTC)
    if event is None:
        return FailingTask(times, None, None, at)
    if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT:
        return FailingTask(times, "timed out", "a worker took the task and did not finish it in time", at)
    failed = event.workflow_task_failed_event_attributes
    cause = WorkflowTaskFailedCause.Name(failed.cause).removeprefix(_CAUSE_PREFIX).lower()
    return FailingTask(times, cause, await failure_message(description.data_converter, failed.failure), at)


async def _last_failed_task(client: Client, description: WorkflowExecutionDescription) -> HistoryEvent | None:
    """Of tasks that fail one after the other Temporal writes the first into the history, and only counts the others."""
    answer = await client.workflow_service.get_workflow_execution_history_reverse(
        GetWorkflowExecutionHistoryReverseRequest(
            namespace=client.namespace,
            execution=WorkflowExecution(workflow_id=description.id, run_id=description.run_id),
            maximum_page_size=_EVENTS_LOOKED_AT,
        ),
        timeout=CALL_TIMEOUT,
    )
    kinds = (EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED, EventType.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT)
    return next((event for event in answer.history.events if event.event_type in kinds), None)


async def _pending(converter: DataConverter, activity: Any) -> PendingActivity:
    next_at = activity.next_attempt_schedule_time if activity.HasField("next_attempt_schedule_time") else None
    failure = await failure_message(converter, activity.last_failure) if activity.HasField("last_failure") else None
    return PendingActivity(
        type=activity.activity_type.name,
        attempt=activity.attempt,
        last_failure=failure,
        next_attempt_at=next_at.ToDatetime(UTC) if next_at is not None else None,
        last_worker=activity.last_worker_identity or None,
    )


async def failure_message(converter: DataConverter, failure: Failure) -> str:
    """What a failure says; it may be encrypted.

    Args:
        converter: of the description of the run that it is from, as what is encrypted is bound to its workflow.
        failure: it stays as it is.
    """
    own = Failure()
    own.CopyFrom(failure)  # Decoding changes what it is given.
    error = await converter.decode_failure(own)
    return error.message if isinstance(error, FailureError) else str(error)
