"""``orders events``."""

import json
import sys
from typing import Annotated, Any

import typer
from rich.console import Console

from orders.cli.common import JsonOption, command_app, console, print_json, run_on_servers
from orders.cli.rendering.event_lines import EVENTS_HEADER, event_line
from orders.clients.opened import Clients
from orders.clients.topic_stream import ReadRecord, topic_batches
from orders.errors import NotFoundError
from orders.local.endpoints import server_settings

app = command_app()


@app.command()
def events(
    order_id: Annotated[
        str | None, typer.Argument(metavar="ORDER_ID", help="Only this order's.", show_default=False)
    ] = None,
    *,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes, until Ctrl-C.")] = False,
    new: Annotated[bool, typer.Option("--new", help="With --follow: only what comes from now on.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show what was published on order.events, from the beginning.

    One order's events are in order; those of different orders may be shown in another order than they happened. A
    repeated event (same order and sequence) is shown again, as a consumer sees it.

    Examples: [bold]orders events o-1[/bold], [bold]orders events --follow --json | jq .state[/bold]
    """
    shown = run_on_servers(
        server_settings(),
        lambda clients: _show(clients, order_id, follow=follow, new=new and follow, as_json=as_json),
    )
    if order_id is not None and not shown:
        raise NotFoundError(
            f"nothing was published for order {order_id!r}: check the id, or see `orders status {order_id}`"
        )


async def _show(clients: Clients, order_id: str | None, *, follow: bool, new: bool, as_json: bool) -> int:
    """Shows the events; returns how many there were."""
    shown = 0
    out = console()
    topic = clients.settings.kafka_topic_order_events
    async with topic_batches(clients, topic, follow=follow, from_end=new) as batches:
        async for batch in batches:
            for record in batch:
                if order_id is None or record.key == order_id.encode():
                    # For eyes only: a program that reads lines reads events.
                    if not shown and not as_json and sys.stdout.isatty():
                        out.print(EVENTS_HEADER)
                    _show_one(record, out, as_json=as_json)
                    shown += 1
    return shown


def _show_one(record: ReadRecord, out: Console, *, as_json: bool) -> None:
    try:
        body: dict[str, Any] = json.loads(record.value or b"null")
        line = event_line(record.header("ce_type") or "", body)
    except (ValueError, KeyError, TypeError, AttributeError):
        # Not one of ours: somebody else writes to this topic.
        body, line = {"unreadable": True}, "[red]not an event of ours[/red]"
    position = {"topic": record.topic, "partition": record.partition, "offset": record.offset}
    if as_json:
        print_json({**body, "type": record.header("ce_type"), "event_id": record.header("ce_id"), **position})
        return
    out.print(line)
