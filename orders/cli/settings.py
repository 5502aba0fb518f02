"""``orders settings``."""

import sys
from enum import Enum
from typing import Annotated, Any

import typer
from pydantic import SecretStr
from rich.markup import escape

from orders.cli.common import JsonOption, command_app, console, print_json, run_on_servers
from orders.cli.rendering.findings import finding_lines
from orders.cli.rendering.progress import progress
from orders.cli.rendering.tables import folding_table
from orders.errors import UsageError
from orders.installation.connections.findings import Verdict, finding_json, is_usable
from orders.installation.connections.trying import try_connections
from orders.local.endpoints import server_settings
from orders.processes.exit_status import ExitStatus
from orders.settings import load_settings
from orders.settings.example import env_example, setting_default
from orders.settings.model import GROUPS

app = command_app()


@app.command()
def settings(
    example: Annotated[bool, typer.Option("--example", help="Print the text of .env.example instead.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Only say whether anything is wrong with them.")] = False,
    connect: Annotated[
        bool, typer.Option("--connect", help="With --check: try each connection, and each right that is needed there.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """List every setting with its value, default and meaning.

    Reads the environment and .env, as every command does, and checks them: all that is wrong is said at once. Secrets
    are not shown.

    With [bold]--check --connect[/bold]: Kafka's topics, group and rights; Temporal's namespace, search attributes and
    the right to write; Postgres' tables and rights; the gateways. Changes nothing anywhere. Exit status 1 where
    something is missing that orders need.

    Example: [bold]orders settings | grep KAFKA_[/bold]
    """
    if example:
        sys.stdout.write(env_example())
        return
    if connect and not check:
        raise UsageError("--connect is for --check: give that too, or leave it out")
    if connect:
        _try_connections(as_json=as_json)
        return
    values = load_settings()
    if check:
        print_json({"right": True}) if as_json else console().print("the settings are right")
        return
    fields = {name: field for group in GROUPS for name, field in group.model_fields.items()}
    shown = {name: _shown(getattr(values, name)) for name in fields}
    if as_json:
        print_json(
            {
                name.upper(): {
                    "value": value,
                    "set": name in values.model_fields_set,
                    "default": setting_default(fields[name]) or None,
                    "meaning": fields[name].description,
                }
                for name, value in shown.items()
            }
        )
        return
    if not sys.stdout.isatty():
        sys.stdout.writelines(f"{name.upper()}={value or ''}\n" for name, value in shown.items())
        return
    table = folding_table("setting", "value", "meaning")
    for name, value in shown.items():
        cell = escape(value or "-")
        if name in values.model_fields_set:
            default = escape(setting_default(fields[name]) or "none")
            cell = f"[bold]{cell}[/bold]\n[dim]default {default}[/dim]"
        table.add_row(name.upper(), cell, escape(fields[name].description or ""))
    console().print(table)


def _try_connections(*, as_json: bool) -> None:
    """Says what each server answers, and ends with 1 where something is missing."""
    with progress("trying each server", lines=not as_json):
        found = run_on_servers(server_settings(), try_connections)
    usable = is_usable(found)
    if as_json:
        print_json({"usable": usable, "findings": [finding_json(one) for one in found]})
    else:
        out = console()
        for line in finding_lines(found):
            out.print(line)
        count = sum(one.verdict is Verdict.MISSING for one in found)
        out.print("[green]orders can run[/green]" if usable else f"[red]{count} missing[/red]: orders cannot run yet")
    if not usable:
        raise typer.Exit(int(ExitStatus.FAILURE))


def _shown(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, SecretStr):
        return "********"
    if isinstance(value, bool):
        return str(value).lower()
    return str(value.value) if isinstance(value, Enum) else str(value)
