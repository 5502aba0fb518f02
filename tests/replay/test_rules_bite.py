"""The replay sees a rule that has changed: of each rule of the table some history tells."""

from dataclasses import replace
from typing import Final, cast

import pytest
from temporalio.worker import UnsandboxedWorkflowRunner
from temporalio.workflow import NondeterminismError

from schemas.event_types import EventType
from schemas.states import OrderStep, ReasonCode
from tests.replay.commands import ListeningRunner, changes
from tests.replay.record import HISTORIES, read_history, replayer
from workflows.life.steps import STEPS, Rule, Step, Verdict

OPEN_STEPS: Final = [step for step, row in STEPS.items() if row.method is not None]
"""The rows of the other steps are one: at an end everything is refused."""


def changed(rule: Rule) -> Rule:
    """Another rule: what is applied or held is refused, what is refused is so for another reason."""
    if isinstance(rule, Verdict):
        return ReasonCode.CARD_DECLINED
    return ReasonCode.STALE


@pytest.mark.parametrize("event_type", EventType)
@pytest.mark.parametrize("step", OPEN_STEPS)
async def test_some_history_tells_of_a_rule_that_has_changed(
    monkeypatch: pytest.MonkeyPatch, step: OrderStep, event_type: EventType
) -> None:
    row = STEPS[step]
    rules = {**row.rules, event_type: changed(row.rules[event_type])}
    monkeypatch.setitem(cast("dict[OrderStep, Step]", STEPS), step, replace(row, rules=rules))
    assert await _telling_history() is not None


async def test_without_a_change_no_history_tells_of_one() -> None:
    assert await _telling_history() is None


async def _telling_history() -> str | None:
    """The first history that the code no longer replays as it was recorded; None where there is none."""
    for path in sorted(HISTORIES.glob("*.jsonl")):
        history = read_history(path)
        runner = ListeningRunner(UnsandboxedWorkflowRunner())
        replayed = await replayer(runner=runner).replay_workflow(history, raise_on_replay_failure=False)
        if isinstance(replayed.replay_failure, NondeterminismError) or changes(history, runner.said):
            return path.stem
        assert replayed.replay_failure is None
    return None
