"""I14: new code replays every recorded history, and every branch of the code has one."""

import json
from collections.abc import Iterator
from types import ModuleType
from typing import Any, Final

import pytest
from temporalio import workflow
from temporalio.client import WorkflowHistory
from temporalio.worker import UnsandboxedWorkflowRunner

from schemas.event_types import EventType
from schemas.outbound import OutboundType
from schemas.states import InboundOutcome, OrderState, ReasonCode
from tests.replay.commands import ListeningRunner, changes
from tests.replay.lines import lines_in_functions, lines_run
from tests.replay.record import ALL_SCENARIOS, HISTORIES, read_events, read_history, replayer, said, words_of
from workflows import arrivals, calls, late_event, order, publisher, shipping, walk
from workflows.life import ledger, opening, recovery, rules
from workflows.life.steps import NEXT_STEPS
from workflows.runner import workflow_runner

RECORDED: Final = {path.stem: path for path in sorted(HISTORIES.glob("*.jsonl"))}
KEPT: Final = {
    f"{path.parent.name}/{path.stem}": path for path in sorted((HISTORIES.parent / "kept").glob("*/*.jsonl"))
}
"""Of released versions whose runs may still be open: see docs/evolving-workflows.md."""

BRANCHING: Final[list[ModuleType]] = [
    arrivals,
    calls,
    late_event,
    ledger,
    opening,
    order,
    publisher,
    recovery,
    rules,
    shipping,
    walk,
]
UNREACHED: Final = {
    "Run.": "a protocol, whose lines nobody runs",
    "_address_updated: raise DefectError": "holds of every state that can be",
    "Walk._details: raise DefectError": "the same",
    "_apply: raise DefectError": "a type of event without an effect is a defect of ours",
    "change_state: raise DefectError": "so is a transition that the table does not have",
    "OrderWorkflow.status: ": "a history has no queries",
    "OrderWorkflow.event: ": "the same",
    "read_event: workflow.logger.warning": "histories are recorded without keys, so that everybody can read them",
    "_read: raise": "without the keys a workflow task fails, which leaves no history",
    "_decide_valid: rule = ReasonCode.UNKNOWN_ORDER": "500 events that wait for their order make too large a file",
    "opening_of: return None": "the second one: so many events before their order do so too",
    "OrderWorkflow.continue_if_due: self._continues_from_events": "1.5 MB of state that is not carried do so too",
    "OrderWorkflow.continue_if_due: self._continues_once_published": "the same",
    "OrderWorkflow.continuation_is_due: self._continues_once_published": "the same",
    "OrderWorkflow.continue_if_due: self._is_deciding = was_deciding": "the same",
    "OrderWorkflow.continue_if_due: self.decide()": "the same",
    "OrderWorkflow.run: raise self._publisher.written_elsewhere()": "the same",
    "Publisher._note_conflict: raise self.written_elsewhere() from error": "twenty runs in a row make too many files",
    "Publisher.written_elsewhere: ": "the same",
    "OrderWorkflow._until: task.result()": "the same: no other coroutine fails but by a defect",
    "ShippingWorkflow._tell: except FailureError": "an attempt ends with its order: only in a race is nobody told",
    "ShippingWorkflow._tell: workflow.logger.warning": "the same",
}
"""Beginnings of lines that no recorded history runs through, each with its reason."""


@pytest.mark.parametrize("name", [*RECORDED, *KEPT])
async def test_the_code_replays_a_recorded_history_and_says_the_same(name: str) -> None:
    history = read_history({**RECORDED, **KEPT}[name])
    runner = ListeningRunner(workflow_runner())
    await replayer(runner=runner).replay_workflow(history)
    assert changes(history, runner.said, of_a_release=name in KEPT) == [], "where it is meant: make record-histories"


@pytest.mark.parametrize(
    ("text", "by", "change"),
    [
        ('"startToCloseTimeout": "4s"', '"startToCloseTimeout": "5s"', "activity.start_to_close: "),
        ('"maximumInterval": "10s"', '"maximumInterval": "11s"', "activity.retries.at_most_after: "),
        ('"startToFireTimeout": "', '"startToFireTimeout": "1', "timer.fires_after: "),
        ('"shipping:o-completed:1"', '"shipping:o-completed:2"', "child.workflow_id: "),
        ('"PARENT_CLOSE_POLICY_TERMINATE"', '"PARENT_CLOSE_POLICY_ABANDON"', "child.when_the_parent_ends: "),
    ],
)
async def test_a_command_that_says_something_else_is_told(text: str, by: str, change: str) -> None:
    changed = WorkflowHistory.from_json("completed", _replaced("completed", text, by))
    runner = ListeningRunner(workflow_runner())
    await replayer(runner=runner).replay_workflow(read_history(RECORDED["completed"]))
    found = changes(changed, runner.said)
    assert found
    assert all(change in one for one in found)
    of_a_release = changes(changed, runner.said, of_a_release=True)
    assert of_a_release == ([] if change.startswith("activity") else found)


