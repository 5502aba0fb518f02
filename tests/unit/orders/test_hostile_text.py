"""What a sender may write into any text, on its way to a terminal, a log and a page: shown, and obeyed by nobody."""

import io
import json
import logging
import re
import sys
from pathlib import Path
from typing import Any, Final

import pytest
import structlog
from rich.table import Table

from orders.cli.common import console, print_json
from orders.cli.rendering.event_lines import event_line
from orders.cli.rendering.safe_markup import SafeConsole
from orders.cli.status import _print
from orders.local.log_lines import readable_line
from orders.local.terminal import Terminal
from orders.operations.view import OrderView
from orders.safe_text import safe_lines, safe_text
from orders.settings import Settings
from orders.telemetry.logs import configure_logging
from orders.web.console.rendering.templates import _environment
from schemas.order import Address
from schemas.states import OrderState, OrderStep
from schemas.workflow_io import OrderStatus
from tests.helpers.messages.hostile import HOSTILE_TEXTS, obeyed
from tests.helpers.system.command_line import logging_as_it_was

pytestmark = pytest.mark.usefixtures("alone")
ALL_AT_ONCE: Final = " ".join(HOSTILE_TEXTS)


def on_a_terminal(*shown: Any) -> str:
    """What a colour terminal is sent, without the colours that are ours."""
    written = io.StringIO()
    out = SafeConsole(file=written, highlight=False, emoji=False, soft_wrap=True, width=160, color_system=None)
    for one in shown:
        out.print(one)
    return written.getvalue()


def of_event(text: str) -> dict[str, Any]:
    return {
        "occurred_at": f"2026-11-25T{text}",
        "order_id": f"h-1{text}",
        "sequence": text,
        "state": text,
        "reason": text,
        "address": {"street": text, "city": text},
        "cause": {"type": text, "by": text},
    }


@pytest.mark.parametrize("text", HOSTILE_TEXTS)
def test_the_samples_are_obeyed_unless_they_are_made_safe(text: str) -> None:
    assert obeyed(text)
    assert not obeyed(safe_text(text))
    assert not obeyed(safe_lines(text), lines=True)


@pytest.mark.parametrize("event_type", ["order.state_changed", "order.address_changed", "order.event_rejected", "x"])
def test_a_published_event_is_one_line_that_no_terminal_obeys(event_type: str) -> None:
    shown = on_a_terminal(event_line(event_type, of_event(ALL_AT_ONCE)))
    assert not obeyed(shown.removesuffix("\n"))


def test_a_status_obeys_nothing_of_an_address(capsys: pytest.CaptureFixture[str]) -> None:
    address = Address(street=ALL_AT_ONCE, city=ALL_AT_ONCE, zip_code="[red]x[/red]")
    order = OrderStatus(order_id="o-1", step=OrderStep.COMPLETED, address=address, tracking_id=ALL_AT_ONCE)
    _print(OrderView("COMPLETED", order, approved=True, failure=ALL_AT_ONCE), Settings(_env_file=None))
    printed = capsys.readouterr().out
    assert not obeyed(printed, lines=True)
    assert "[red]x[/red]" in printed
    assert {line.partition("  ")[0] for line in printed.splitlines()} <= {
        "", "order", "state", "run", "approved", "address", "tracking", "events published",
    }  # fmt: skip


def test_the_console_is_safe_also_where_a_caller_forgot(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.StringIO()
    monkeypatch.setattr(sys, "stdout", written)
    table = Table()
    table.add_row(ALL_AT_ONCE)
    for shown in (ALL_AT_ONCE, table):
        console().print(shown, markup=False)
    terminal = Terminal(console())
    terminal.say_plain(ALL_AT_ONCE)
    assert not obeyed(written.getvalue(), lines=True)
    assert "\\x1b]0;" in written.getvalue()


def test_json_for_a_program_is_printable(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"address": ALL_AT_ONCE})
    (line,) = capsys.readouterr().out.splitlines()
    assert not obeyed(line)
    assert json.loads(line) == {"address": ALL_AT_ONCE}


@pytest.mark.parametrize("form", ["console", "json"])
def test_a_log_line_is_one_line_whoever_wrote_its_fields(form: Any) -> None:
    written = io.StringIO()
    with logging_as_it_was():
        configure_logging(level="info", form=form, stream=written)
        structlog.get_logger("t").info("event", **{f"name{ALL_AT_ONCE}": ALL_AT_ONCE, "b": [ALL_AT_ONCE]})
        logging.getLogger("aiokafka").warning("of a library %s", ALL_AT_ONCE)
    lines = written.getvalue().split("\n")
    assert [bool(line) for line in lines] == [True, True, False]
    assert not any(obeyed(line) for line in lines)


@pytest.mark.parametrize("form", ["console", "json"])
def test_a_traceback_shows_an_error_s_text_and_does_not_obey_it(form: Any) -> None:
    written = io.StringIO()
    with logging_as_it_was():
        configure_logging(level="info", form=form, stream=written)
        try:
            int(ALL_AT_ONCE)
        except ValueError as error:
            error.add_note(ALL_AT_ONCE)
            structlog.get_logger("t").exception("event")
    assert "ValueError" in written.getvalue()
    assert not obeyed(written.getvalue(), lines=True)


def test_a_process_s_line_beside_those_of_others_is_safe() -> None:
    of_ours = json.dumps({"event": ALL_AT_ONCE, "level": "error", "timestamp": ALL_AT_ONCE, "detail": ALL_AT_ONCE})
    for line in (of_ours, ALL_AT_ONCE):
        readable = readable_line(line)
        assert readable is not None
        assert not obeyed(readable)
        assert not obeyed(on_a_terminal(readable).removesuffix("\n"))


@pytest.mark.parametrize("template", ["{{ value }}", "{% for one in [value] %}{{ one }}{% endfor %}"])
def test_no_page_shows_a_control_character_wherever_a_template_writes_it(template: str) -> None:
    shown = _environment().from_string(template).render(value=ALL_AT_ONCE)
    assert not obeyed(shown, lines=True)
    assert "<script" not in shown


def test_nothing_is_written_for_a_person_but_by_the_console_and_the_few_that_are_named_here() -> None:
    orders = Path(__file__).parents[3] / "orders"
    writers = {
        path.relative_to(orders).as_posix()
        for path in orders.rglob("*.py")
        if re.search(r"\bstd(out|err)\.(write|writelines)\(|\bConsole\(", path.read_text())
    }
    assert writers == {
        "cli/app.py",  # errors: made safe there
        "cli/common.py",  # the console, JSON and notes
        "cli/completion.py",  # scripts of ours, in which nothing is filled in
        "cli/settings.py",  # settings of this machine, in the form of a .env file
        "cli/stack.py",  # addresses of local servers, quoted for a shell
        "processes/leaving.py",  # a sentence of ours with the system's name of an error
    }


def test_what_is_printable_stays_as_it_was_written() -> None:
    for text in ("Rua São João 7, 4º esq.", "東京都 千代田区", "שלום", "مرحبا", "👋🏽", OrderState.COMPLETED.value):
        assert on_a_terminal(event_line("order.address_changed", of_event(text))).count(text) > 1
