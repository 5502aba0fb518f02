"""``orders bridge``."""

import asyncio

import structlog

from bridge.calls import SINGLE_ATTEMPT
from bridge.dead_letters.limit import DeadLetterLimitError
from bridge.service import Bridge
from bridge.supervision.watchdog import StuckError
from orders.cli.common import command_app, run_process, server_settings
from orders.clients.temporal import lazy_temporal
from orders.processes.exit_status import ExitStatus
from orders.processes.health_checks import bridge_checks
from orders.processes.health_server import health_server
from orders.settings import Settings
from orders.wiring import bridge_config

app = command_app()

log = structlog.get_logger("bridge")


@app.command()
def bridge() -> None:
    """Run a bridge: each message of the four topics becomes one call on Temporal.

    Run as many as you like: Kafka's consumer group shares the partitions among them. While Kafka or Temporal is away it
    waits. SIGTERM or Ctrl-C: it finishes what is in flight, commits, and ends with 0 within 25 s; the second ends it at
    once. 5: so many records could not be read that it stopped (the limits BRIDGE_DEAD_LETTERS_…); look at
    [bold]orders dlq list[/bold] before it is started again.

    Example: [bold]BRIDGE_CALLS_IN_FLIGHT_MAX=200 orders bridge[/bold]
    """
    settings = server_settings()

    async def body(stop: asyncio.Event) -> ExitStatus:
        return await run_bridge(settings, stop)

    run_process("bridge", settings, body)


async def run_bridge(settings: Settings, stop: asyncio.Event) -> ExitStatus:
    """Runs the bridge until it is told to stop.

    Where going on could lose records it ends by itself, with FAILURE: whoever supervises it starts a new one. At the
    limit of dead letters a new one would set aside as many again, so the status is another, or it waits.
    """
    running = Bridge(bridge_config(settings), await lazy_temporal(settings, retry_config=SINGLE_ATTEMPT))
    stopping = asyncio.create_task(_stop_when_told(running, stop), name="bridge-stop")
    health = (settings.health_bind_address, settings.bridge_health_port, bridge_checks(running))
    try:
        async with health_server(*health, setting="BRIDGE_HEALTH_PORT"):
            try:
                await running.run()
            # The bridge has logged both, with what to do: a traceback would say nothing more.
            except StuckError:
                return ExitStatus.FAILURE
            except DeadLetterLimitError:
                if settings.bridge_dead_letters_limit_action == "wait":
                    log.warning("bridge.waiting", action="look at the dead letters (orders dlq list); then restart it")
                    await stop.wait()
                return ExitStatus.NEEDS_A_PERSON
    finally:
        stopping.cancel()
    return ExitStatus.OK


async def _stop_when_told(running: Bridge, stop: asyncio.Event) -> None:
    await stop.wait()
    running.stop()
