"""Starts the server on which hours pass in milliseconds while a result is awaited.

It is not the server of production, and differs where a run ends while a signal comes in (seen 2026-11-23):

- It fails the workflow task as "unhandled command", as it should, but tells the worker that all is well. The worker so
  keeps the ended run, hands it the signal, and is refused with "invalid command sequence: [CompleteWorkflowExecution,
  ScheduleActivityTask]". The next attempt, on what the history says, is right. The real server refuses at once.
- It may answer the signal itself with "not found: Completed workflow". The bridge repeats such a call.
- It may lose count of what locks its clock, after which no time passes any more.
"""

from datetime import timedelta
from pathlib import Path
from typing import Final

from temporalio.testing import WorkflowEnvironment

from workflows.converter import DATA_CONVERTER

START_PATIENCE: Final = timedelta(seconds=90)
"""A Java process is up within a second, but the SDK's 5 s are too few on a busy machine (seen at a load of 13)."""


async def start(launcher: Path) -> WorkflowEnvironment:
    """A server of its own, and a client of it.

    Raises:
        RuntimeError: it did not start within `START_PATIENCE`.
    """
    return await WorkflowEnvironment.start_time_skipping(
        data_converter=DATA_CONVERTER,
        test_server_existing_path=str(launcher),
        test_server_startup_timeout=START_PATIENCE,
    )
