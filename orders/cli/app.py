"""The ``orders`` command: its list of commands, and how an expected error ends one."""

import importlib
import os
import re
import sys
from typing import Annotated, Any, Final, NamedTuple, NoReturn

import typer
from typer.core import TyperGroup

from orders.cli.rendering.moments import in_this_zone
from orders.errors import OrdersError, UsageError, WrongSettingsError
from orders.hints import as_typed
from orders.local.endpoints import has_local_servers
from orders.processes.exit_status import ExitStatus, exit_status_of
from orders.safe_text import safe_text
from orders.version import application_version, source_revision

COMPLETE_VARIABLE: Final = "_ORDERS_COMPLETE"
"""The variable by which a shell asks what could follow. It has a name of its own, as the program's may hold a slash."""


class _Command(NamedTuple):
    module: str
    """The module of this package that has the command's typer application."""
    panel: str
    summary: str
    app: str = "app"
    """What the application is called in that module."""


_RUN: Final = "Run"
_PROCESSES: Final = "Processes of an installation"
_MESSAGES: Final = "Messages through Kafka"
_TEMPORAL: Final = "Orders in Temporal"
_OPERATING: Final = "Operating"
_HELP: Final = "Help"

_COMMANDS: Final[dict[str, _Command]] = {
    "demo": _Command("demo", _RUN, "Show the main job on real servers, and check what happened."),
    "up": _Command("up", _RUN, "Run everything on this machine until Ctrl-C."),
    "stack": _Command("stack", _RUN, "Start, stop and describe the local servers alone."),
    "migrate": _Command("migrate", _PROCESSES, "Make tables, topics and search attributes, or bring them up to date."),
    "bridge": _Command("bridge", _PROCESSES, "Run a bridge: from Kafka to Temporal."),
    "worker": _Command("worker", _PROCESSES, "Run a worker: workflows and activities."),
    "api": _Command("api", _PROCESSES, "Run the REST API and the console."),
    "produce": _Command("messages", _MESSAGES, "Send a message to Kafka, as upstream would.", "produce"),
    "events": _Command("events", _MESSAGES, "Show what was published on order.events."),
    "start": _Command("messages", _TEMPORAL, "Start an order.", "start"),
    "approve": _Command("messages", _TEMPORAL, "Approve an order.", "approve"),
    "cancel": _Command("messages", _TEMPORAL, "Cancel an order.", "cancel"),
    "update-address": _Command("messages", _TEMPORAL, "Send an order elsewhere.", "update_address"),
    "status": _Command("status", _TEMPORAL, "Show where an order is."),
    "wait": _Command("wait", _TEMPORAL, "Wait until an order is over, or has reached a state."),
    "doctor": _Command("doctor", _OPERATING, "Show how everything is, on one page, and what to do first."),
    "list": _Command("list", _OPERATING, "List orders by state and age."),
    "health": _Command("health", _OPERATING, "Ask a process whether it is ready."),
    "explain": _Command("explain", _OPERATING, "Show everything that is known of an order."),
    "dlq": _Command("dlq", _OPERATING, "Find, read, replay and purge records that were set aside."),
    "api-keys": _Command("api_keys", _OPERATING, "Make, list and revoke keys for the API and the console."),
    "bench": _Command("bench", _OPERATING, "Measure this installation: send orders through it, and report."),
    "audit": _Command("audit", _OPERATING, "Verify that what is recorded is as it was recorded."),
    "archive": _Command("archive", _OPERATING, "Move the events of old orders out of the database, into files."),
    "forget": _Command("forget", _OPERATING, "Erase a customer's personal data; every event keeps its number."),
    "completion": _Command("completion", _HELP, "Print a script by which a shell completes commands on Tab."),
    "clean": _Command("clean", _HELP, "List what lies in the cache and state folders, and delete what nobody misses."),
    "settings": _Command("settings", _HELP, "List every setting with its value, default and meaning."),
}


_OF_LOCAL_SERVERS: Final = ("demo", "up", "stack", "clean")


