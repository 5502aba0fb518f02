"""``orders settings``."""

import sys
from enum import Enum
from typing import Annotated, Any

import typer
from pydantic import SecretStr
from rich.markup import escape
from rich.table import Table

from orders.cli.common import JsonOption, command_app, console, print_json
from orders.settings import load_settings
from orders.settings.example import env_example, setting_default
from orders.settings.model import GROUPS

app = command_app()


@app.command()
def settings(
    example: Annotated[bool, typer.Option("--example", help="Print the text of .env.example instead.")] = False,
    as_json: JsonOption = False,
) -> None:
    """List every setting with its value, default and meaning.

    Reads the environment and .env, as every command does, and checks them. Secrets are not shown.

    Example: [bold]orders settings | grep KAFKA_[/bold]
    """
    if example:
        sys.stdout.write(env_example())
        return
    values = load_settings()
    fields = {name: field for group in GROUPS for name, field in group.model_fields.items()}
    shown = {name: _shown(getattr(values, name)) for name in fields}
    if as_json:
        print_json(
            {name.upper(): {"value": value, "set": name in values.model_fields_set} for name, value in shown.items()}
        )
        return
    if not sys.stdout.isatty():
        sys.stdout.writelines(f"{name.upper()}={value or ''}\n" for name, value in shown.items())
        return
    table = Table("setting", "value", "meaning", box=None, pad_edge=False)
    for name, value in shown.items():
        cell = escape(value or "-")
        if name in values.model_fields_set:
            default = escape(setting_default(fields[name]) or "none")
            cell = f"[bold]{cell}[/bold]\n[dim]default {default}[/dim]"
        table.add_row(name.upper(), cell, escape(fields[name].description or ""))
    console().print(table)


def _shown(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, SecretStr):
        return "********"
    if isinstance(value, bool):
        return str(value).lower()
    return str(value.value) if isinstance(value, Enum) else str(value)
