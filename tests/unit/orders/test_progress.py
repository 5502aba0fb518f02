"""What is shown while something takes long: a bar on a terminal, and elsewhere a line now and then."""

import ast
import io
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from orders import cli
from orders.cli.rendering import progress as module
from orders.cli.rendering.progress import progress
from tests.helpers.system.waiting import assert_eventually


class Terminal(io.StringIO):
    """Standard error, where a person looks at it."""

    def isatty(self) -> bool:
        return True


@contextmanager
def standard_error(stream: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", stream)
        patch.setenv("TERM", "xterm")
        yield stream


def test_what_is_soon_done_says_nothing_where_there_is_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    with standard_error(io.StringIO(), monkeypatch) as error, progress("looking") as step:
        step("orders:", 1, 2)
    assert error.getvalue() == ""


async def test_what_takes_long_says_now_and_then_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LINE_EVERY_SECONDS", 0.02)
    with standard_error(io.StringIO(), monkeypatch) as error:
        with progress("looking") as step:
            await assert_eventually(lambda: "looking (0 s)\n" in error.getvalue(), 30)
            step("orders archived:", 1_500, None)
            await assert_eventually(lambda: "orders archived: 1,500 (" in error.getvalue(), 30)
            step("files read:", 2, 3)
            await assert_eventually(lambda: "files read: 2 of 3 (" in error.getvalue(), 30)
        said = error.getvalue()
    assert all(re.fullmatch(r"[a-z :0-9,]+ \(\d+ s\)", line) for line in said.splitlines()), said


def test_a_terminal_has_a_bar_that_is_gone_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    with standard_error(Terminal(), monkeypatch) as error:
        with progress("looking") as step:
            step("orders archived:", 1_500, 3_000)
        said = error.getvalue()
    assert "1,500 of 3,000" in said
    assert said.endswith("\x1b[2K"), "the bar's line is cleared"
    assert "\n" not in said.rstrip("\n") or said.count("\n") <= 2


def test_what_a_stranger_wrote_is_shown_and_not_obeyed(monkeypatch: pytest.MonkeyPatch) -> None:
    with standard_error(Terminal(), monkeypatch) as error:
        with progress("waiting until [red]\x1b[31mo-1 is over"):
            pass
        said = error.getvalue()
    assert "[red]\\x1b[31mo-1 is over" in said


def test_every_command_that_asks_servers_shows_that_it_is_at_work() -> None:
    """But those that print what they find while they look."""
    silent = set()
    for path in sorted(Path(cli.__file__).parent.glob("*.py")):
        tree = ast.parse(path.read_text())
        blocks = [
            block
            for block in ast.walk(tree)
            if isinstance(block, ast.With) and any(_calls(item.context_expr, "progress") for item in block.items)
        ]
        shown = {node for block in blocks for node in ast.walk(block)}
        helpers = {node.func.id for node in shown if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
        shown |= {
            node
            for helper in ast.walk(tree)
            if isinstance(helper, ast.FunctionDef) and helper.name in helpers
            for node in ast.walk(helper)
        }
        asking = [node for node in ast.walk(tree) if _calls(node, "run_on_servers")]
        silent |= {path.name for node in asking if node not in shown}
    assert silent == {"events.py"}


def _calls(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name


def test_an_error_ends_the_lines_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LINE_EVERY_SECONDS", 0.01)
    with standard_error(io.StringIO(), monkeypatch), pytest.raises(ValueError, match="broken"), progress("looking"):
        raise ValueError("broken")
