"""A development server of Temporal of a test's own, for limits that the shared one does not have."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from temporalio.testing import WorkflowEnvironment

from stack.progress import ProgressBoard
from stack.service import Start
from stack.temporal_cli import ensure_temporal


@asynccontextmanager
async def own_temporal(
    limits: Mapping[str, object], say: Callable[[str], None], **options: Any
) -> AsyncIterator[WorkflowEnvironment]:
    """Starts it; it is ended with the block.

    Args:
        limits: values of its dynamic configuration, as its command line has them.
        say: is told what is built or fetched for it.
        options: more of ``WorkflowEnvironment.start_local``.
    """
    with ProgressBoard(say) as board:
        program = await asyncio.to_thread(ensure_temporal, Start(board, threading.Event()))
    async with await WorkflowEnvironment.start_local(
        dev_server_existing_path=str(program),
        dev_server_extra_args=[f"--dynamic-config-value={name}={value}" for name, value in limits.items()],
        **options,
    ) as environment:
        yield environment
