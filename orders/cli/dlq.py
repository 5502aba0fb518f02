"""``orders dlq``."""

from collections import Counter
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.markup import escape

from orders.cli.common import JsonOption, command_app, console, print_json, run_on_servers
from orders.cli.rendering.dead_letters import letter_lines, summary_lines
from orders.cli.rendering.progress import progress
from orders.cli.rendering.safe_markup import safe_markup
from orders.cli.times import parse_time
from orders.clients.opened import Clients
from orders.errors import OrdersError, UsageError
from orders.local.endpoints import server_settings
from orders.operations.dead_letters.documents import (
    VALUE_BYTES_MAX,
    letter_json,
    purge_json,
    replay_json,
    summary_json,
)
from orders.operations.dead_letters.finding import Listing, list_letters, show_letter
from orders.operations.dead_letters.purging import PurgePlan, plan_purge, purge
from orders.operations.dead_letters.replay_plan import REPLAYS_MAX_DEFAULT
from orders.operations.dead_letters.replaying import ReplayOutcome, replay
from orders.operations.dead_letters.selection import Place, Selection, parse_place
from orders.processes.exit_status import ExitStatus

app = command_app(
    no_args_is_help=True,
    help=(
        "Records that the bridge set aside: find, read, send again, delete.\n\n"
        "All take the same filters; what is given must all hold. Times are ago (30m, 2h, 7d) or as "
        "2026-01-31T12:00:00Z, and are when the record was set aside. docs/dead-letters.md lists the reasons."
    ),
)

_FILTERS = "Filters"
ReasonOption = Annotated[
    list[str] | None,
    typer.Option(
        "--reason", metavar="CODE", rich_help_panel=_FILTERS, help="Error code, as json_truncated; may be repeated."
    ),
]
TopicOption = Annotated[
    list[str] | None,
    typer.Option("--topic", rich_help_panel=_FILTERS, help="Topic that the record came from; may be repeated."),
]
OrderOption = Annotated[
    str | None,
    typer.Option(
        "--order", metavar="ORDER_ID", rich_help_panel=_FILTERS, help="Named by the key or the body, even a broken one."
    ),
]
SinceOption = Annotated[str | None, typer.Option("--since", metavar="TIME", rich_help_panel=_FILTERS)]
UntilOption = Annotated[
    str | None, typer.Option("--until", metavar="TIME", rich_help_panel=_FILTERS, help="Before this time.")
]
PlacesArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="PARTITION:OFFSET", help="Places in the dead-letter topic.", show_default=False),
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")]


def _selection(
    reason: list[str] | None, topic: list[str] | None, order: str | None, since: str | None, until: str | None
) -> Selection:
    now = datetime.now(UTC)
    return Selection(
        reasons=frozenset(reason or ()),
        topics=frozenset(topic or ()),
        order_id=order,
        since=None if since is None else parse_time(since, "--since", now),
        until=None if until is None else parse_time(until, "--until", now),
    )


def _which(places: list[str] | None, selection: Selection) -> Selection | list[Place]:
    """What a command is about: places, or filters, and never nothing at all.

    Raises:
        UsageError: both are given.
    """
    if not places:
        return selection
    if not selection.is_everything:
        raise UsageError("give places or filters, not both")
    return [parse_place(place) for place in places]


# list ---------------------------------------------------------------------------------------------------------------


