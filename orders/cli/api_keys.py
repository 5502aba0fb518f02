"""``orders api-keys``."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from orders.cli.common import JsonOption, command_app, console, print_json, run_on_servers
from orders.cli.rendering.moments import moment_text
from orders.cli.rendering.progress import progress
from orders.cli.rendering.tables import folding_table, keep_whole
from orders.cli.times import age_text, parse_time_to_come
from orders.clients.key_store import KeyRecord
from orders.local.endpoints import server_settings
from orders.operations.api_keys import create_key, key_json, list_keys, revoke_key
from orders.operations.key_text import PREFIX
from orders.roles import Role

app = command_app(
    no_args_is_help=True,
    help=(
        "Keys for programs and people that use the API and the console.\n\n"
        "A key is shown once, when it is made: only its SHA-256 is kept. docs/identity.md says what each role may do."
    ),
)


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="Who will use it, such as shop; journals name whoever decided.")],
    *,
    role: Annotated[Role, typer.Option("--role", help="What it is good for; each includes the ones before it.")],
    expires: Annotated[
        str,
        typer.Option("--expires", metavar="TIME", help="In 12h or 90d, or at 2027-01-31T12:00:00Z; or never."),
    ] = "90d",
    as_json: JsonOption = False,
) -> None:
    """Make a key and print it, this once.

    A second key of the same name is the same caller: make it, hand it over, revoke the first.

    Example: [bold]orders api-keys create shop --role approver --expires 90d[/bold]
    """
    settings = server_settings()
    until = None if expires == "never" else parse_time_to_come(expires, "--expires", datetime.now(UTC))
    with progress("making the key", lines=not as_json):
        made = run_on_servers(
            settings, lambda clients: create_key(clients, name=name, role=role, expires_at=until)
        )  # fmt: skip
    notes = console(stderr=True)
    if as_json:
        print_json({**key_json(made.record), "key": made.text})
    else:
        console().print(made.text, markup=False)
        end = "does not expire" if until is None else f"is good until {moment_text(until)}"
        notes.print(
            f"{name!r} ({role}): key {made.record.key_id} {end}. It is not shown again. "
            "Send it as `Authorization: Bearer <key>`, or sign in to the console with it.",
            markup=False,
        )
    if made.namesakes:
        others = ", ".join(made.namesakes)
        notes.print(
            f"{name!r} has other keys that are good, and is one caller with all of them: {others}", markup=False
        )


@app.command("list")
def list_(*, as_json: JsonOption = False) -> None:
    """List all keys, the newest last: whose they are, what they are good for, and when they were last used.

    Example: [bold]orders api-keys list --json[/bold]
    """
    with progress("looking for keys", lines=not as_json):
        found = run_on_servers(server_settings(), list_keys)
    if as_json:
        for key in found:
            print_json(key_json(key))
    elif found:
        console().print(_table(found))
    else:
        console(stderr=True).print("there are no keys; make one with `orders api-keys create`", markup=False)


@app.command()
def revoke(
    key: Annotated[
        str, typer.Argument(metavar="KEY_ID", help="Its id; the whole key, where that has leaked, will do.")
    ],
    *,
    as_json: JsonOption = False,
) -> None:
    """Revoke a key, and sign out whoever signed in with it. Running processes follow within API_KEY_CACHE_SECONDS.

    Example: [bold]orders api-keys revoke 4fK2mZ81aQ[/bold]
    """
    settings = server_settings()
    with progress("revoking the key", lines=not as_json):
        revoked = run_on_servers(settings, lambda clients: revoke_key(clients, key))
    if as_json:
        print_json(key_json(revoked))
        return
    bound = f"{settings.api_key_cache_seconds:g} s"
    console().print(
        f"key {revoked.key_id} of {revoked.name!r} is revoked; every process has noticed within {bound}", markup=False
    )


def _table(found: Sequence[KeyRecord]) -> Table:
    now = datetime.now(UTC)
    table = folding_table("key", "name", "role", "made", "last used", "state")
    for key in found:
        used = "never" if key.last_used_at is None else f"{age_text(key.last_used_at, now)} ago"
        cells = (
            f"{PREFIX}{key.key_id}",
            key.name,
            key.role,
            f"{age_text(key.created_at, now)} ago",
            used,
            _state(key, now),
        )
        table.add_row(*(escape(cell) for cell in cells))
    keep_whole(table.columns[0])
    return table


def _state(key: KeyRecord, now: datetime) -> str:
    if key.revoked_at is not None:
        return f"revoked {age_text(key.revoked_at, now)} ago"
    if key.expires_at is None:
        return "good, does not expire"
    if key.expires_at <= now:
        return f"expired {age_text(key.expires_at, now)} ago"
    return f"good for {age_text(now - (key.expires_at - now), now)}"
