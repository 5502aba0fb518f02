"""``orders bridge``."""

import asyncio

from orders.cli.common import command_app, run_process
from orders.local.endpoints import server_settings
from orders.processes.bridge import run_bridge
from orders.processes.exit_status import ExitStatus

app = command_app()


@app.command()
def bridge() -> None:
    """Run a bridge: each message of the four topics becomes one call on Temporal.

    Run as many as you like: Kafka's consumer group shares the partitions among them. While Kafka or Temporal is away it
    waits. SIGTERM or Ctrl-C: it finishes what is in flight, commits, and ends with 0 within 25 s; the second ends it at
    once. 5: so many records could not be read that it stopped (the limits BRIDGE_DEAD_LETTERS_…); look at
    [bold]orders dlq list[/bold] before it is started again. 6: it met records that it cannot have, as where a topic was
    deleted and made anew, and stopped lest it lose some; start it again.

    Example: [bold]BRIDGE_CALLS_IN_FLIGHT_MAX=200 orders bridge[/bold]
    """
    settings = server_settings()

    async def body(stop: asyncio.Event) -> ExitStatus:
        return await run_bridge(settings, stop)

    run_process("bridge", settings, body)
