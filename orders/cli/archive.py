"""``orders archive``."""

from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from orders.cli.common import JsonOption, command_app, console, print_json, run_on_servers
from orders.cli.rendering.progress import progress
from orders.cli.rendering.safe_markup import safe_markup
from orders.cli.times import parse_time
from orders.clients.opened import Clients
from orders.errors import UsageError
from orders.local.endpoints import server_settings
from orders.operations.archive.archiving import Archived, archive, archived_json
from orders.processes.exit_status import ExitStatus

app = command_app()
_SHOWN_MAX = 20


@app.command("archive")
def archive_(
    *,
    older_than: Annotated[
        str | None,
        typer.Option(
            "--older-than", metavar="TIME", help="Last changed before, as 90d; ARCHIVE_AFTER_DAYS unless given."
        ),
    ] = None,
    to: Annotated[
        Path | None, typer.Option("--to", metavar="FOLDER", help="Where the files go; ARCHIVE_FOLDER unless given.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Most orders at once.")] = 100_000,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Move the events of orders that are long over out of the database, into files.

    Each file is JSON Lines, compressed by gzip, with its SHA-256 beside it; events are removed once it was read back
    and compared. The order's row stays, and what became of its messages: a late one is answered as before, with the
    next number. Run it as often as you like, and stop it at any moment: what was not removed is archived the next time.

    Exit status 1 where an order had to stay, as Kafka is not known to have all its events.

    Example: [bold]orders archive --older-than 90d --to /srv/orders-archive[/bold]
    """
    settings = server_settings()
    now = datetime.now(UTC)
    age = timedelta(days=settings.archive_after_days)
    until = now - age if older_than is None else parse_time(older_than, "--older-than", now)
    if to is None and settings.archive_folder is None:
        raise UsageError("say where the archive is: --to FOLDER, or ARCHIVE_FOLDER")
    folder = to or Path(settings.archive_folder or "")
    with progress("looking for old orders", lines=not as_json) as step:

        def run(clients: Clients) -> Awaitable[Archived]:
            return archive(
                clients,
                until=until,
                folder=folder,
                limit=limit,
                dry_run=dry_run,
                progress=lambda count, total: step(doing, count, total),
            )

        doing = "old orders counted:" if dry_run else "old orders archived:"
        done = run_on_servers(settings, run)
    if as_json:
        print_json(archived_json(done, dry_run=dry_run))
    else:
        _report(done, folder, dry_run=dry_run)
    if done.unpublished:
        raise typer.Exit(int(ExitStatus.FAILURE))


def _report(done: Archived, folder: Path, *, dry_run: bool) -> None:
    out, notes = console(), console(stderr=True)
    if dry_run:
        out.print(f"{done.events} events of {done.orders} orders would be archived; nothing was done")
    else:
        out.print(f"{done.events} events of {done.orders} orders archived: {len(done.files)} files in {folder}")
    if done.more:
        notes.print("and more: --limit takes more at once")
    if done.changed:
        notes.print(f"{done.changed} orders stay until the next time: somebody wrote to them meanwhile")
    for order_id in done.unpublished[:_SHOWN_MAX]:
        notes.print(f"[yellow]stays:[/yellow] {safe_markup(order_id)}: Kafka is not known to have all its events")
    if len(done.unpublished) > _SHOWN_MAX:
        notes.print(f"[yellow]stay:[/yellow] {len(done.unpublished) - _SHOWN_MAX} more; --json lists all")
