"""docs/evolving-workflows.md does what it says: which of its versions replays the histories of which."""

import re
import textwrap
from pathlib import Path
from typing import Final

import pytest
from temporalio import activity
from temporalio.client import WorkflowHistory
from temporalio.testing import WorkflowEnvironment
from temporalio.workflow import NondeterminismError

from schemas.states import OrderState
from tests.replay.example_of_a_change import Careless, Deprecated, Patched, Removed
from tests.replay.record import HISTORIES, read_history, replayer
from tests.workflow.workbench import time_skipping
from tests.workflow.workbench.bench import APPROVED, CREATED, Bench, running

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = (ROOT / "docs/evolving-workflows.md").read_text()
TODAY: Final = read_history(HISTORIES / "completed.jsonl")
"""What was recorded before the change."""

REPLAYS: Final[dict[type, dict[object, bool]]] = {
    Patched: {"today": True, Patched: True, Deprecated: True},
    Deprecated: {"today": False, Patched: True, Deprecated: True},
    Removed: {"today": False, Patched: False, Deprecated: True, Removed: True},
    Careless: {"today": False},
}
"""For each version of the code, the versions whose runs it can go on with: the one before it, and so one at a time."""


@pytest.fixture(scope="module")
async def recorded(time_skipping_server: Path) -> dict[object, WorkflowHistory]:
    """A history of each version, and one of the code as it is today."""
    histories: dict[object, WorkflowHistory] = {"today": TODAY}
    async with await time_skipping.start(time_skipping_server) as environment:
        for version in (Patched, Deprecated, Removed):
            histories[version] = await _history_of(version, environment)
    return histories


async def _history_of(version: type, environment: WorkflowEnvironment) -> WorkflowHistory:
    bench, order_id = Bench(environment), f"o-{version.__name__}"
    async with running(bench, order_workflows=[version], more_activities=[screen_order]):
        await bench.send(order_id, CREATED)
        await bench.send(order_id, APPROVED)
        assert (await bench.result(order_id)).state is OrderState.COMPLETED
        return await bench.handle(order_id).fetch_history()


@activity.defn
async def screen_order() -> None:
    """Finds nothing wrong."""


@pytest.mark.parametrize(
    ("version", "of"),
    [(version, of) for version, known in REPLAYS.items() for of in known],
    ids=lambda one: getattr(one, "__name__", one),
)
async def test_a_version_replays_the_runs_of_the_one_before_it_and_no_older(
    recorded: dict[object, WorkflowHistory], version: type, of: object
) -> None:
    replayed = await replayer(version).replay_workflow(recorded[of], raise_on_replay_failure=False)
    if REPLAYS[version][of]:
        assert replayed.replay_failure is None
    else:
        assert isinstance(replayed.replay_failure, NondeterminismError)


def test_the_page_shows_the_code_that_is_tested() -> None:
    source = (ROOT / "tests/replay/example_of_a_change.py").read_text()
    blocks = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert len(blocks) == len([Patched, Deprecated, Removed])
    for version, block in zip((Patched, Deprecated, Removed), blocks, strict=True):
        of_the_class = source.split(f"class {version.__name__}Walk(")[1].split("\n\n\n")[0]
        assert textwrap.indent(block, "    ").strip() in of_the_class
