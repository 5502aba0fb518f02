"""``orders up``."""

import asyncio
import contextlib
import secrets
from collections.abc import Iterator

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
    """Says how to send a message by hand, and where everything is: last what one looks for again."""
    _say_lines_to_paste(servers, terminal)
    terminal.say()
    for name, address in _addresses(servers):
        terminal.say(f"[bold]{name:<12}[/bold] {address}")
    orders, waits = orders_as_typed(), servers.settings.order_approval_timeout_seconds
    lines = ("produce created o-1 --payment-id p-1", "produce approved o-1", "status o-1", "events --follow")
    terminal.say(
        f"\nAn order waits {waits:g} s for its approval. To paste into another terminal: "
        f"{', '.join(f'[bold]{orders} {line}[/bold]' for line in lines)}. Ctrl-C ends everything.\n"
    )


def _say_lines_to_paste(servers: LocalServers, terminal: Terminal) -> None:
    settings = servers.settings
    producer = ConsoleProducer(
        servers.running.tools.kafka_console_producer, settings.kafka_bootstrap_servers, settings.inbound_topics
    )
    number = secrets.token_hex(2)
    for keyed, order_id in ((True, f"hand-{number}-1"), (False, f"hand-{number}-2")):
        what = "with the order's id as the key" if keyed else "without a key"
        terminal.say(f"\n[bold]Send a message by Kafka's own tool, {what}[/bold] (paste into another terminal):")
        for event_type, fields in example_messages(order_id).items():
            terminal.say(f"[dim]# {settings.inbound_topics[event_type]}[/dim]")
            terminal.say_plain(producer.line(event_type, fields, keyed=keyed))


def _addresses(servers: LocalServers) -> Iterator[tuple[str, str]]:
    settings = servers.settings
    yield "Kafka", settings.kafka_bootstrap_servers
    yield "Temporal", f"{settings.temporal_host}  namespace {settings.temporal_namespace}"
    yield "Postgres", f"{settings.db_host}:{settings.db_port}  database {settings.db_name}, user {settings.db_user}"
    yield "psql", str(servers.running.tools.psql)
    yield "Kafka tools", str(servers.running.tools.kafka_consumer_groups.parent)
    yield "logs", str(servers.log_dir)
    for number, name in enumerate(servers.health_ports):
        yield "" if number else "metrics", f"{name} {servers.metrics_url(name)}"
    if servers.temporal_ui:
        yield "Temporal UI", servers.temporal_ui
    yield "REST API", f"{servers.api_url}  documentation {servers.api_url}/docs"
    yield "Console", f"{servers.api_url}/console"
