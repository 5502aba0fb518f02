"""Records the histories that new code must replay: ``make record-histories``. On purpose, never by a test.

docs/evolving-workflows.md says when, and what to do before. A history is a file of JSON Lines, one event a line. A file
changes only where its history says something new or is no longer replayed.
"""

import asyncio
import base64
import itertools
import json
import logging
import re
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from temporalio.client import Client, WorkflowHistory
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Replayer, WorkflowRunner

from schemas.event_types import EventType
from stack.java import time_skipping_server
from tests.replay.commands import ListeningRunner, changes
from tests.replay.deadlines import OF_DEADLINES
from tests.replay.runs_after_runs import CONTINUES_AT_EVENTS, OF_ENDED_RUNS, OF_LONG_RUNS
from tests.replay.scenarios import SCENARIOS, Scenario
from tests.workflow.workbench import time_skipping
from tests.workflow.workbench.bench import Bench, running
from tests.workflow.workbench.early_server import early_server
from workflows.converter import DATA_CONVERTER
from workflows.names import ORDER_TASK_QUEUE, SHIPPING_TASK_QUEUE
from workflows.runner import ORDER_WORKFLOWS, SHIPPING_WORKFLOWS, workflow_runner

HISTORIES: Final = Path(__file__).parent / "histories"
ALL_SCENARIOS: Final = {**SCENARIOS, **OF_DEADLINES, **OF_ENDED_RUNS, **OF_LONG_RUNS}


@dataclass
class PlainBench(Bench):
    """Every id is the same each time, so that two recordings of one code differ in their times alone."""

    order_queue: str = ORDER_TASK_QUEUE
    shipping_queue: str = SHIPPING_TASK_QUEUE
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    async def send(self, to: str, event_type: EventType, event_id: str | None = None, **body: Any) -> str:
        return await super().send(to, event_type, event_id or f"{event_type}-{next(self.numbers)}", **body)


async def record(name: str, scenario: Scenario, environment: WorkflowEnvironment) -> None:
    """Plays a scenario and writes its histories, one for each run: the first of a workflow has no number."""
    order_id = f"o-{name}"
    written: set[Path] = set()
    async with running(PlainBench(environment)) as bench:
        for workflow_id in await scenario(bench, order_id):
            kind, _, _ = workflow_id.partition(":")
            suffix = "" if kind == "order" else f".{kind}"
            async for number, history in _runs(bench.client, workflow_id):
                path = HISTORIES / f"{name}{suffix}{'' if number == 1 else f'.run{number}'}.jsonl"
                await _write(path, history)
                written.add(path)
    for path in set(HISTORIES.glob(f"{name}.*jsonl")) - written:
        path.unlink()


async def _runs(client: Client, workflow_id: str) -> AsyncIterator[tuple[int, WorkflowHistory]]:
    """The last run, and those that it continues, numbered from the first."""
    histories: list[WorkflowHistory] = []
    run_id: str | None = None
    while run_id != "":
        history = await client.get_workflow_handle(workflow_id, run_id=run_id).fetch_history()
        histories.insert(0, history)
        run_id = history.events[0].workflow_execution_started_event_attributes.continued_execution_run_id
    for number, history in enumerate(histories, 1):
        yield number, history


async def _write(path: Path, history: WorkflowHistory) -> None:
    """Writes a history, unless the file has one that says the same and that the code still replays.

    When a task of the workflow ran, and how many events it took at once, differs from one recording to the next.
    """
    made = _anonymous(history.to_json_dict())
    if _says(path, made) and await _is_replayed(path):
        sys.stdout.write(f"{path.name}: as before\n")
        return
    _save(path, made)
    sys.stdout.write(f"{path.name}: {len(history.events)} events\n")


def _says(path: Path, history: Any) -> bool:
    return path.exists() and said(read_events(path)) == said(history)


