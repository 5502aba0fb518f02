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
async def early_server(at_events: int, say: Callable[[str], None]) -> AsyncIterator[WorkflowEnvironment]:
    """Starts it; it is ended with the block.

    Args:
        at_events: of a run's history.
        say: is told what is built or fetched for it.
    """
    with ProgressBoard(say) as board:
        program = await asyncio.to_thread(ensure_temporal, Start(board, threading.Event()))
    async with await WorkflowEnvironment.start_local(
        data_converter=DATA_CONVERTER,
        dev_server_existing_path=str(program),
        dev_server_extra_args=["--dynamic-config-value", f"limit.historyCount.suggestContinueAsNew={at_events}"],
    ) as environment:
        yield environment
