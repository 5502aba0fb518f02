"""docs/operating.md tells commands and settings that exist: nobody who is paged types in vain."""

import re
import shlex
from pathlib import Path

import pytest
import typer

from orders.cli.app import app
from orders.clients.database import CONNECTIONS
from orders.processes.worker_size import ACTIVITIES_A_CONNECTION, worker_connections
from orders.settings import Settings
from orders.web.subscriptions import READS_AT_ONCE

DOCUMENT = (Path(__file__).parents[3] / "docs" / "operating.md").read_text()
COMMANDS = sorted(
    {
        line.partition("#")[0].strip()
        for block in re.findall(r"```console\n(.*?)```", DOCUMENT, re.DOTALL)
        for line in block.splitlines()
        if line.startswith("orders ")
    }
    | {
        command
        for command in re.findall(r"`(orders [^`]*)`", DOCUMENT)
        if "…" not in command and command != "orders dlq show"
    }
)


def test_there_are_commands_to_check() -> None:
    assert len(COMMANDS) > 15


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_document_is_understood(command: str) -> None:
    """Parsed as the command line does, and not run."""
    _, *words = shlex.split(command)
    parser = typer.main.get_command(app)
    context = parser.make_context("orders", list(words))
    while hasattr(parser, "resolve_command") and words:
        name, parser, words = parser.resolve_command(context, words)
        context = parser.make_context(name, list(words), parent=context)


def test_every_setting_of_the_document_is_one() -> None:
    names = set(re.findall(r"\b((?:BRIDGE|ORDER|WORKER|KAFKA|TEMPORAL|DB|HEALTH|LOG)_[A-Z_]*[A-Z])\b", DOCUMENT))
    assert len(names) > 10
    assert names - {"ORDER_ID"} - {field.upper() for field in Settings.model_fields} == set()


def test_the_connections_of_the_document_are_those_that_processes_open() -> None:
    settings = Settings(_env_file=None, db_pool_size=None, worker_concurrent_activities=50)
    assert settings.worker_concurrent_activities == Settings.model_fields["worker_concurrent_activities"].default
    section = DOCUMENT.partition("### Connections to Postgres")[2].partition("###")[0]
    rows = dict(re.findall(r"^\| (.+?) \|.*\| (\d+) \|$", section, re.MULTILINE))
    one, both, none = (worker_connections(settings, queues=queues) for queues in (1, 2, 0))
    assert rows == {
        "a worker of one task queue": f"{one}",
        "a worker of both": f"{both}",
        "a worker with `--only workflows`": f"{none}",
        "a bridge, which looks up repeats": f"{CONNECTIONS}",
        "the API": f"{CONNECTIONS}",
        "a command": f"{CONNECTIONS}",
    }
    assert ACTIVITIES_A_CONNECTION == 5, "the document says five"
    assert f"of which {READS_AT_ONCE} for streams" in section
    assert f"an API: {2 * one + 2 * CONNECTIONS} at most" in section
    assert f"two of each: {2 * (2 * one + 2 * CONNECTIONS)} at most" in section
