"""What the database says of all orders, as metrics of the processes that have it at hand."""

import time
from collections.abc import Iterator
from datetime import datetime
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import QueuePool

from activities.adapters.postgres.figures import Figures, read_figures
from activities.ports import DatabaseUnavailableError

READ_EVERY_SECONDS: Final = 10.0
"""However often the page is read, and by however many: the figures are read from the database at most so often."""


class DatabaseFigures(Collector):
    """Reads the figures before a scrape, and reports them with the state of the connections.

    Every worker and API reports the same of all orders: whoever adds up processes takes the greatest.

    Args:
        engine: The database.
        registry: What the metrics are registered with.
    """

    def __init__(self, engine: AsyncEngine, registry: CollectorRegistry) -> None:
        self._engine = engine
        self._figures: Figures | None = None
        self._read_at: float | None = None
        registry.register(self)

    async def refresh(self) -> None:
        """Reads the figures anew where they are old; while the database is away there are none."""
        now = time.monotonic()
        if self._read_at is not None and now - self._read_at < READ_EVERY_SECONDS:
            return
        self._read_at = now
        try:
            self._figures = await read_figures(self._engine)
        except DatabaseUnavailableError:
            self._figures = None

    def collect(self) -> Iterator[Metric]:
        """Each metric with its sample; called by the registry, in any thread."""
        yield from self._of_orders(self._figures)
        yield from self._of_connections()

    def _of_orders(self, figures: Figures | None) -> Iterator[Metric]:
        yield _gauge(
            "orders_awaiting_approval",
            "Orders that wait for a decision; 10,000 means at least so many.",
            None if figures is None else figures.awaiting_approval,
        )
        yield _gauge(
            "orders_oldest_approval_wait_seconds",
            "How long the order exists whose approval is due first; 0 where none waits.",
            None if figures is None else _age(figures.oldest_awaiting_at, figures.as_of),
        )
        yield _gauge(
            "orders_unpublished",
            "Orders with events that are recorded and not known to be published; 10,000 means at least so many.",
            None if figures is None else figures.unpublished,
        )
        yield _gauge(
            "orders_oldest_unpublished_event_age_seconds",
            "Age of the first event that is recorded and not known to be published; 0 where there is none.",
            None if figures is None else _age(figures.oldest_unpublished_at, figures.as_of),
        )

    def _of_connections(self) -> Iterator[Metric]:
        pool = self._engine.pool
        found = GaugeMetricFamily(
            "orders_database_connections", "Connections of this process to Postgres.", labels=("state",)
        )
        if isinstance(pool, QueuePool):
            found.add_metric(("in_use",), pool.checkedout())
            found.add_metric(("idle",), pool.checkedin())
        yield found


def _gauge(name: str, documentation: str, value: float | None) -> GaugeMetricFamily:
    found = GaugeMetricFamily(name, documentation)
    if value is not None:
        found.add_metric((), value)
    return found


def _age(moment: datetime | None, as_of: datetime) -> float:
    # When it was read, not now: an event that was seen in the moment before it was published has not waited since.
    return 0.0 if moment is None else max(0.0, (as_of - moment).total_seconds())
