"""What a run says to Temporal: its commands, as recorded in a history and as made in a replay.

The SDK's replay compares kinds and names of commands. A changed rule mostly shows in neither: it publishes another
event by the same activity. So the fields are compared here as well: inputs of activities, children and signals,
results, time-outs, retries, timers and search attributes.

What may differ, on purpose:

- a field that is new in a model: it has a default, and whoever wrote the recorded input did not know it;
- summaries and details for people in the Temporal UI: read by nobody else, so they may change at any time;
- the task queue of activities, which is their run's own: a replay's has another name;
- ids of activities and timers, which the SDK gives and compares itself, and what the server fills in;
- a timer that was cancelled in the workflow task that started it: Temporal never learns of it, and no history has it.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from temporalio.api.common.v1 import Payload, RetryPolicy
from temporalio.api.history.v1 import HistoryEvent
from temporalio.bridge.proto.workflow_activation import WorkflowActivation
from temporalio.bridge.proto.workflow_commands import WorkflowCommand
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.client import WorkflowHistory
from temporalio.worker import WorkflowInstance, WorkflowInstanceDetails, WorkflowRunner

from tests.helpers.messages.comparison import differences

UNLIMITED: Final = timedelta(days=3_650)
"""What the server writes for a time-out that is not set."""


OPTIONS: Final = ("start_to_close", "schedule_to_close", "retries")


@dataclass(frozen=True, slots=True)
class Said:
    """One command."""

    kind: str
    fields: dict[str, Any]


class ListeningRunner(WorkflowRunner):
    """Runs workflows as another runner does, and keeps what they say in `said`."""

    def __init__(self, runner: WorkflowRunner) -> None:
        self._runner = runner
        self.said: list[Said] = []

    def prepare_workflow(self, defn: Any) -> None:
        self._runner.prepare_workflow(defn)

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        return _ListeningInstance(self._runner.create_instance(det), self.said)

    def set_worker_level_failure_exception_types(self, types: Any) -> None:
        self._runner.set_worker_level_failure_exception_types(types)


class _ListeningInstance(WorkflowInstance):
    def __init__(self, instance: WorkflowInstance, said: list[Said]) -> None:
        self._instance = instance
        self._said = said

    def activate(self, act: WorkflowActivation) -> WorkflowActivationCompletion:
        completion = self._instance.activate(act)
        commands = completion.successful.commands
        cancelled = {command.cancel_timer.seq for command in commands if command.HasField("cancel_timer")}
        for command in commands:
            if not (command.HasField("start_timer") and command.start_timer.seq in cancelled):
                self._said.extend(_said_by(command))
        return completion

    def get_serialization_context(self, command_info: Any) -> Any:
        return self._instance.get_serialization_context(command_info)

    def get_external_store_context(self, command_info: Any) -> Any:
        return self._instance.get_external_store_context(command_info)

    def get_info(self) -> Any:
        return self._instance.get_info()

    def get_thread_id(self) -> int | None:
        return self._instance.get_thread_id()


def changes(recorded: WorkflowHistory, said: list[Said], *, of_a_release: bool = False) -> list[str]:
    """Where a replay says something else than the history; a sentence each.

    Args:
        recorded: the history.
        said: what its replay says.
        of_a_release: whether the history is one of a released version. Then time-outs and retries may differ: an
            activity that is scheduled keeps its own, and the next one has today's.
    """
    then = [one for event in recorded.events for one in _said_in(event)]
    found = [
        f"command {number}, {before.kind}{change}"
        for number, (before, now) in enumerate(zip(then, said, strict=False), 1)
        for change in differences({"kind": now.kind, **now.fields}, {"kind": before.kind, **before.fields})
        if not (of_a_release and change.split(":")[0].split(".")[1] in OPTIONS)
    ]
    if len(then) != len(said):
        found.append(f"{len(then)} commands then, {len(said)} now")
    return found


def _said_by(command: WorkflowCommand) -> Iterable[Said]:
    """A command as a workflow makes it; nothing for one that a history shows otherwise or not at all."""
    kind = command.WhichOneof("variant")
    if kind == "schedule_activity":
        it = command.schedule_activity
        yield _activity(it.activity_type, it.arguments, it)
    elif kind == "start_child_workflow_execution":
        child = command.start_child_workflow_execution
        yield _child(child.workflow_id, child.workflow_type, child.task_queue, child.input, child.parent_close_policy)
    elif kind == "signal_external_workflow_execution":
        signal = command.signal_external_workflow_execution
        yield _signal(signal.workflow_execution.workflow_id, signal.signal_name, signal.args)
    elif kind == "start_timer":
        yield Said("timer", {"fires_after": command.start_timer.start_to_fire_timeout.ToTimedelta()})
    elif kind == "upsert_workflow_search_attributes":
        yield _attributes(command.upsert_workflow_search_attributes.search_attributes.indexed_fields)
    elif kind == "complete_workflow_execution":
        yield Said("completed", {"result": _value(command.complete_workflow_execution.result)})
    elif kind == "fail_workflow_execution":
        yield _failure(command.fail_workflow_execution.failure)
    elif kind == "continue_as_new_workflow_execution":
        continued = command.continue_as_new_workflow_execution
        yield Said("continued", {"input": _values(continued.arguments)})


def _said_in(event: HistoryEvent) -> Iterable[Said]:
    """The command that an event tells of; nothing for an event that tells of none."""
    kind = event.WhichOneof("attributes")
    if kind == "activity_task_scheduled_event_attributes":
        it = event.activity_task_scheduled_event_attributes
        yield _activity(it.activity_type.name, it.input.payloads, it)
    elif kind == "start_child_workflow_execution_initiated_event_attributes":
        child = event.start_child_workflow_execution_initiated_event_attributes
        queue, payloads = child.task_queue.name, child.input.payloads
        yield _child(child.workflow_id, child.workflow_type.name, queue, payloads, child.parent_close_policy)
    elif kind == "signal_external_workflow_execution_initiated_event_attributes":
        signal = event.signal_external_workflow_execution_initiated_event_attributes
        yield _signal(signal.workflow_execution.workflow_id, signal.signal_name, signal.input.payloads)
    elif kind == "timer_started_event_attributes":
        timer = event.timer_started_event_attributes
        yield Said("timer", {"fires_after": timer.start_to_fire_timeout.ToTimedelta()})
    elif kind == "upsert_workflow_search_attributes_event_attributes":
        upserted = event.upsert_workflow_search_attributes_event_attributes
        yield _attributes(upserted.search_attributes.indexed_fields)
    elif kind == "workflow_execution_completed_event_attributes":
        (result,) = event.workflow_execution_completed_event_attributes.result.payloads
        yield Said("completed", {"result": _value(result)})
    elif kind == "workflow_execution_failed_event_attributes":
        yield _failure(event.workflow_execution_failed_event_attributes.failure)
    elif kind == "workflow_execution_continued_as_new_event_attributes":
        continued = event.workflow_execution_continued_as_new_event_attributes
        yield Said("continued", {"input": _values(continued.input.payloads)})


def _activity(name: str, payloads: Iterable[Payload], options: Any) -> Said:
    return Said(
        "activity",
        {
            "name": name,
            "input": _values(payloads),
            "start_to_close": options.start_to_close_timeout.ToTimedelta(),
            "schedule_to_close": _limit(options.schedule_to_close_timeout.ToTimedelta()),
            "retries": _retries(options.retry_policy),
        },
    )


def _limit(span: timedelta) -> timedelta | None:
    return span if timedelta(0) < span < UNLIMITED else None


def _retries(policy: RetryPolicy) -> dict[str, Any]:
    return {
        "first_after": policy.initial_interval.ToTimedelta(),
        "coefficient": policy.backoff_coefficient,
        "at_most_after": policy.maximum_interval.ToTimedelta(),
        "attempts": policy.maximum_attempts,
        "not_for": list(policy.non_retryable_error_types),
    }


def _child(workflow_id: str, name: str, queue: str, payloads: Iterable[Payload], when_the_parent_ends: int) -> Said:
    return Said(
        "child",
        {
            "workflow_id": workflow_id,
            "name": name,
            "queue": queue,
            "input": _values(payloads),
            "when_the_parent_ends": when_the_parent_ends,
        },
    )


def _signal(workflow_id: str, name: str, payloads: Iterable[Payload]) -> Said:
    return Said("signal", {"workflow_id": workflow_id, "name": name, "input": _values(payloads)})


def _attributes(fields: Any) -> Said:
    return Said("search attributes", {name: _value(payload) for name, payload in fields.items()})


def _failure(failure: Any) -> Said:
    return Said("failed", {"message": failure.message, "type": failure.application_failure_info.type})


def _values(payloads: Iterable[Payload]) -> list[Any]:
    return [_value(payload) for payload in payloads]


def _value(payload: Payload) -> Any:
    return json.loads(payload.data)
