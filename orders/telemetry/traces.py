"""Traces of a process of ours, or none: nothing of OpenTelemetry is imported where they are off."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orders.telemetry.spans import Spans


@asynccontextmanager
async def process_spans(endpoint: str | None, process: str) -> AsyncIterator["Spans | None"]:
    """What a process traces with, for as long as the block lasts; None where it does not.

    The end waits a second at most for the last spans to be taken, and not at all where the receiver is away.

    Args:
        endpoint: where spans are sent; None for nowhere.
        process: which of our processes this is.
    """
    if endpoint is None:
        yield None
        return
    from orders.telemetry.spans import Spans  # noqa: PLC0415 -- half a second, where nobody traces

    spans = Spans(endpoint, process)
    try:
        yield spans
    finally:
        await asyncio.to_thread(spans.close)
