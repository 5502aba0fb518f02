"""The page that Prometheus reads: the metrics of one process, those of the Temporal SDK with them."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import structlog
from prometheus_client import REGISTRY, CollectorRegistry, disable_created_metrics, generate_latest

from orders.telemetry.sdk_metrics import SdkMetrics

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

_log = structlog.get_logger("orders.metrics")

# Leaves out the `_created` lines, one more for each counter, which tell when it began: no query of ours asks.
disable_created_metrics()  # type: ignore[no-untyped-call] # The library has no types for it.


class MetricsPage:
    """All metrics of a process as text.

    It is written in a thread, so that the loop goes on meanwhile: 1,000 partitions are 5,000 lines.

    Args:
        registry: The process's own metrics, beside those of `prometheus_client.REGISTRY`.
        refresh: What brings metrics up to date before each reading, in the loop, and soon.
        sdk: The Temporal SDK's; None where they are not measured.
    """

    def __init__(
        self,
        registry: CollectorRegistry | None = None,
        *,
        refresh: Sequence[Callable[[], Awaitable[None]]] = (),
        sdk: SdkMetrics | None = None,
    ) -> None:
        self._registries = [REGISTRY] if registry is None else [registry, REGISTRY]
        self._refresh = refresh
        self._sdk = sdk

    async def read(self) -> bytes:
        """The page as of now."""
        for refresh in self._refresh:
            await refresh()
        return await asyncio.to_thread(self._write)

    def _write(self) -> bytes:
        parts = [generate_latest(registry) for registry in self._registries]
        if self._sdk is not None:
            try:
                parts.append(self._sdk.read())
            except OSError as error:
                # The process's own metrics are served without the SDK's.
                _log.warning("metrics.sdk.unreadable", error=type(error).__name__, detail=str(error))
        return b"".join(parts)
