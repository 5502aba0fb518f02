"""``orders demo``."""

import asyncio
import secrets
import time
from typing import Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from orders.cli.common import JsonOption, command_app, console, print_json, silence_logging
from orders.cli.demo_console import show_console
from orders.cli.rendering.event_lines import event_line
from orders.clients.opened import open_clients
from orders.clients.topic_stream import ReadRecord
from orders.errors import OrdersError, StoppedError
from orders.hints import orders_as_typed
from orders.local.console_producer import ConsoleProducer, example_messages
from orders.local.demo.facts import Verdict
from orders.local.demo.play import Show, play
from orders.local.demo.scenarios import Step, scenarios
from orders.local.servers import LocalServers, local_servers, processes
from orders.local.terminal import Terminal
from orders.processes.running import stop_on_signals
from schemas.event_types import EventType

app = command_app()

APPROVAL_TIMEOUT_SECONDS = 15.0
"""Of the demonstration's own processes: long enough for a slow machine, short enough for a person who watches."""
SCENARIOS_TIMEOUT_SECONDS = 120.0
"""Four times the default approval time-out, which counts where somebody else's bridge takes an order."""
STOP_TIMEOUT_SECONDS = 90.0


@app.command()
def demo(
    *,
    with_console: Annotated[
        bool,
        typer.Option("--console", help="Leave orders waiting for a person to approve in the browser, until Ctrl-C."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show the main job on real servers, and check what happened.

    Starts or finds the servers, makes tables and topics, runs a bridge and a worker for each task queue, sends orders
    through Kafka and shows each event of order.events as it arrives. At the end a table says what was expected and what
    happened, and everything that it started is ended.

    Exit status: 0 all as expected; 1 something was not; 130 Ctrl-C.

    Example: [bold]orders demo[/bold]
    """
    silence_logging()
    if with_console:
        show_console()
        return
    began = time.monotonic()
    out = console(stderr=as_json)
    terminal = Terminal(out)
    with local_servers(terminal) as servers:
        verdicts = asyncio.run(_run(servers, terminal, began))
        _conclude(verdicts, servers, terminal)
    agree = all(verdict.agrees for verdict in verdicts)
    if as_json:
        print_json({"agree": agree, "scenarios": [_as_json(verdict) for verdict in verdicts]})
    if not agree:
        count = sum(not verdict.agrees for verdict in verdicts)
        raise OrdersError(f"{count} of {len(verdicts)} did not come out as expected; logs: {_log_dir(servers)}")


async def _run(servers: LocalServers, terminal: Terminal, began: float) -> list[Verdict]:
    """Plays the scenarios beside the processes; whichever gives up first ends the other."""
    stop = asyncio.Event()
    supervisor = processes(
        servers,
        terminal,
        log_dir=_log_dir(servers),
        quiet=True,
        ORDER_APPROVAL_TIMEOUT_SECONDS=f"{APPROVAL_TIMEOUT_SECONDS:g}",
    )
    with stop_on_signals(stop, within_seconds=STOP_TIMEOUT_SECONDS):
        supervising = asyncio.create_task(supervisor.run(stop), name="supervisor")
        playing = asyncio.create_task(_play(servers, terminal, began), name="scenarios")
        await asyncio.wait([supervising, playing], return_when=asyncio.FIRST_COMPLETED)
        interrupted = stop.is_set()
        stop.set()
        if not playing.done():
            playing.cancel()
        await asyncio.wait([supervising, playing])
        supervising.result()  # Raises where a process was given up.
        if interrupted:
            raise StoppedError("interrupted before all had happened")
        return _result(playing)


async def _play(servers: LocalServers, terminal: Terminal, began: float) -> list[Verdict]:
    run = secrets.token_hex(3)
    async with open_clients(servers.settings) as clients:
        return await play(
            clients,
            _console_producer(servers),
            _show(terminal, began),
            scenarios(run),
            run=run,
            within_seconds=SCENARIOS_TIMEOUT_SECONDS,
        )


def _result(playing: "asyncio.Task[list[Verdict]]") -> list[Verdict]:
    try:
        return playing.result()
    except* OrdersError as errors:
        raise errors.exceptions[0] from None


def _show(terminal: Terminal, began: float) -> Show:
    """Lines for a person, with the seconds since the command began."""

    def stamp() -> str:
        return f"[dim]{time.monotonic() - began:5.1f} s[/dim]"

    def sent(step: Step, order_id: str) -> None:
        how = "[bold]console producer[/bold]" if step.by_console else step.encoding.value
        what = "[red]malformed[/red]" if step.raw is not None else how
        terminal.say(f"{stamp()} [dim]→ {step.event_type.value} {escape(order_id)}[/dim] ({what})")

    def event(event_type: str, body: dict[str, Any]) -> None:
        terminal.say(f"{stamp()} {event_line(event_type, body)}")

    def dead_letter(record: ReadRecord) -> None:
        code, message = record.header("dlq_error_code"), record.header("dlq_message")
        terminal.say(f"{stamp()} [red]dead letter[/red] {escape(str(code))}: {escape(str(message))}")

    return Show(sent, event, dead_letter)


def _conclude(verdicts: list[Verdict], servers: LocalServers, terminal: Terminal) -> None:
    """The table, what differs in full, and how to go on by hand."""
    table = Table("", "what was sent", "expected", "happened", box=SIMPLE_HEAD, pad_edge=False)
    for verdict in verdicts:
        mark = "[green]✓[/green]" if verdict.agrees else "[red]✗[/red]"
        colour = "" if verdict.agrees else "[red]"
        table.add_row(
            mark, verdict.scenario.title, escape(verdict.expected.phrase), colour + escape(verdict.happened.phrase)
        )
    terminal.show_table(table)
    terminal.say(
        "Every order ran once; its events are numbered 1, 2, 3 … without a gap, and equal the rows of the audit table."
        if all(verdict.agrees for verdict in verdicts)
        else ""
    )
    for verdict in verdicts:
        for difference in verdict.differences:
            terminal.say(f"[red]✗ {escape(verdict.order_id)}[/red] {escape(difference)}")
    orders = orders_as_typed()
    terminal.say(
        f"\nSend more by hand: [bold]{orders} up[/bold] keeps all of this running and prints lines to paste, such as"
    )
    fields = example_messages("hand-1")[EventType.ORDER_CREATED]
    terminal.say_plain(_console_producer(servers).line(EventType.ORDER_CREATED, fields, keyed=True))
    terminal.say(f"See what comes of it: [bold]{orders} events --follow[/bold]\n")


def _console_producer(servers: LocalServers) -> ConsoleProducer:
    return ConsoleProducer(
        servers.running.tools.kafka_console_producer,
        servers.settings.kafka_bootstrap_servers,
        servers.settings.inbound_topics,
    )


def _log_dir(servers: LocalServers) -> Any:
    return servers.log_dir / "demo"


def _as_json(verdict: Verdict) -> dict[str, Any]:
    return {
        "scenario": verdict.scenario.name,
        "order_id": verdict.order_id,
        "agrees": verdict.agrees,
        "events": verdict.happened.events,
        "differences": verdict.differences,
        **verdict.happened.further,
    }
