"""The tables of docs/metrics.md: ``python -m orders.processes.metrics_reference FILE`` puts them into the page."""

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.registry import Collector

from activities.adapters import measured
from activities.adapters.postgres import create_engine
from bridge import BridgeMetrics
from orders.processes.bridge import METRICS_PREFIX
from orders.processes.figures import DatabaseFigures
from orders.processes.server_watch import DEPENDENCY_PREFIX, ServerWatch
from orders.telemetry import approval_waits, spans
from orders.web import metrics as web

PROCESSES: Final = ("all", "bridge", "worker", "api", "traces")
"""A table for each of these; `traces` are of every process that traces."""
_MODULES: Final[dict[str, tuple[ModuleType, ...]]] = {
    "worker": (measured, approval_waits),
    "api": (web,),
    "traces": (spans,),
}
"""Where the metrics are that a process has as soon as it has loaded them."""
_OF_ALL: Final = frozenset(metric.name for metric in ServerWatch().collect())
"""What every process has, by the same names."""


@dataclass(frozen=True, slots=True)
class Described:
    """A metric, as the page tells of it."""

    name: str
    """As it is asked for: a counter's with ``_total``, a histogram's without ``_bucket``, ``_sum`` and ``_count``."""
    kind: str
    labels: tuple[str, ...]
    meaning: str


def metrics_of(process: str) -> list[Described]:
    """The metrics of a process of ours, by name; without those of the Temporal SDK, of Python and of the system.

    Args:
        process: one of `PROCESSES`.
    """
    kept = _Kept()
    if process == "all":
        kept.register(ServerWatch())
    elif process == "bridge":
        BridgeMetrics(kept, METRICS_PREFIX, dependency_prefix=DEPENDENCY_PREFIX)
    elif process == "worker":
        DatabaseFigures(create_engine("postgresql+asyncpg://nobody@nowhere/none"), kept)
    collectors = [*kept.collectors, *(one for module in _MODULES.get(process, ()) for one in _of_module(module))]
    found = (one for collector in collectors for one in _described(collector))
    of_all = _OF_ALL if process == "bridge" else frozenset()
    return sorted((one for one in found if one.name not in of_all), key=lambda one: one.name)


class _Kept(CollectorRegistry):
    """Keeps what is registered with it."""

    def __init__(self) -> None:
        super().__init__()
        self.collectors: list[Collector] = []

    def register(self, collector: Collector) -> None:
        """Takes one."""
        self.collectors.append(collector)


def _of_module(module: ModuleType) -> list[Collector]:
    return [one for one in vars(module).values() if isinstance(one, MetricWrapperBase)]


def _described(collector: Collector) -> Iterable[Described]:
    for metric in collector.collect():
        # Neither says its labels' names in public.
        labels: tuple[str, ...] = getattr(collector, "_labelnames", ()) or getattr(metric, "_labelnames", ())
        name = f"{metric.name}_total" if metric.type == "counter" else metric.name
        yield Described(name, metric.type, labels, metric.documentation)


def rows(process: str) -> list[str]:
    """A row for each metric of a process."""
    table = ["| metric | kind | labels | meaning |", "|---|---|---|---|"]
    for one in metrics_of(process):
        labels = ", ".join(f"`{label}`" for label in one.labels)
        table.append(f"| `{one.name}` | {one.kind} | {labels} | {one.meaning} |")
    return table


def with_tables(page: str) -> str:
    """The page with its tables as the code has them now."""
    for process in PROCESSES:
        begin, end = f"<!-- {process}: made from the code -->\n", "<!-- end -->"
        before, _, rest = page.partition(begin)
        _, _, after = rest.partition(end)
        page = "".join([before, begin, *(f"{row}\n" for row in rows(process)), end, after])
    return page


if __name__ == "__main__":  # pragma: no cover -- a person's command; a test calls what it calls
    path = Path(sys.argv[1])
    path.write_text(with_tables(path.read_text()))
