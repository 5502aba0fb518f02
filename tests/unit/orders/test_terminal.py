"""A terminal's line of what is under way: written anew in its place, and gone at the end."""

import io

from rich.console import Console

from orders.cli.common import console
from orders.cli.rendering.safe_markup import SafeConsole
from orders.local.terminal import Terminal


def test_what_is_under_way_takes_its_own_place_and_leaves_nothing_behind() -> None:
    written = io.StringIO()
    terminal = Terminal(SafeConsole(file=written, force_terminal=True, width=80))
    show = terminal.status
    assert show is not None
    show("kafka: starting [1 s]")
    terminal.say_plain("postgres: ready")
    show("kafka: starting [2 s]")
    show("")
    assert "kafka: starting [1 s]" in written.getvalue()
    assert "postgres: ready" in written.getvalue()
    assert written.getvalue().endswith("\x1b[2K"), "the line is cleared"
    before = len(written.getvalue())
    show("")
    assert len(written.getvalue()) == before


def test_where_nothing_can_be_taken_back_there_is_no_such_line() -> None:
    assert Terminal(Console(file=io.StringIO())).status is None
    assert Terminal(console()).status is None


def test_a_terminal_that_was_closed_is_no_error() -> None:
    written = io.StringIO()
    show = Terminal(SafeConsole(file=written, force_terminal=True)).status
    assert show is not None
    show("starting")
    show("")
    written.close()
    show("starting")
