"""A development server of its own that suggests early that a run continues as another; others do at 4,096 events."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from temporalio.testing import WorkflowEnvironment

from tests.helpers.servers.own_temporal import own_temporal
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
    limits = {"limit.historyCount.suggestContinueAsNew": at_events, "history.maximumSignalsPerExecution": signals_max}
    async with own_temporal(limits, say, data_converter=DATA_CONVERTER) as environment:
        yield environment
