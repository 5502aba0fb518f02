"""``orders up``."""

import asyncio
import contextlib
import secrets

from orders.cli.common import command_app, console, silence_logging
from orders.hints import orders_as_typed
from orders.local.console_producer import ConsoleProducer, example_messages
from orders.local.servers import LocalServers, keep_servers, local_servers, processes
from orders.local.terminal import Terminal
from orders.processes.running import stop_on_signals

app = command_app()

STOP_TIMEOUT_SECONDS = 115.0
"""Bound of the whole stop: four processes one after the other, each of which ends within 26 s or is killed."""


@app.command()
def up() -> None:
    """Run everything on this machine until Ctrl-C.

    Servers (started, or found running), tables and topics, a bridge, a worker for each task queue, the REST API and
    the console; what dies of what it started is started again. Prints the addresses, and lines to paste for sending
    messages by hand. [bold]orders health[/bold] finds the processes.

    A second one beside it uses the same servers, and says so; whichever ends first leaves the servers to the other.

    Ctrl-C ends everything it started, and then ends with 0; so do SIGTERM and a closed terminal. 1: a process kept
    dying and was given up.

    Settings are those of the environment and .env, as everywhere.

    Example: [bold]ORDER_APPROVAL_TIMEOUT_SECONDS=300 orders up[/bold]
    """
    silence_logging()
    terminal = Terminal(console())
    with local_servers(terminal, with_api=True) as servers:
        _introduce(servers, terminal)
        asyncio.run(_run(servers, terminal))


async def _run(servers: LocalServers, terminal: Terminal) -> None:
    stop = asyncio.Event()
    supervisor = processes(servers, terminal, log_dir=servers.log_dir, with_api=True)
    with stop_on_signals(stop, within_seconds=STOP_TIMEOUT_SECONDS):
        running = asyncio.create_task(supervisor.run(stop), name="supervisor")
        keeping = asyncio.create_task(keep_servers(servers, terminal), name="servers")
        stopping = asyncio.create_task(stop.wait(), name="stop")
        await asyncio.wait([running, keeping, stopping], return_when=asyncio.FIRST_COMPLETED)
        if not running.done():
            terminal.say("\n[bold]stopping[/bold] [dim](Ctrl-C again: at once)[/dim]")
        stopping.cancel()
        stop.set()
        await running
        keeping.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await keeping


def _introduce(servers: LocalServers, terminal: Terminal) -> None:
    """Says where everything is, and how to send a message by hand."""
    settings = servers.settings
    addresses = {
        "Console": f"{servers.api_url}/console",
        "REST API": f"{servers.api_url}  documentation {servers.api_url}/docs",
        "Kafka": settings.kafka_bootstrap_servers,
        "Temporal": f"{settings.temporal_host}  namespace {settings.temporal_namespace}",
        "Temporal UI": servers.temporal_ui,
        "Postgres": f"{settings.db_host}:{settings.db_port}  database {settings.db_name}, user {settings.db_user}",
        "psql": str(servers.running.tools.psql),
        "Kafka tools": str(servers.running.tools.kafka_consumer_groups.parent),
        "logs": str(servers.log_dir),
        "metrics": "  ".join(f"{name} {servers.metrics_url(name)}" for name in servers.health_ports),
    }
    terminal.say()
    for name, address in addresses.items():
        if address:
            terminal.say(f"[bold]{name:<12}[/bold] {address}")
    producer = ConsoleProducer(
        servers.running.tools.kafka_console_producer, settings.kafka_bootstrap_servers, settings.inbound_topics
    )
    number = secrets.token_hex(2)
    for keyed, order_id in ((True, f"hand-{number}-1"), (False, f"hand-{number}-2")):
        what = "with the order's id as the key" if keyed else "without a key"
        terminal.say(f"\n[bold]Send a message by hand, {what}[/bold] (paste into another terminal):")
        for event_type, fields in example_messages(order_id).items():
            terminal.say(f"[dim]# {settings.inbound_topics[event_type]}[/dim]")
            terminal.say_plain(producer.line(event_type, fields, keyed=keyed))
    orders = orders_as_typed()
    terminal.say(
        f"\nAn order waits {settings.order_approval_timeout_seconds:g} s for its approval. "
        f"See what happens: [bold]{orders} events --follow[/bold], [bold]{orders} status ORDER_ID[/bold]. "
        "Ctrl-C ends everything.\n"
    )
