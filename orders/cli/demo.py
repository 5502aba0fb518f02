"""``orders demo``."""

import asyncio
import secrets
import time
from collections.abc import Iterator
from typing import Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.markup import escape

from orders.cli.common import JsonOption, command_app, console, print_json, silence_logging
from orders.cli.demo_console import show_console
from orders.cli.rendering.event_lines import event_line
from orders.cli.rendering.safe_markup import safe_markup
from orders.cli.rendering.tables import folding_table
from orders.cli.rendering.trouble_line import trouble_line
from orders.clients.opened import open_clients
from orders.clients.topic_stream import ReadRecord
from orders.errors import OrdersError, StoppedError
from orders.hints import as_typed, orders_as_typed
from orders.local.console_producer import ConsoleProducer, example_messages
from orders.local.demo.facts import Verdict
from orders.local.demo.play import Show, play
from orders.local.demo.scenarios import Step, scenarios
from orders.local.demo.troubles import Troubles
from orders.local.servers import LocalServers, local_servers, processes
from orders.local.terminal import Terminal
from orders.local.ups import described
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
    out = console(stderr=as_json)
    terminal = Terminal(out)
    with local_servers(terminal) as servers:
        began = time.monotonic()
        troubles = Troubles(
            servers.settings,
            lambda sentence, is_over: terminal.say(f"{_stamp(began)} {trouble_line(sentence, is_over=is_over)}"),
        )
        verdicts = asyncio.run(_run(servers, terminal, troubles, began))
        _conclude(verdicts, troubles, servers, terminal)
    agree = all(verdict.agrees for verdict in verdicts)
    if as_json:
        told = {"agree": agree, "troubles": troubles.standing}
        print_json({**told, "scenarios": [_as_json(verdict) for verdict in verdicts]})
    if not agree:
        count = sum(not verdict.agrees for verdict in verdicts)
        why = "".join(f"; {sentence}" for sentence in troubles.standing)
        raise OrdersError(f"{count} of {len(verdicts)} did not come out as expected{why}; logs: {_log_dir(servers)}")


async def _run(servers: LocalServers, terminal: Terminal, troubles: Troubles, began: float) -> list[Verdict]:
    """Plays the scenarios beside the processes; whichever gives up first ends the other."""
    stop = asyncio.Event()
    supervisor = processes(
        servers,
        terminal,
        log_dir=_log_dir(servers),
        quiet=True,
        also=troubles.take_line,
        ORDER_APPROVAL_TIMEOUT_SECONDS=f"{APPROVAL_TIMEOUT_SECONDS:g}",
    )
    with stop_on_signals(stop, within_seconds=STOP_TIMEOUT_SECONDS):
        supervising = asyncio.create_task(supervisor.run(stop), name="supervisor")
        playing = asyncio.create_task(_play(servers, terminal, troubles, began), name="scenarios")
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


async def _play(servers: LocalServers, terminal: Terminal, troubles: Troubles, began: float) -> list[Verdict]:
    run = secrets.token_hex(3)

    def note(sentence: str) -> None:
        terminal.say(f"{_stamp(began)} [dim]{safe_markup(sentence)}[/dim]")

    async with open_clients(servers.settings, note=note) as clients:
        return await play(
            clients,
            _console_producer(servers),
            _show(terminal, troubles, began),
            scenarios(run),
            run=run,
            within_seconds=SCENARIOS_TIMEOUT_SECONDS,
        )


def _result(playing: "asyncio.Task[list[Verdict]]") -> list[Verdict]:
    error = playing.exception()
    if error is None:
        return playing.result()
    expected = next((one for one in _leaves(error) if isinstance(one, OrdersError)), None)
    raise error if expected is None else expected from error


def _leaves(error: BaseException) -> Iterator[BaseException]:
    """The errors of a group, whose tasks may have had groups of their own."""
    if not isinstance(error, BaseExceptionGroup):
        yield error
        return
    for one in error.exceptions:
        yield from _leaves(one)


def _stamp(began: float) -> str:
    return f"[dim]{time.monotonic() - began:5.1f} s[/dim]"


def _show(terminal: Terminal, troubles: Troubles, began: float) -> Show:
    """Lines for a person, with the seconds since the servers were there."""

    def sent(step: Step, order_id: str) -> None:
        how = "[bold]console producer[/bold]" if step.by_console else step.encoding.value
        what = "[red]malformed[/red]" if step.raw is not None else how
        terminal.say(f"{_stamp(began)} [dim]→ {step.event_type.value} {escape(order_id)}[/dim] ({what})")

    def event(event_type: str, body: dict[str, Any]) -> None:
        terminal.say(f"{_stamp(began)} {event_line(event_type, body)}")
        troubles.went_on(str(body.get("order_id")))

    def dead_letter(record: ReadRecord) -> None:
        code, message = record.header("dlq_error_code"), record.header("dlq_message")
        terminal.say(f"{_stamp(began)} [red]dead letter[/red] {safe_markup(code)}: {safe_markup(message)}")

    return Show(sent, event, dead_letter)


def _conclude(verdicts: list[Verdict], troubles: Troubles, servers: LocalServers, terminal: Terminal) -> None:
    """The table, what differs in full, and how to go on by hand."""
    table = folding_table("", "what was sent", "expected", "happened", box=SIMPLE_HEAD)
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
            terminal.say(f"[red]✗ {escape(verdict.order_id)}[/red] {safe_markup(difference)}")
    for sentence in troubles.standing:
        terminal.say(trouble_line(sentence, is_over=False))
    if not all(verdict.agrees for verdict in verdicts):
        for other in servers.registration.others():
            terminal.say(
                f"[yellow]beside it runs[/yellow] {safe_markup(as_typed(described(other)))}. Its bridge and workers "
                "may have run these orders with settings of their own, such as ORDER_APPROVAL_TIMEOUT_SECONDS: end it, "
                "and run the same again"
            )
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
