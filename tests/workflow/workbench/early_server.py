"""A development server of its own that suggests early that a run continues as another; others do at 4,096 events."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from temporalio.testing import WorkflowEnvironment

from stack.progress import ProgressBoard
from stack.service import Start
from stack.temporal_cli import ensure_temporal
from workflows.converter import DATA_CONVERTER


@asynccontextmanager
async def early_server(
    at_events: int, say: Callable[[str], None], *, signals_max: int = 10_000
) -> AsyncIterator[WorkflowEnvironment]:
    """Starts it; it is ended with the block.

    Args:
        at_events: of a run's history.
        say: is told what is built or fetched for it.
        signals_max: how many signals it takes in one run; 10,000 is what all servers do.
    """
    with ProgressBoard(say) as board:
        program = await asyncio.to_thread(ensure_temporal, Start(board, threading.Event()))
    limits = {"limit.historyCount.suggestContinueAsNew": at_events, "history.maximumSignalsPerExecution": signals_max}
    async with await WorkflowEnvironment.start_local(
        data_converter=DATA_CONVERTER,
        dev_server_existing_path=str(program),
        dev_server_extra_args=[f"--dynamic-config-value={name}={value}" for name, value in limits.items()],
    ) as environment:
        yield environment
