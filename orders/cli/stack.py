"""``orders stack``: the local servers alone."""

import shlex
import sys
from typing import Annotated

import typer

import stack as servers
from orders.cli.common import JsonOption, command_app, console, print_json
from orders.errors import OrdersError
from orders.local.terminal import Terminal

app = command_app(
    no_args_is_help=True,
    help=(
        "Start, stop and describe the local servers alone: Kafka, Temporal and PostgreSQL.\n\n"
        "In Docker where an engine answers, else as processes of this machine. "
        "Commands in other terminals find them.\n\n"
        "Example: [bold]orders stack up && export $(orders stack env)[/bold]"
    ),
)

CodecEndpoint = Annotated[
    str | None,
    typer.Option(
        "--codec-endpoint",
        metavar="URL",
        help="Where Temporal's UI has payloads decrypted: /codec of an `orders api`. Of no effect on servers that run.",
    ),
]
Name = Annotated[str, typer.Option("--name", help="Which stack; the commands of this application use `default`.")]


@app.command()
def up(*, name: Name = "default", codec_endpoint: CodecEndpoint = None, as_json: JsonOption = False) -> None:
    """Start the servers, or find them running; they run on until `orders stack down`.

    The first time on a machine it downloads and builds them, and says so; that takes minutes.

    Example: [bold]orders stack up[/bold]
    """
    try:
        terminal = Terminal(console(stderr=True))
        running = servers.up(
            name=name, codec_endpoint=codec_endpoint, progress=terminal.say_plain, status=terminal.status
        )
    except servers.StackError as error:
        raise OrdersError(str(error)) from error
    if as_json:
        print_json({"started": running.started_here, **running.endpoints.as_environment()})
        return
    out = console()
    out.print("started" if running.started_here else "found running")
    for key, value in running.endpoints.as_environment().items():
        out.print(f"{key}={value}", markup=False)


@app.command()
def down(*, name: Name = "default") -> None:
    """Stop the servers; their data stay.

    Example: [bold]orders stack down[/bold]
    """
    try:
        ended = servers.down(name=name)
    except servers.StackError as error:
        raise OrdersError(str(error)) from error
    console().print("stopped" if ended else "no local servers were running")


@app.command()
def env(*, name: Name = "default", as_json: JsonOption = False) -> None:
    """Print the running servers' addresses as KEY=VALUE lines, for a shell or a .env file.

    Example: [bold]export $(orders stack env)[/bold]
    """
    try:
        running = servers.find(name=name)
    except servers.StackError as error:
        raise OrdersError(str(error)) from error
    if running is None:
        raise OrdersError("no local servers are running: start them with `orders stack up`")
    environment = running.endpoints.as_environment()
    if as_json:
        print_json(environment)
        return
    sys.stdout.writelines(f"{key}={shlex.quote(value)}\n" for key, value in environment.items())
