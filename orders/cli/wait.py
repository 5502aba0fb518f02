"""``orders wait``."""

from datetime import timedelta
from typing import Annotated

import typer

from orders.cli.common import JsonOption, OrderIdArgument, command_app, console, print_json, run_on_servers
from orders.cli.rendering.progress import progress
from orders.local.endpoints import server_settings
from orders.operations.wait import wait_for_state
from schemas.states import OrderState

app = command_app()


@app.command()
def wait(
    order_id: OrderIdArgument,
    *,
    state: Annotated[
        OrderState | None,
        typer.Option("--state", case_sensitive=False, help="Wait for this state; for the order's end unless given."),
    ] = None,
    timeout: Annotated[float, typer.Option("--timeout", min=0, help="Longest wait, in seconds.")] = 60,
    as_json: JsonOption = False,
) -> None:
    """Wait until an order is over, or has reached a state.

    The order may be one that is still on its way. A state that was reached and left again counts.

    Exit status: 0 reached; 1 the order ended otherwise; 3 Postgres does not answer; 4 not in time.

    Example: [bold]orders wait o-1 --state COMPLETED --timeout 90[/bold]
    """
    within = timedelta(seconds=timeout)
    with progress(f"waiting until {order_id} is {'over' if state is None else state.value}", lines=not as_json):
        reached = run_on_servers(
            server_settings(), lambda clients: wait_for_state(clients, order_id, state, within=within)
        )
    if as_json:
        print_json({"order_id": order_id, "state": reached.value})
        return
    console().print(f"{order_id}: {reached.value}")
