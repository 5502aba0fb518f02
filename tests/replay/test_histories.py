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
from tests.replay.lines import lines_in_functions, lines_run
from tests.replay.record import ALL_SCENARIOS, HISTORIES, replayer, said, words_of
from workflows import arrivals, calls, late_event, order, publisher, shipping
from workflows.life import ledger, rules
from workflows.life import recovery as resume
from workflows.life.steps import NEXT_STEPS

RECORDED: Final = {path.stem: path.read_text() for path in sorted(HISTORIES.glob("*.json"))}
KEPT: Final = {
    f"{path.parent.name}/{path.stem}": path.read_text() for path in sorted((HISTORIES.parent / "kept").glob("*/*.json"))
}
"""Of versions whose runs may still be open: see docs/evolving-workflows.md."""

BRANCHING: Final[list[ModuleType]] = [arrivals, calls, late_event, ledger, order, publisher, resume, rules, shipping]
UNREACHED: Final = {
    "_change_address: raise AssertionError": "holds of every state that can be",
    "OrderWorkflow._details: raise AssertionError": "the same",
    "projection_of: return None": "the same, of every look-up after a conflict",
    "OrderWorkflow.status: ": "a history has no queries",
    "_read: raise": "without the keys a workflow task fails, which leaves no history",
    "_row: ": "makes the table of rules, at the import",
    "_decide_valid: rule = ReasonCode.UNKNOWN_ORDER": "500 events that wait for their order make too large a file",
    "OrderWorkflow._continue_if_due: self._is_deciding = True": "1.5 MB of state that is not carried over do so too",
    "OrderWorkflow._continue_if_due: self._decide()": "the same",
    "OrderWorkflow.run: raise self._publisher.written_elsewhere()": "the same",
    "Publisher._resolve: raise self.written_elsewhere() from error": "twenty runs in a row make too many files",
    "ShippingWorkflow._tell: except FailureError": "an attempt ends with its order: only in a race is nobody told",
    "ShippingWorkflow._tell: workflow.logger.warning": "the same",
}
"""Beginnings of lines that no recorded history runs through, each with its reason."""


@pytest.mark.parametrize("name", [*RECORDED, *KEPT])
async def test_the_code_replays_a_recorded_history(name: str) -> None:
    history = WorkflowHistory.from_json(name, {**RECORDED, **KEPT}[name])
    await replayer().replay_workflow(history)


def test_every_scenario_is_recorded() -> None:
    assert {name.split(".")[0] for name in RECORDED} == set(ALL_SCENARIOS)


async def test_the_histories_run_through_every_line_of_the_workflows() -> None:
    """Who adds a branch adds a scenario. Without the sandbox, which imports copies of what is traced."""
    missed = {module.__name__: lines_in_functions(module) for module in BRANCHING}
    with lines_run(BRANCHING) as run:
        for name, text in {**RECORDED, **KEPT}.items():
            history = WorkflowHistory.from_json(name, text)
            runner = UnsandboxedWorkflowRunner()
            await replayer(runner=runner).replay_workflow(history)
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
    told = {word for text in RECORDED.values() for word in _words(json.loads(text))}
    expected = {
        *(("state", state.value) for state in OrderState),
        *(("reason", reason.value) for reason in ReasonCode),
        *(("outcome", outcome.value) for outcome in InboundOutcome),
        *(("type", kind.value) for kind in (*OutboundType, *EventType)),
        *(("found", state.value) for state in NEXT_STEPS),
    }
    assert expected - told == set()


def test_a_run_that_was_continued_is_recorded_with_the_runs_that_follow() -> None:
    ends = [json.loads(RECORDED[name])["events"][-1]["eventType"] for name in RECORDED if name.startswith("continued")]
    assert ends == ["EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW"] * 2 + ["EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED"]


async def test_the_replay_finds_a_workflow_that_has_changed() -> None:
    """As a careless change would look: another activity where the recorded run charged the payment."""
    changed = RECORDED["completed"].replace('"charge_payment"', '"charge_twice"')
    with pytest.raises(workflow.NondeterminismError):
        await replayer().replay_workflow(WorkflowHistory.from_json("completed", changed))


@pytest.mark.parametrize("name", list(RECORDED))
def test_no_history_says_where_it_was_recorded(name: str) -> None:
    events = json.loads(RECORDED[name])["events"]
    assert {word for event in events for field, word in words_of(event) if field == "identity"} <= {"recorded"}


def test_two_recordings_that_differ_by_time_and_chance_alone_are_as_one() -> None:
    one = json.loads(RECORDED["expired"])
    other = json.loads(RECORDED["expired"].replace("2036-", "2037-"))
    assert one != other
    assert said(one) == said(other)
    assert said(one) != said(json.loads(RECORDED["expired"].replace("look_up_order", "look_up")))
    assert said(one) != said(json.loads(RECORDED["rejected"]))


def _words(history: Any) -> Iterator[tuple[str, str]]:
    """What the history says, as pairs of a field and its value; the state that a look-up found is called ``found``."""
    names: dict[str, str] = {}
    for event in history["events"]:
        scheduled = event.get("activityTaskScheduledEventAttributes")
        if scheduled:
            names[event["eventId"]] = scheduled["activityType"]["name"]
        of = names.get(event.get("activityTaskCompletedEventAttributes", {}).get("scheduledEventId", ""))
        for field, word in words_of(event):
            yield ("found" if field == "state" and of == "look_up_order" else field, word)
