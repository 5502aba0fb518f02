"""``orders list``."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Final

import typer
from rich.table import Table

from orders.cli.common import JsonOption, command_app, console, print_json, run_on_servers
from orders.cli.rendering.moments import in_this_zone
from orders.cli.rendering.progress import progress
from orders.cli.rendering.safe_markup import safe_markup
from orders.cli.rendering.tables import folding_table, keep_whole
from orders.cli.times import age_text, parse_time
from orders.local.endpoints import server_settings
from orders.operations.listing import STATE_NAMES, ListedOrder, list_orders, order_json, recorded_state

app = command_app()


def _states(begun: str) -> list[str]:
    """What a shell offers behind --state."""
    names = (name.lower() if begun.islower() else name for name in STATE_NAMES)
    return [name for name in names if name.startswith(begun)]


@app.command("list")
def list_(
    *,
    state: Annotated[
        list[str] | None,
        typer.Option(
            "--state",
            metavar="STATE",
            autocompletion=_states,
            help="Only orders in this recorded state, or AWAITING_MANUAL_APPROVAL; may be repeated. "
            "Unless given, all that are not over.",
        ),
    ] = None,
    older_than: Annotated[
        str | None,
        typer.Option(
            "--older-than",
            metavar="TIME",
            help="Only orders that have not changed for so long, or since: 10s, 5m, 2h, 7d, or 2026-01-31T12:00:00Z.",
        ),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=100_000, help="Show at most so many.")] = 100,
    as_json: JsonOption = False,
) -> None:
    """List orders by state and age, those that have not changed for longest first.

    From Postgres, which has every order that was accepted, for as long as its table is kept. An order that waits for
    approval is VALIDATED there, and is found by either name; one whose time is over, and that waits until what was in
    Kafka by then has been handed over, says so. What Temporal finds by customer or payment is in docs/operating.md.

    Example: [bold]orders list --state validated --older-than 10s[/bold]
    """
    settings = server_settings()
    until = None if older_than is None else parse_time(older_than, "--older-than", datetime.now(UTC))
    states = {recorded_state(one) for one in state or ()}
    # One more than is shown tells whether there are more.
    with progress("looking for orders", lines=not as_json):
        found = run_on_servers(settings, lambda clients: list_orders(clients, states, until=until, limit=limit + 1))
    shown = found[:limit]
    if as_json:
        for order in shown:
            print_json(order_json(order))
    elif shown:
        console().print(_table(shown))
    notes = console(stderr=True)
    if len(found) > limit:
        notes.print(f"and more: --limit shows more than {limit}")
    elif not shown and not as_json:
        notes.print("no order is like that" if states or until else "no order is open")


_KEPT_WHOLE: Final = ("order", "state", "unchanged", "amount")
_WHERE_THERE_IS_ANY: Final = ("customer", "reason", "waits for")


def _table(found: Sequence[ListedOrder]) -> Table:
    now = datetime.now(UTC)
    rows = [_cells(listed, now) for listed in found]
    columns = [name for name in rows[0] if name not in _WHERE_THERE_IS_ANY or any(row[name] for row in rows)]
    table = folding_table(*columns)
    for row in rows:
        table.add_row(*(safe_markup(row[name]) for name in columns))
    for column, name in zip(table.columns, columns, strict=True):
        if name in _KEPT_WHOLE:
            keep_whole(column)
    return table


def _cells(listed: ListedOrder, now: datetime) -> dict[str, str]:
    order = listed.row
    return {
        "order": order.order_id,
        "state": order.state,
        "unchanged": age_text(order.updated_at, now),
        "amount": f"{order.details.amount} {order.details.currency}",
        "payment": order.details.payment_id,
        "customer": order.details.customer_id or "",
        "reason": order.reason or "",
        "waits for": in_this_zone(listed.waits_for or ""),
    }
