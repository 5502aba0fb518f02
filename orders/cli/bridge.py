"""``orders bridge``."""

import asyncio

from bridge.service import Bridge
from orders.cli.common import command_app, run_process, server_settings
from orders.clients.temporal import lazy_temporal
from orders.exit_status import ExitStatus
from orders.settings import Settings
from orders.wiring import bridge_config

app = command_app()


@app.command()
def bridge() -> None:
    """Run a bridge: each message of the four topics becomes one call on Temporal.

    Run as many as you like: Kafka's consumer group shares the partitions among them. While Kafka or Temporal is away it
    waits. SIGTERM or Ctrl-C: it finishes what is in flight, commits, and ends with 0 within 25 s; the second ends it at
    once.

    Example: [bold]BRIDGE_CALLS_IN_FLIGHT_MAX=200 orders bridge[/bold]
    """
    settings = server_settings()

    async def body(stop: asyncio.Event) -> ExitStatus:
        return await run_bridge(settings, stop)

    run_process("bridge", settings, body)


async def run_bridge(settings: Settings, stop: asyncio.Event) -> ExitStatus:
    """Runs the bridge until it is told to stop; whatever it raises ends the process."""
    running = Bridge(bridge_config(settings), await lazy_temporal(settings))
    async with asyncio.TaskGroup() as tasks:
        stopping = tasks.create_task(_stop_when_told(running, stop), name="bridge-stop")
        await running.run()
        stopping.cancel()
    return ExitStatus.OK


async def _stop_when_told(running: Bridge, stop: asyncio.Event) -> None:
    await stop.wait()
    running.stop()
