"""``orders status``."""

from typing import Final
from urllib.parse import quote

from rich.table import Column, Table

from orders.cli.common import JsonOption, OrderIdArgument, command_app, console, print_json, run_on_servers
from orders.cli.rendering.moments import in_this_zone
from orders.cli.rendering.progress import progress
from orders.cli.rendering.safe_markup import safe_markup
from orders.local.endpoints import server_settings
from orders.operations.view import OrderView, view_order
from orders.settings import Settings
from schemas.order import Address
from workflows.names import order_workflow_id

app = command_app()
_LINK: Final = "in Temporal's UI"


@app.command()
def status(order_id: OrderIdArgument, *, as_json: JsonOption = False) -> None:
    """Show where an order is and what it waits for.

    Asks its workflow in Temporal; an order that Temporal has forgotten is looked up in Postgres.

    Example: [bold]orders status o-1 --json[/bold]
    """
    settings = server_settings()
    with progress("asking the order's workflow", lines=not as_json):
        view = run_on_servers(settings, lambda clients: view_order(clients, order_id))
    if as_json:
        print_json(
            {
                "run": view.run,
                "failure": view.failure,
                **view.status.model_dump(mode="json"),
                "approved": view.approved,
                # Only a run that is open says how often it was shipped.
                "shipping_attempt": view.status.shipping_attempt or None,
            }
        )
        return
    _print(view, settings)


def _print(view: OrderView, settings: Settings) -> None:
    order = view.status
    rows = {
        "order": order.order_id,
        "state": order.step.value,
        "recorded as": order.state,
        "reason": order.reason,
        "waits for": in_this_zone(order.waits_for) if order.waits_for else None,
        "run": view.run if view.failure is None else f"{view.run}: {view.failure}",
        "approved": "yes" if view.approved else None,
        "payment": order.payment_id,
        "amount": None if order.amount is None else f"{order.amount} {order.currency} (minor units)",
        "address": _address(order.address),
        "tracking": order.tracking_id,
        "shipping attempt": order.shipping_attempt or None,
        "events published": order.last_sequence,
        "events held": order.held_events or None,
    }
    out, table = console(), Table.grid(Column(width=len(_LINK)), Column(overflow="fold"), padding=(0, 2))
    for name, value in rows.items():
        if value is not None:
            table.add_row(f"[dim]{name}[/dim]", safe_markup(value))
    out.print(table)
    link = _ui_link(settings, order.order_id) if view.run != "GONE" else None
    if link is not None:
        # In no table: a link that is broken into lines cannot be followed.
        out.print(f"[dim]{_LINK}[/dim]  {safe_markup(link)}")


def _address(address: Address | None) -> str | None:
    if address is None:
        return None
    return ", ".join(part for part in address.model_dump(exclude_none=True).values()) or None


def _ui_link(settings: Settings, order_id: str) -> str | None:
    if settings.temporal_ui_url is None:
        return None
    workflow = quote(order_workflow_id(order_id), safe="")
    return f"{settings.temporal_ui_url}/namespaces/{settings.temporal_namespace}/workflows/{workflow}"
