"""``orders explain``."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from orders.cli.common import JsonOption, OrderIdArgument, command_app, console, print_json, run_on_servers
from orders.cli.rendering.explain_page import page
from orders.cli.rendering.progress import progress
from orders.cli.times import parse_time
from orders.local.endpoints import server_settings
from orders.operations.explain.documents import as_json as json_page
from orders.operations.explain.gathering import explain as gather

app = command_app()


@app.command()
def explain(
    order_id: OrderIdArgument,
    *,
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="TIME", help="How far back Kafka is read: 2h, 7d, or 2026-01-31T12:00:00Z."),
    ] = None,
    limit: Annotated[
        int, typer.Option("--limit", min=1, help="Most records of Kafka's topics that are read, the newest.")
    ] = 500_000,
    as_json: JsonOption = False,
) -> None:
    """Show everything that is known of an order, on one page.

    What it waits for; the records that name it and what became of each; its dead letters; its runs in Temporal; its
    state, payment, published events and decided events in Postgres. Where one of the three does not answer it says so,
    and shows the rest.

    Exit status: 1 where nobody knows the order; 3 where nothing of it was found and not everybody answered.

    Example: [bold]orders explain o-1 --since 2h[/bold]
    """
    settings = server_settings()
    begin = None if since is None else parse_time(since, "--since", datetime.now(UTC))
    with progress("asking Kafka, Temporal and Postgres", lines=not as_json):
        known = run_on_servers(settings, lambda clients: gather(clients, order_id, since=begin, limit=limit))
    if as_json:
        print_json(json_page(known))
        return
    out = console()
    for line in page(known):
        out.print(line)
