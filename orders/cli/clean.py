"""``orders clean``."""

from collections.abc import Sequence
from typing import Annotated

import typer
from rich.table import Table

from orders.cli.common import JsonOption, command_app, console, print_json
from orders.cli.rendering.progress import progress
from orders.cli.rendering.safe_markup import safe_markup
from orders.cli.rendering.tables import folding_table
from orders.errors import OrdersError
from orders.hints import as_typed
from orders.local.cleaning import Kind, Piece, delete_pieces, find_pieces
from orders.processes.exit_status import ExitStatus

app = command_app()


@app.command()
def clean(
    *,
    environments: Annotated[
        bool, typer.Option("--environments", help="Also the environments of clones that are there.")
    ] = False,
    downloads: Annotated[bool, typer.Option("--downloads", help="Also what was downloaded or built.")] = False,
    state: Annotated[bool, typer.Option("--state", help="Also the data and logs of local servers.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="All of it.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list it.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: JsonOption = False,
) -> None:
    """List what lies in the cache and state folders, with sizes, and delete what nobody misses.

    That is what is left of clones that are gone or were set up anew; options add more. What runs now, and what an
    [bold]orders up[/bold] uses, always stays. Asks before it deletes.

    Exit status 1 where something that was to go had to stay.

    Example: [bold]orders clean --dry-run[/bold]
    """
    chosen = {Kind.LEFTOVER, *_also(environments, downloads, state, everything=everything)}
    notes = console(stderr=True)
    with progress("looking", lines=not as_json):
        pieces = find_pieces()
    going = [piece for piece in pieces if piece.kind in chosen and piece.used_by is None]
    if not as_json:
        console().print(_table(pieces, going)) if pieces else notes.print("there is nothing")
    size = _size(sum(piece.bytes_on_disk for piece in going))
    asked = going and not dry_run and not yes
    if asked and not typer.confirm(f"Delete what is marked, {size}?", default=False, err=True):
        raise OrdersError("nothing was deleted")
    problems = [] if dry_run else _delete(going)
    if as_json:
        print_json({"dry_run": dry_run, "problems": problems, "pieces": [_json(piece, going) for piece in pieces]})
    elif going:
        console().print(f"{size} {'would be ' if dry_run else ''}deleted")
    if problems:
        for problem in problems:
            notes.print(as_typed(problem), markup=False)
        raise typer.Exit(int(ExitStatus.FAILURE))


def _also(environments: bool, downloads: bool, state: bool, *, everything: bool) -> set[Kind]:
    given = {Kind.ENVIRONMENT: environments, Kind.DOWNLOAD: downloads, Kind.STATE: state}
    return {kind for kind, wanted in given.items() if wanted or everything}


def _delete(going: list[Piece]) -> list[str]:
    done = 0

    def deleted(piece: Piece) -> None:
        nonlocal done
        done += piece.bytes_on_disk
        step("deleting, MB:", done // 1_000_000, total // 1_000_000)

    total = sum(piece.bytes_on_disk for piece in going)
    with progress("deleting") as step:
        return list(delete_pieces(going, deleted))


def _table(pieces: Sequence[Piece], going: Sequence[Piece]) -> Table:
    table = folding_table("", "size", "kind", "what", "used by")
    table.columns[1].justify = "right"
    for piece in pieces:
        used_by = safe_markup(as_typed(piece.used_by or ""))
        mark = "[red]✗[/red]" if piece in going else ""
        table.add_row(mark, _size(piece.bytes_on_disk), piece.kind, safe_markup(piece.what), used_by)
    return table


def _json(piece: Piece, going: Sequence[Piece]) -> dict[str, object]:
    return {
        "kind": piece.kind,
        "what": piece.what,
        "paths": [str(path) for path in piece.paths],
        "bytes": piece.bytes_on_disk,
        "used_by": piece.used_by,
        "chosen": piece in going,
    }


def _size(size_bytes: int) -> str:
    size = float(size_bytes)
    for unit in ("B", "kB", "MB"):
        if size < 1_000:  # noqa: PLR2004 - the next unit's size
            return f"{size:.0f} {unit}"
        size /= 1_000
    return f"{size:.1f} GB"
