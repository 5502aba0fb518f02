"""``orders bench``."""

from typing import Annotated

import typer

from orders.cli.common import JsonOption, command_app, console, print_json, run_on_servers
from orders.cli.rendering.bench_page import bench_page
from orders.cli.rendering.progress import progress
from orders.local.endpoints import server_settings
from orders.operations.bench.report import BenchReport, report_json
from orders.operations.bench.running import OPEN_MAX, Plan, bench, refuse_production
from orders.processes.exit_status import ExitStatus

app = command_app()


@app.command("bench")
def bench_(
    *,
    orders: Annotated[int, typer.Option("--orders", min=20, max=1_000_000, help="How many are sent.")] = 1_000,
    open_max: Annotated[
        int | None,
        typer.Option("--open", min=1, max=10_000, help=f"How many are open at any time; {OPEN_MAX} unless given."),
    ] = None,
    within: Annotated[float, typer.Option("--within", metavar="SECONDS", min=1, help="Longest wait for all.")] = 900,
    yes: Annotated[bool, typer.Option("--yes", help="Also where they are charged and shipped.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Measure this installation: send orders through it, and report what they took and left.

    A tenth of them, at most ten, go one after the other; the rest together, each approved once it is validated. Reports
    orders a second, how long they took, what binds, bytes an order in Postgres, Kafka and Temporal's histories, and the
    actions that Temporal Cloud counts. The orders go the way of any other and stay: nothing is cleaned up.

    Refuses production, and providers that are real, without --yes. Others' orders at the same time count among the
    bytes.

    Exit status: 0 all were completed; 1 some ended otherwise; 3 a server does not answer; 4 not in time.

    Example: [bold]orders bench --orders 1000[/bold]
    """
    settings = server_settings()
    if not yes:
        refuse_production(settings)
    plan = Plan.of(orders, open_max, within)
    try:
        with progress("orders", lines=not as_json) as note:
            report = run_on_servers(settings, lambda clients: bench(clients, plan, note))
    except KeyboardInterrupt:
        console(stderr=True).print(
            f"stopped: what was sent goes on, and stays; orders that are not approved by now expire. Their ids begin "
            f"with {plan.prefix}"
        )
        raise
    _show(report, as_json=as_json)
    if not report.is_whole:
        raise typer.Exit(int(ExitStatus.FAILURE))


def _show(report: BenchReport, *, as_json: bool) -> None:
    if as_json:
        print_json(report_json(report))
        return
    out = console()
    for part in bench_page(report):
        out.print(part)