def test_every_scenario_is_recorded() -> None:
    assert {name.split(".")[0] for name in RECORDED} == set(ALL_SCENARIOS)


async def test_the_histories_run_through_every_line_of_the_workflows() -> None:
    """Who adds a branch adds a scenario. Without the sandbox, which imports copies of what is traced."""
    missed = {module.__name__: lines_in_functions(module) for module in BRANCHING}
    with lines_run(BRANCHING) as run:
        for path in (*RECORDED.values(), *KEPT.values()):
            await replayer(runner=UnsandboxedWorkflowRunner()).replay_workflow(read_history(path))
    for module in BRANCHING:
        for line in run[module]:
            missed[module.__name__].pop(line, None)
    left = [
        f"{name}:{line} {text}"
        for name, lines in missed.items()
        for line, text in sorted(lines.items())
        if not text.startswith(tuple(UNREACHED))
    ]
    assert not left, "add a scenario that runs through\n" + "\n".join(left)


def test_the_histories_have_every_state_every_reason_every_outcome_and_every_place_to_go_on_from() -> None:
    told = {word for path in RECORDED.values() for word in _words(read_events(path))}
    expected = {
        *(("state", state.value) for state in OrderState),
        *(("reason", reason.value) for reason in ReasonCode),
        *(("outcome", outcome.value) for outcome in InboundOutcome),
        *(("type", kind.value) for kind in (*OutboundType, *EventType)),
        *(("found", state.value) for state in NEXT_STEPS),
    }
    assert expected - told == set()


def test_a_run_that_was_continued_is_recorded_with_the_runs_that_follow() -> None:
    runs = [read_events(path) for name, path in RECORDED.items() if name.partition(".")[0] == "continued"]
    ends = [run["events"][-1]["eventType"] for run in runs]
    assert set(ends[:-1]) == {"EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW"}
    assert ends[-1] == "EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED"


async def test_the_replay_finds_a_workflow_that_has_changed() -> None:
    """As a careless change would look: another activity where the recorded run charged the payment."""
    changed = _replaced("completed", '"charge_payment"', '"charge_twice"')
    with pytest.raises(workflow.NondeterminismError):
        await replayer().replay_workflow(WorkflowHistory.from_json("completed", changed))


@pytest.mark.parametrize("name", list(RECORDED))
def test_no_history_says_where_it_was_recorded(name: str) -> None:
    events = read_events(RECORDED[name])["events"]
    assert {word for event in events for field, word in words_of(event) if field == "identity"} <= {"recorded"}


def test_two_recordings_that_differ_by_time_and_chance_alone_are_as_one() -> None:
    one = read_events(RECORDED["expired"])
    year = one["events"][0]["eventTime"].split("-")[0]
    other = _replaced("expired", f"{year}-", f"{int(year) + 1}-")
    assert one != other
    assert said(one) == said(other)
    assert said(one) != said(_replaced("expired", "receive_order", "receive"))
    assert said(one) != said(read_events(RECORDED["rejected"]))


def _replaced(name: str, text: str, by: str) -> dict[str, Any]:
    """A recorded history with another text in the place of one that it has."""
    recorded = json.dumps(read_events(RECORDED[name]))
    assert text in recorded
    changed: dict[str, Any] = json.loads(recorded.replace(text, by))
    return changed


def _words(history: Any) -> Iterator[tuple[str, str]]:
    """What the history says, as pairs of a field and its value; the state that a look-up found is called ``found``."""
    names: dict[str, str] = {}
    for event in history["events"]:
        scheduled = event.get("activityTaskScheduledEventAttributes")
        if scheduled:
            names[event["eventId"]] = scheduled["activityType"]["name"]
        of = names.get(event.get("activityTaskCompletedEventAttributes", {}).get("scheduledEventId", ""))
        for field, word in words_of(event):
            yield ("found" if field == "state" and of in ("look_up_order", "receive_order") else field, word)
