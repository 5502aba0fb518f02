"""``orders audit``."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from orders.cli.common import JsonOption, command_app, console, print_json, run_on_servers
from orders.cli.rendering.progress import progress
from orders.cli.rendering.safe_markup import safe_markup
from orders.cli.times import parse_time
from orders.hints import as_typed
from orders.local.endpoints import server_settings
from orders.operations.audit.checkpoints import write_checkpoint
from orders.operations.audit.findings import Audit, Finding, audit_json
from orders.operations.audit.verifying import Scope, verify
from orders.processes.exit_status import ExitStatus

app = command_app(
    no_args_is_help=True,
    help=(
        "Whether what is recorded of orders, and who decided them, is as it was recorded.\n\n"
        "Each event carries a hash that covers the event before it of its order. docs/security.md says what that can "
        "show, and what it cannot without a checkpoint that is kept elsewhere."
    ),
)
_SHOWN_MAX = 50


@app.command("verify")
def verify_(
    order_id: Annotated[
        str | None, typer.Argument(metavar="ORDER_ID", help="One order; all unless given.", show_default=False)
    ] = None,
    *,
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="TIME", help="Only orders with an event recorded since, as 1d; each whole."),
    ] = None,
    archive: Annotated[
        Path | None,
        typer.Option("--archive", metavar="FOLDER", help="Of the archive; ARCHIVE_FOLDER unless given."),
    ] = None,
    checkpoint: Annotated[
        Path | None,
        typer.Option("--checkpoint", metavar="FILE", help="Also compare with what was kept of an earlier moment."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Verify each event by its hash and each order by its numbers, and say what was changed, is missing or too much.

    It reads only. Events whose personal data was erased are held by what is left of them. Exit status 8 where
    something is not as it was recorded.

    Example: [bold]orders audit verify --since 1d --json[/bold]
    """
    settings = server_settings()
    scope = Scope(
        order_id=order_id,
        since=None if since is None else parse_time(since, "--since", datetime.now(UTC)),
        folder=archive or (Path(settings.archive_folder) if settings.archive_folder else None),
        checkpoint=checkpoint,
    )
    with progress("looking", lines=not as_json) as step:
        audit = run_on_servers(settings, lambda clients: verify(clients, scope, step))
    if as_json:
        print_json(audit_json(audit))
    else:
        _report(audit)
    if not audit.is_whole:
        raise typer.Exit(int(ExitStatus.NOT_WHOLE))


def _report(audit: Audit) -> None:
    out = console()
    out.print(f"{audit.events} events of {audit.orders} orders were verified")
    if audit.checkpoint_orders is not None:
        out.print(f"{audit.checkpoint_orders} orders compared with the checkpoint of SHA-256 {audit.checkpoint_digest}")
    for count, words in (
        (audit.unhashed, "events have no hash: nothing vouches for them"),
        (audit.erased, "events are without personal data, which was erased; the rest of them was verified"),
        (audit.archived_unseen, "orders have events in the archive, which was not looked at: --archive FOLDER"),
        (audit.checkpoint_unseen, "orders of the checkpoint are in the archive, which was not looked at"),
    ):
        if count:
            out.print(f"  of these {count} {words}", markup=False)
    for one in audit.findings[:_SHOWN_MAX]:
        out.print(f"[red]{one.kind}:[/red] {safe_markup(_place(one))}{safe_markup(as_typed(one.detail))}")
    if audit.findings_total > _SHOWN_MAX:
        out.print(f"and {audit.findings_total - _SHOWN_MAX} more; --json has the first thousand")
    out.print("all of it is as it was recorded" if audit.is_whole else "not all of it is as it was recorded")


def _place(one: Finding) -> str:
    if one.order_id is None:
        return ""
    return f"{one.order_id}: " if one.sequence is None else f"{one.order_id}, event {one.sequence}: "


@app.command("checkpoint")
def checkpoint_(
    to: Annotated[Path, typer.Option("--to", metavar="FILE", help="The file to write.")],
    *,
    as_json: JsonOption = False,
) -> None:
    """Write down how far each order is and with which hash, and print the SHA-256 of that.

    Keep the file, or at least the SHA-256, where whoever may change the database cannot reach it. With the file
    [bold]orders audit verify --checkpoint FILE[/bold] finds whole orders that are gone, and hashes that were made anew.

    Example: [bold]orders audit checkpoint --to orders-2026-11-26.jsonl[/bold]
    """
    with progress("writing down how far each order is", lines=not as_json):
        made = run_on_servers(server_settings(), lambda clients: write_checkpoint(clients, to))
    if as_json:
        print_json(
            {"file": str(to), "orders": made.orders, "sha256": made.sha256, "taken_at": made.taken_at.isoformat()}
        )
        return
    console().print(f"{made.sha256}  {to}", markup=False)
    console(stderr=True).print(f"{made.orders} orders; keep this line and the file out of the database's owner's reach")
