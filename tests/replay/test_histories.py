"""I14: new code replays every recorded history."""

import pytest
from temporalio import workflow
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer

from tests.replay.record import HISTORIES, SCENARIOS
from workflows.converter import DATA_CONVERTER
from workflows.runner import ORDER_WORKFLOWS, SHIPPING_WORKFLOWS, workflow_runner

RECORDED = {path.stem: path.read_text() for path in sorted(HISTORIES.glob("*.json"))}


def replayer(*workflows: type) -> Replayer:
    return Replayer(workflows=workflows, workflow_runner=workflow_runner(), data_converter=DATA_CONVERTER)


@pytest.mark.parametrize("name", list(RECORDED))
async def test_the_code_replays_a_recorded_history(name: str) -> None:
    history = WorkflowHistory.from_json(name, RECORDED[name])
    await replayer(*ORDER_WORKFLOWS, *SHIPPING_WORKFLOWS).replay_workflow(history)


def test_every_branch_is_recorded() -> None:
    assert {name.split(".")[0] for name in RECORDED} == {scenario.__name__ for scenario in SCENARIOS}


async def test_the_replay_finds_a_workflow_that_has_changed() -> None:
    """As a careless change would look: another activity where the recorded run charged the payment."""
    changed = RECORDED["completed"].replace('"charge_payment"', '"charge_twice"')
    with pytest.raises(workflow.NondeterminismError):
        await replayer(*ORDER_WORKFLOWS).replay_workflow(WorkflowHistory.from_json("completed", changed))
