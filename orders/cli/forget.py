"""``orders forget``."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from orders.cli.common import JsonOption, command_app, console, print_json, run_on_servers
from orders.cli.rendering.progress import progress
from orders.cli.rendering.safe_markup import safe_markup
from orders.errors import OrdersError
from orders.hints import as_typed
from orders.local.endpoints import server_settings
from orders.operations.archive.forgetting import Forgotten, forget, forgotten_json
from orders.processes.exit_status import ExitStatus

app = command_app()


@app.command("forget")
def forget_(
    customer_id: Annotated[
        str, typer.Argument(metavar="CUSTOMER_ID", help="As the orders name them.", show_default=False)
    ],
    *,
    archive: Annotated[
        Path | None,
        typer.Option("--archive", metavar="FOLDER", help="Of the archive; ARCHIVE_FOLDER unless given."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Erase a customer's personal data from their orders, and say where it may still be.

    Names, addresses, remarks and tracking numbers go, in the orders, in their events and in the archive. Every event
    stays with its number, states, amounts and times, so that journals stay whole. What was published stays as it was.

    Orders that are not over are left alone and named: exit status 1. Afterwards the orders cannot be found by the
    customer any more.

    Example: [bold]orders forget c-42 --dry-run[/bold]
    """
    settings = server_settings()
    folder = archive or (Path(settings.archive_folder) if settings.archive_folder else None)

    def run(*, dry_run: bool) -> Forgotten:
        with progress("looking for the customer's orders", lines=not as_json) as step:
            return run_on_servers(
                settings, lambda clients: forget(clients, customer_id, folder=folder, dry_run=dry_run, progress=step)
            )

    done = run(dry_run=True)
    if not dry_run and (done.orders or done.archived):
        question = f"Erase personal data of {len(done.orders)} orders for good?"
        if not yes and not typer.confirm(question, default=False, err=True):
            raise OrdersError("nothing was erased")
        done = run(dry_run=False)
    if as_json:
        print_json(forgotten_json(done, dry_run=dry_run))
    else:
        _report(done, dry_run=dry_run)
    if done.staying:
        raise typer.Exit(int(ExitStatus.FAILURE))


def _report(done: Forgotten, *, dry_run: bool) -> None:
    out = console()
    if dry_run:
        out.print(f"{len(done.orders)} orders would be erased, {done.archived} in the archive; nothing was done")
    else:
        out.print(
            f"{len(done.orders)} orders erased: {done.events} events in the database, {done.archived} orders in the "
            "archive"
        )
    for one in done.staying:
        out.print(f"[yellow]stays:[/yellow] {safe_markup(one.order_id)} ({one.state}): {as_typed(one.why)}")
    if done.orders or done.staying or done.archived:
        out.print("Not reached:")
        for sentence in done.not_reached:
            out.print(f"  {escape(as_typed(sentence))}", markup=False)
