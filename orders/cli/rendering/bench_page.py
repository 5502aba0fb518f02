"""What `orders bench` found, for a person."""

from collections.abc import Iterator, Mapping
from typing import Final

from rich.box import SIMPLE_HEAD
from rich.table import Table

from orders.cli.rendering.tables import folding_table
from orders.operations.bench.report import BenchReport, percentile, what_binds

_KIB: Final = 1024


def bench_page(report: BenchReport) -> Iterator[str | Table]:
    """The page, in parts: text in rich's markup, and tables."""
    ends = ", ".join(f"{count} {state}" for state, count in report.ends.items())
    yield f"[bold]{report.rate:.1f} orders a second[/bold], {report.open_max} open at a time: {ends}"
    yield f"their ids begin with {report.prefix}; they stay, in all stores"
    yield "\n[bold]How long an order takes[/bold]"
    yield (
        f"alone: one after the other; together: {report.open_max} at a time. Half took less than p50, one in a hundred "
        "more than p99"
    )
    yield _times(report)
    yield "[bold]What binds[/bold]"
    yield from (f"- {sentence}" for sentence in what_binds(report))
    yield f"- seen at most: {_seen(report)}"
    yield "\n[bold]What an order leaves[/bold]"
    yield _stores(report)
    if report.histories is not None:
        found = report.histories
        yield (
            f"{found.actions:.1f} actions by Temporal Cloud's price list: {_each(found.actions_each)} "
            f"(read from {found.orders} orders' histories; queries and heartbeats are not in them)"
        )


def _times(report: BenchReport) -> Table:
    table = folding_table("", "alone, p50", "together, p50", "p99", "by whom", box=SIMPLE_HEAD)
    for one in report.stages:
        table.add_row(f"until {one.stage.name}", _ms(one.alone), _ms(one.together), "", one.stage.workers)
    halves = (_ms(percentile(some, 0.5)) for some in (report.alone, report.together))
    table.add_row("[bold]all of it[/bold]", *halves, _ms(percentile(report.together, 0.99)), "")
    return table


def _stores(report: BenchReport) -> Table:
    table = folding_table("store", "KiB an order", "of which", box=SIMPLE_HEAD)
    table.add_row("Postgres, with indexes", _kib(sum(report.postgres_bytes.values())), _each_kib(report.postgres_bytes))
    if report.kafka_bytes is None:
        table.add_row("Kafka", "?", "it does not say: reading the size of its logs needs Describe on the cluster")
    else:
        table.add_row("Kafka, all replicas", _kib(sum(report.kafka_bytes.values())), _each_kib(report.kafka_bytes))
    if report.histories is not None:
        events = f"{report.histories.events_each:.0f} events, shipping included"
        table.add_row("Temporal's history", _kib(report.histories.bytes_each), events)
    return table


def _seen(report: BenchReport) -> str:
    highest = report.highest
    parts = [f"{highest.unsettled} records not handed over"]
    parts += [f"{count} connections to Postgres of `{name}`" for name, count in sorted(highest.connections.items())]
    if highest.cores_busy is not None:
        parts.append(f"{highest.cores_busy:.1f} of {report.cores} processors busy on average")
    return ", ".join(parts)


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms"


def _kib(size: float) -> str:
    return f"{size / _KIB:.1f}"


def _each_kib(sizes: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {_kib(size)}" for name, size in sizes.items())


def _each(numbers: Mapping[str, float]) -> str:
    return ", ".join(f"{number:.1f} {name}" for name, number in sorted(numbers.items(), key=lambda one: -one[1]))