@app.command("list")
def list_(
    *,
    reason: ReasonOption = None,
    topic: TopicOption = None,
    order: OrderOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=100_000, help="Show at most so many, the newest.")] = 100,
    as_json: JsonOption = False,
) -> None:
    """List dead letters, the newest last, and count them by reason.

    Example: [bold]orders dlq list --reason key_mismatch --since 2h[/bold]
    """
    settings = server_settings()
    selection = _selection(reason, topic, order, since, until)
    with progress("reading the dead letters", lines=not as_json):
        listing = run_on_servers(settings, lambda clients: list_letters(clients, selection, limit))
    out, notes = console(), console(stderr=True)
    if as_json:
        for summary in listing.newest:
            print_json(summary_json(summary))
    for line in () if as_json else summary_lines(listing.newest, titled=True):
        out.print(line)
    if listing.cut:
        notes.print(f"[yellow]cut:[/yellow] {listing.cut} older ones match and are not shown; --limit shows more")
    if not as_json:
        out.print(_totals(listing))
    for code in sorted(selection.reasons - set(listing.codes)):
        there = f"those that are there have: {_counts(listing.codes)}" if listing.codes else "there are no dead letters"
        notes.print(f"no dead letter has the reason {safe_markup(code)}; {there}")


def _totals(listing: Listing) -> str:
    counts = _counts(listing.by_reason)
    return f"[dim]{listing.matching} of {listing.scanned} read match{': ' if counts else ''}{counts}[/dim]"


def _counts(codes: Counter[str]) -> str:
    return ", ".join(f"{safe_markup(code)} {count}" for code, count in codes.most_common())


# show ---------------------------------------------------------------------------------------------------------------