_MEANT: Final = {
    "dead-letters": "dlq list",
    "down": "stack down",
    "help": "--help",
    "send": "produce",
    "show": "status ORDER_ID",
    "stop": "stack down",
    "version": "--version",
}
"""What people type, and what they mean, where no command's name is near enough to be found by it."""


class _LazyGroup(TyperGroup):
    """A group whose commands are imported when they are called; until then each is its name and summary."""

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        _check_is_text(args)
        if args and args[0] in _MEANT:
            raise UsageError(f"there is no command {args[0]!r}; did you mean `orders {_MEANT[args[0]]}`?")
        name, command, rest = super().resolve_command(ctx, args)
        if name in _COMMANDS:
            if name in _OF_LOCAL_SERVERS and not has_local_servers():
                raise WrongSettingsError(
                    f"this installation has no local servers, so no `orders {name}`: install it with the extra "
                    "`stack`, or give your own servers to `orders migrate`, `orders bridge` and `orders worker`"
                )
            module = importlib.import_module(f"orders.cli.{_COMMANDS[name].module}")
            command = typer.main.get_command(getattr(module, _COMMANDS[name].app))
            _help_as_typed(command)
        return name, command, rest

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except OrdersError as error:
            end_with(error)
        except typer.TyperException as error:
            # typer 0.29 lets pydantic's own words through, for every option that is a choice.
            error.message = error.message.replace("Value error, ", "")
            raise


def _check_is_text(args: list[str]) -> None:
    """Refuses arguments whose bytes are no text: they could be neither an order's id nor shown.

    Raises:
        UsageError: one is not.
    """
    for argument in args:
        try:
            argument.encode()
        except UnicodeEncodeError:
            raise UsageError(f"the argument {argument!r} is not UTF-8 text") from None


_LINE_OF_A_PARAGRAPH: Final = re.compile(r"(?<!\n)\n(?!\n)")


def _help_as_typed(command: Any) -> None:
    """Puts the command as it is typed here into the help's examples, which are there to be pasted.

    Paragraphs are filled to the terminal's width: typer would break their lines where the source does as well.
    """
    command.help = _LINE_OF_A_PARAGRAPH.sub(" ", as_typed(command.help or ""))
    for one in getattr(command, "commands", {}).values():
        _help_as_typed(one)


def end_with(error: OrdersError) -> NoReturn:
    """Says what went wrong, a line for each sentence, and ends the command with the status of the error's kind."""
    for sentence in in_this_zone(as_typed(str(error))).split("\n"):
        sys.stderr.write(f"error: {safe_text(sentence)}\n")
    raise typer.Exit(int(exit_status_of(error)))


app = typer.Typer(
    cls=_LazyGroup,
    add_completion=False,  # `orders completion` prints scripts that also find bin/orders.
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    help=as_typed(
        "Orders from Kafka, run once each on Temporal, published on order.events.\n\n"
        "First time: [bold]orders demo[/bold] shows it at work; [bold]orders up[/bold] keeps it running for you.\n\n"
        "Exit status: 0 done; 1 could not be done; 2 wrong usage or setting; 3 a server did not answer; "
        "4 not in time; 5 stopped until a person has looked; 130 Ctrl-C."
    ),
)


def _print_version(wanted: bool) -> None:
    if wanted:
        revision = source_revision()
        sys.stdout.write(f"orders {application_version()}{f' ({revision})' if revision else ''}\n")
        raise typer.Exit


@app.callback()
def _orders(
    *,
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and its revision."),
    ] = False,
) -> None:
    """Holds the group's options; the commands do the work."""


def _register(name: str, command: _Command) -> None:
    def listed() -> None:
        raise AssertionError(ExitStatus.FAILURE)  # resolve_command has put the real command in its place

    app.command(name, help=command.summary, rich_help_panel=command.panel)(listed)


for _name, _command in _COMMANDS.items():
    _register(_name, _command)


def run(name: str) -> None:
    """Runs the command line under the name by which it was called, or says to a shell what could follow."""
    if COMPLETE_VARIABLE in os.environ:
        from typer.completion import completion_init  # type: ignore[attr-defined]  # noqa: PLC0415 - only for a shell that asks

        completion_init()
    app(prog_name=name, complete_var=COMPLETE_VARIABLE)
