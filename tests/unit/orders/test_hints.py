"""What a person is told to type can be pasted: every command in every sentence, wherever the sentence is made."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from orders.cli import app as cli
from orders.hints import as_typed

ROOT = Path(__file__).parents[3]
PACKAGES = ("orders", "bridge", "activities", "workflows", "schemas", "stack", "migrations")
NAMES = "|".join(cli._COMMANDS)
A_COMMAND = re.compile(rf"(?<!the )\borders (?:{NAMES})\b")
NO_SENTENCE = {"orders bench", "orders bridge", "orders worker", "orders migrate"}
"""What processes call themselves towards Postgres, and what approves the orders of a measurement."""
SETTINGS = ROOT / "orders" / "settings"
"""Their descriptions are .env.example, which belongs to no machine."""


def sentences() -> Iterator[tuple[str, str]]:
    """Every text in the code with a command in it, and where it is. Docstrings are left out: the help renders them."""
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            tree = ast.parse(path.read_text())
            documentation = {
                id(node.value)
                for node in ast.walk(tree)
                if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
            }
            inner = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
            for node in ast.walk(tree):
                if isinstance(node, ast.JoinedStr):
                    text = ast.unparse(node)
                elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inner:
                    text = node.value
                else:
                    continue
                if id(node) not in documentation and A_COMMAND.search(text):
                    yield f"{path.relative_to(ROOT)}:{node.lineno}", text


def quoted(text: str) -> str:
    """What stands between backticks and in the help's examples."""
    return " ".join(re.findall(r"`[^`]*`|\[bold\].*?\[/bold\]", text, re.DOTALL))


def test_every_command_in_a_sentence_is_quoted_so_that_it_is_shown_as_it_is_typed() -> None:
    found = list(sentences())
    assert len(found) > 20
    for where, text in found:
        if text in NO_SENTENCE or (ROOT / where.split(":")[0]).is_relative_to(SETTINGS):
            continue
        assert len(A_COMMAND.findall(text)) == len(A_COMMAND.findall(quoted(text))), f"{where}: {text}"


def test_a_command_is_shown_as_it_is_typed_here(monkeypatch: pytest.MonkeyPatch) -> None:
    sentence = (
        "make it with `orders migrate`, or see [bold]orders health bridge || orders dlq list[/bold]; all orders wait"
    )
    monkeypatch.delenv("ORDERS_COMMAND", raising=False)
    assert as_typed(sentence) == sentence
    monkeypatch.setenv("ORDERS_COMMAND", "bin/orders")
    assert as_typed(sentence) == (
        "make it with `bin/orders migrate`, or see [bold]bin/orders health bridge || bin/orders dlq list[/bold]; "
        "all orders wait"
    )


@pytest.mark.parametrize(
    "command",
    [["stack", "env", "--name", "nobody-s"], ["status", "o-1"], ["stack", "--help"], ["dlq", "show", "--help"]],
)
def test_errors_and_help_name_the_command_as_it_is_typed(
    command: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("ORDERS_COMMAND", "bin/orders")
    shown = CliRunner().invoke(cli.app, command).output
    assert "bin/orders" in shown
    assert not re.search(rf"(?<!bin/)\borders (?:{NAMES})\b", shown), shown
