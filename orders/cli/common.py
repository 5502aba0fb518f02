"""What every command shares: its settings, running its coroutine, and its output."""

import asyncio
import json
import logging
import os
import sys
from collections.abc import Awaitable, Callable, Coroutine
from typing import Annotated, Any, TypeVar

import structlog
import typer
from rich.console import Console

from orders.cli.rendering.safe_markup import SafeConsole
from orders.clients.opened import Clients, open_clients
from orders.hints import as_typed
from orders.processes.exit_status import ExitStatus
from orders.processes.running import run_until_stopped
from orders.safe_text import safe_text
from orders.settings import Settings
from orders.settings.model import STOP_TIMEOUT_SECONDS
from orders.telemetry.logs import configure_logging

Result = TypeVar("Result")

_WIDTH_WITHOUT_TERMINAL = 160

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for a program.")]
OrderIdArgument = Annotated[str, typer.Argument(metavar="ORDER_ID", help="The order's id.", show_default=False)]


def command_app(**options: Any) -> typer.Typer:
    """The typer application of one command's module."""
    return typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="rich", **options)


def run_command(command: Coroutine[Any, Any, Result]) -> Result:
    """Runs a command's coroutine to its end, without log lines: what goes wrong is said once, in a sentence."""
    silence_logging()
    return asyncio.run(command)


def run_on_servers(settings: Settings, operation: Callable[[Clients], Awaitable[Result]]) -> Result:
    """Runs an operation with clients of the servers that the settings name, which are closed at its end."""

    async def opened() -> Result:
        async with open_clients(settings, note=_note) as clients:
            return await operation(clients)

    return run_command(opened())


def _note(sentence: str) -> None:
    sys.stderr.write(f"note: {safe_text(as_typed(sentence))}\n")


def silence_logging() -> None:
    """Takes log lines off the terminal of a command that talks to a person in its own words."""
    logging.getLogger().handlers[:] = [logging.NullHandler()]
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


def run_process(name: str, settings: Settings, body: Callable[[asyncio.Event], Awaitable[ExitStatus]]) -> None:
    """Runs a process until it ends or is told to stop, and ends the command with its status."""
    configure_logging(level=settings.log_level, form=settings.log_format)
    status = asyncio.run(run_until_stopped(name, body, stop_within_seconds=STOP_TIMEOUT_SECONDS))
    raise typer.Exit(int(status))


def print_json(value: Any) -> None:
    """Prints one JSON document on one line: every line of our JSON output is a document.

    All that is not printable ASCII is written as JSON's own escapes, so that no terminal obeys it.
    """
    sys.stdout.write(json.dumps(value, default=str).replace("\x7f", "\\u007f") + "\n")
    sys.stdout.flush()


def console(*, stderr: bool = False) -> Console:
    """Where a person reads: coloured on a terminal only; where it is none, wide, so that nothing is cut to fit."""
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() or "COLUMNS" in os.environ else _WIDTH_WITHOUT_TERMINAL
    return SafeConsole(stderr=stderr, highlight=False, emoji=False, soft_wrap=True, width=width)