def _save(path: Path, history: Any) -> None:
    lines = [json.dumps(event, separators=(",", ":")) for event in history["events"]]
    path.write_text("".join(f"{line}\n" for line in lines))


def read_events(path: Path) -> dict[str, Any]:
    """A recorded history, as the SDK's JSON has it."""
    return {"events": [json.loads(line) for line in path.read_text().splitlines()]}


def read_history(path: Path) -> WorkflowHistory:
    """A recorded history, named by its file."""
    return WorkflowHistory.from_json(path.stem, read_events(path))


def replayer(*workflows: type, runner: WorkflowRunner | None = None) -> Replayer:
    """What replays histories as a worker does; with the workflows that are given, or all of ours."""
    return Replayer(
        workflows=workflows or (*ORDER_WORKFLOWS, *SHIPPING_WORKFLOWS),
        workflow_runner=runner or workflow_runner(),
        data_converter=DATA_CONVERTER,
    )


async def _is_replayed(path: Path) -> bool:
    history, runner = read_history(path), ListeningRunner(workflow_runner())
    replayed = await replayer(runner=runner).replay_workflow(history, raise_on_replay_failure=False)
    return replayed.replay_failure is None and not changes(history, runner.said)


_OF_THE_MACHINE: Final = ("identity", "stackTrace")


def _anonymous(value: Any) -> Any:
    """Leaves out which machine and process a history comes from: replaying looks at neither of these fields."""
    if isinstance(value, dict):
        return {key: "recorded" if key in _OF_THE_MACHINE else _anonymous(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_anonymous(item) for item in value]
    return value


_BY_CHANCE: Final = re.compile(
    r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"  # An id of a run or of an event.
    r"|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)"
    r"|\d+(\.\d+)?s"
)


def said(history: Any) -> frozenset[tuple[str, str]]:
    """What a history says: the kinds of its events, and the fields and words in them and in their payloads.

    Without what time and chance made of it, and without the order: in that two recordings of one code differ.
    """
    said: set[tuple[str, str]] = set()
    for event in history["events"]:
        if not event["eventType"].startswith("EVENT_TYPE_WORKFLOW_TASK_"):
            said.update((field, _BY_CHANCE.sub("*", word)) for field, word in words_of(event) if field != "eventId")
    return frozenset(pair for pair in said if not pair[1].isdecimal())


def words_of(value: object, field: str = "") -> Iterator[tuple[str, str]]:
    """Every field and text in an event, and in the payloads of it."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from words_of(item, name)
    elif isinstance(value, list):
        for item in value:
            yield from words_of(item, field)
    elif isinstance(value, str) and field == "data":
        yield from words_of(_decoded(value))
    elif isinstance(value, str):
        yield field, value
    else:
        yield field, ""


def _decoded(data: str) -> object:
    try:
        return json.loads(base64.b64decode(data))
    except ValueError:
        return None


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


async def main(names: list[str]) -> None:
    """Records the scenarios that are named, or all of them; then files that belong to none are removed."""
    launcher = time_skipping_server(_say)
    for scenarios in ({**SCENARIOS, **OF_DEADLINES}, OF_ENDED_RUNS):
        async with await time_skipping.start(launcher) as environment:
            for name, scenario in scenarios.items():
                if not names or name in names:
                    await record(name, scenario, environment)
    if not names or set(names) & set(OF_LONG_RUNS):
        async with early_server(CONTINUES_AT_EVENTS, _say) as environment:
            for name, scenario in OF_LONG_RUNS.items():
                await record(name, scenario, environment)
    for path in HISTORIES.glob("*.jsonl"):
        if path.name.split(".")[0] not in ALL_SCENARIOS:
            path.unlink()
            sys.stdout.write(f"{path.name}: removed\n")


if __name__ == "__main__":
    # Activities that fail on purpose are part of most branches.
    logging.getLogger("temporalio").setLevel(logging.CRITICAL)
    asyncio.run(main(sys.argv[1:]))