@app.command()
def show(
    place: Annotated[str, typer.Argument(metavar="PARTITION:OFFSET", help="Its place in the dead-letter topic.")],
    *,
    full: Annotated[bool, typer.Option("--full", help="The whole value, however long.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show everything about one dead letter.

    Whatever is in it, it is only shown: control characters are written as escapes, binary values as a hexdump, and long
    ones are cut. Of a record that was too large to be copied, the original is shown where its topic still keeps it.

    Example: [bold]orders dlq show 3:17[/bold]
    """
    settings = server_settings()
    at = parse_place(place)
    with progress("reading the dead letter", lines=not as_json):
        shown = run_on_servers(settings, lambda clients: show_letter(clients, at))
    value_bytes_max = None if full else VALUE_BYTES_MAX
    if as_json:
        print_json(letter_json(shown, value_bytes_max))
        return
    out = console()
    for name, text in letter_lines(shown, value_bytes_max):
        out.print(f"[dim]{escape(f'{name:<18}')}[/dim]" if name else " " * 4, escape(text), sep="")


# replay -------------------------------------------------------------------------------------------------------------


@app.command("replay")
def replay_(
    places: PlacesArgument = None,
    *,
    reason: ReasonOption = None,
    topic: TopicOption = None,
    order: OrderOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    everything: Annotated[bool, typer.Option("--all", help="All of them, without any filter.")] = False,
    dry_run: DryRunOption = False,
    force: Annotated[
        bool, typer.Option("--force", help="Also those that were replayed --max-replays times already.")
    ] = False,
    trust: Annotated[
        bool,
        typer.Option(
            "--trust", help="Also those of which nobody knows whether a bridge wrote them. Look at each first."
        ),
    ] = False,
    max_replays: Annotated[
        int, typer.Option("--max-replays", min=1, max=1_000, help="How often one record may be replayed.")
    ] = REPLAYS_MAX_DEFAULT,
    limit: Annotated[
        int, typer.Option("--limit", min=1, max=100_000, help="Do nothing where more than so many are selected.")
    ] = 10_000,
    as_json: JsonOption = False,
) -> None:
    """Send dead letters back to the topics that they came from.

    Each goes to its own partition, in the order in which they first came, with its bytes, its timestamp and its event
    id: replaying twice changes nothing. A record that was set aside more than once is sent once. Correct the cause
    first: what is still wrong is set aside again. Dead letters stay where they are until they are purged or expire.

    Each is held against the record that it was made of, or its signature is checked (BRIDGE_DEAD_LETTER_KEYS): whoever
    may write to the dead-letter topic could have forged it. Where neither can be done it is named, and wants --trust.

    Examples: [bold]orders dlq replay 3:17[/bold], [bold]orders dlq replay --reason refused_by_temporal --dry-run[/bold]
    """
    settings = server_settings()
    selection = _selection(reason, topic, order, since, until)
    if not places and selection.is_everything and not everything:
        raise UsageError("give PARTITION:OFFSET, filters, or --all")
    which = _which(places, selection)
    replays_max = None if force else max_replays

    async def replayed(clients: Clients) -> ReplayOutcome:
        return await replay(
            clients,
            which,
            replays_max=replays_max,
            limit=limit,
            dry_run=dry_run,
            trust=trust,
            progress=lambda done, total: step("dead letters replayed:", done, total),
        )

    with progress("reading the dead letters", lines=not as_json) as step:
        outcome = run_on_servers(settings, replayed)
    _report_replay(outcome, dry_run=dry_run, as_json=as_json)
    if outcome.refused_count:
        raise typer.Exit(int(ExitStatus.FAILURE))


_LINES_MAX = 20


def _report_replay(outcome: ReplayOutcome, *, dry_run: bool, as_json: bool) -> None:
    if as_json:
        print_json(replay_json(outcome, dry_run=dry_run))
        return
    out = console()
    selected = len(outcome.planned)
    if dry_run:
        for planned in outcome.planned[:_LINES_MAX]:
            out.print(f"{planned.place} → {safe_markup(f'{planned.topic}:{planned.partition}')}")
        if selected > _LINES_MAX:
            out.print(f"and {selected - _LINES_MAX} more; --json lists all")
        out.print(f"{selected} would be replayed; nothing was done")
    else:
        out.print(f"{outcome.replayed} replayed")
    if outcome.duplicates:
        out.print(f"{outcome.duplicates} left out: the same record is there more than once")
    for refused in outcome.refused[:_LINES_MAX]:
        out.print(f"[yellow]not replayed:[/yellow] {refused.at} {safe_markup(refused.why)}")
    if outcome.refused_count > _LINES_MAX:
        out.print(f"[yellow]not replayed:[/yellow] {outcome.refused_count - _LINES_MAX} more; --json lists all")


# purge --------------------------------------------------------------------------------------------------------------


@app.command("purge")
def purge_(
    *,
    reason: ReasonOption = None,
    topic: TopicOption = None,
    order: OrderOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    everything: Annotated[bool, typer.Option("--all", help="All of them, without any filter.")] = False,
    dry_run: DryRunOption = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Delete dead letters for good, as far as Kafka can.

    Kafka deletes from the beginning of a partition on, and nothing out of the middle. So what the filters select goes
    where nothing that they do not select stands before it; the rest stays, and is counted. --until alone always deletes
    all that is older, apart from clocks that differ.

    Exit status 1 where something that is selected had to stay.

    Example: [bold]orders dlq purge --until 14d[/bold]
    """
    settings = server_settings()
    selection = _selection(reason, topic, order, since, until)
    if selection.is_everything and not everything:
        raise UsageError("give filters, as --until 14d, or --all")
    with progress("reading the dead letters", lines=not as_json):
        plan = run_on_servers(settings, lambda clients: plan_purge(clients, selection))
    asked = not dry_run and not yes and plan.deleted > 0
    if asked and not typer.confirm(f"Delete {plan.deleted} dead letters for good?", default=False, err=True):
        raise OrdersError("nothing was deleted")
    if not dry_run:
        with progress("deleting the dead letters", lines=not as_json):
            run_on_servers(settings, lambda clients: purge(clients, plan))
    _report_purge(plan, dry_run=dry_run, as_json=as_json)
    if plan.kept:
        raise typer.Exit(int(ExitStatus.FAILURE))


def _report_purge(plan: PurgePlan, *, dry_run: bool, as_json: bool) -> None:
    if as_json:
        print_json(purge_json(plan, dry_run=dry_run))
        return
    out = console()
    out.print(f"{plan.deleted} {'would be ' if dry_run else ''}deleted")
    if plan.kept:
        out.print(
            f"[yellow]{plan.kept} stay[/yellow]: they stand behind others that the filters do not select, and Kafka "
            "deletes from the beginning of a partition only; widen the filters, or let them expire"
        )
