"""``orders doctor``."""

import platform
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import typer

from orders.cli.common import JsonOption, command_app, console, print_json, run_on_servers
from orders.cli.rendering.findings import finding_lines
from orders.cli.rendering.moments import moment_text
from orders.cli.rendering.progress import progress
from orders.cli.rendering.safe_markup import safe_markup
from orders.clients.opened import Clients
from orders.errors import OrdersError
from orders.hints import as_typed
from orders.installation.connections.findings import Finding, Verdict, finding_json
from orders.installation.connections.trying import try_connections
from orders.local.endpoints import has_local_servers, server_settings
from orders.operations.doctor import Advice, Condition, advice, examine
from orders.processes.exit_status import ExitStatus
from orders.settings import Settings, load_settings
from orders.settings.model import ENDPOINT_SETTINGS
from orders.version import application_version, source_revision

app = command_app()


@dataclass(frozen=True, slots=True)
class _Report:
    """Everything on the page."""

    versions: dict[str, str]
    servers_from: str
    ups: tuple[str, ...]
    findings: Sequence[Finding]
    condition: Condition | None
    """None where no server is known."""
    advice: Sequence[Advice]

    @property
    def is_healthy(self) -> bool:
        """Whether orders run, and will go on running."""
        return not any(one.stops_orders for one in self.advice)


@app.command()
def doctor(*, as_json: JsonOption = False) -> None:
    """Show how everything is, on one page, and what to do first.

    Versions, settings, servers and the rights there, topics, lag, workers, dead letters, orders that wait. Only reads.

    Exit status: 0 orders run; 1 something keeps them from it, which is said at the end; 2 a setting is wrong.

    Example: [bold]orders doctor --json | jq .first[/bold]
    """
    with progress("looking", lines=not as_json):
        report = _report()
    if as_json:
        print_json(_json(report))
    else:
        out = console()
        for line in _lines(report):
            out.print(line)
    if not report.is_healthy:
        raise typer.Exit(int(ExitStatus.FAILURE))


def _report() -> _Report:
    configured = load_settings()
    versions = {
        "orders": f"{application_version()} ({source_revision() or 'revision unknown'})",
        "python": platform.python_version(),
        "temporalio": version("temporalio"),
        "aiokafka": version("aiokafka"),
    }
    ups = _ups()
    try:
        settings = server_settings()
    except OrdersError as error:
        return _Report(versions, "nowhere", ups, (), None, [Advice(str(error))])

    async def look(clients: Clients) -> tuple[list[Finding], Condition]:
        # One behind the other: the tries say in their own words why a server is not reached.
        return await try_connections(clients), await examine(clients)

    findings, condition = run_on_servers(settings, look)
    told = [*_from_findings(findings), *advice(condition)]
    return _Report(versions, _origin(configured), ups, findings, condition, told)


def _from_findings(findings: Sequence[Finding]) -> Iterator[Advice]:
    for one in findings:
        if one.verdict is Verdict.MISSING:
            what = f"{one.server}, {one.what}: {one.detail}"
            yield Advice(what if one.action is None else f"{what}: {one.action}")


def _origin(configured: Settings) -> str:
    named = [name.upper() for name in ENDPOINT_SETTINGS if name in configured.model_fields_set]
    return f"settings ({', '.join(named)})" if named else "the local servers that run here"


def _ups() -> tuple[str, ...]:
    if not has_local_servers():
        return ()
    from orders.local.ups import described, running_here  # noqa: PLC0415 - not installed everywhere

    return tuple(described(one) for one in running_here())


def _lines(report: _Report) -> Iterator[str]:
    yield "  ".join(f"[dim]{name}[/dim] {safe_markup(value)}" for name, value in report.versions.items())
    yield f"[dim]servers from[/dim] {report.servers_from}"
    for one in report.ups:
        yield f"[dim]runs here[/dim] {safe_markup(as_typed(one))}"
    if report.findings:
        yield "\n[bold]Servers and rights[/bold]"
        yield from finding_lines(report.findings)
    orders = [] if report.condition is None else list(_condition_lines(report.condition, report.findings))
    if orders:
        yield "\n[bold]Orders[/bold]"
        yield from orders
    yield "\n[bold]What to do first[/bold]"
    for number, todo in enumerate(report.advice, 1):
        colour = "red" if todo.stops_orders else "yellow"
        yield f"[{colour}]{number}.[/{colour}] {safe_markup(as_typed(todo.what))}"
    if not report.advice:
        yield "[green]nothing[/green]"


def _condition_lines(condition: Condition, findings: Sequence[Finding]) -> Iterator[str]:
    if condition.bridges is not None:
        count = len(condition.bridges.members)
        yield (
            f"[dim]bridges[/dim]      {count}, group {safe_markup(condition.bridges.group)} "
            f"{safe_markup(condition.bridges.group_state)}; {condition.unsettled} records not handed over yet"
        )
    if condition.workers is not None:
        each = (
            f"{queue} {sum(one.queue == queue for one in condition.workers.workers)}"
            for queue in condition.workers.queues
        )
        yield f"[dim]workers[/dim]      {', '.join(each)}"
    if condition.counts is not None:
        counted = [f"{state} {count}" for state, count in condition.counts.items() if count]
        yield f"[dim]orders[/dim]       {', '.join(counted) or 'none'}"
    if condition.dead_letters is not None:
        newest = f", the newest of {moment_text(condition.newest_letter_at)}" if condition.newest_letter_at else ""
        reasons = ", ".join(f"{safe_markup(code)} {count}" for code, count in condition.dead_letters.most_common())
        yield f"[dim]dead letters[/dim] {reasons or 'none'}{newest}"
    told = {one.detail for one in findings}
    for problem in condition.problems:
        if problem not in told:
            yield f"[red]not seen[/red]     {safe_markup(as_typed(problem))}"


def _json(report: _Report) -> dict[str, Any]:
    condition = report.condition
    return {
        "healthy": report.is_healthy,
        "versions": report.versions,
        "servers_from": report.servers_from,
        "running_here": list(report.ups),
        "findings": [finding_json(one) for one in report.findings],
        "condition": None if condition is None else _condition_json(condition),
        "first": [{"what": one.what, "stops_orders": one.stops_orders} for one in report.advice],
    }


def _condition_json(condition: Condition) -> dict[str, Any]:
    bridges, workers = condition.bridges, condition.workers
    return {
        "at": condition.at.isoformat(),
        "bridges": None if bridges is None else len(bridges.members),
        "unsettled_records": None if bridges is None else condition.unsettled,
        "late_partitions": None if bridges is None else [one.name for one in condition.late],
        "workers": None
        if workers is None
        else [{"queue": one.queue, "identity": one.identity} for one in workers.workers],
        "unserved_queues": None if workers is None else list(workers.unserved),
        "orders": condition.counts,
        "standing_orders": None if condition.standing is None else list(condition.standing),
        "dead_letters": condition.dead_letters,
        "newest_dead_letter_at": condition.newest_letter_at.isoformat() if condition.newest_letter_at else None,
        "problems": list(condition.problems),
    }
