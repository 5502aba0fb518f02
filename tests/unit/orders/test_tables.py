"""Pages on a terminal of 80 columns: what a person copies from them is there, and whole."""

import io
from datetime import UTC, datetime

import pytest
from rich.console import RenderableType
from rich.table import Table

from orders.cli import status
from orders.cli.api_keys import _table as keys_table
from orders.cli.list import _table as orders_table
from orders.cli.rendering.safe_markup import SafeConsole
from orders.cli.rendering.tables import folding_table
from orders.clients.key_store import KeyRecord
from orders.operations.listing import ListedOrder
from orders.operations.view import OrderView
from orders.roles import Role
from orders.settings import Settings
from schemas.states import OrderStep
from schemas.workflow_io import OrderStatus
from tests.helpers.console.made_up import an_order

COLUMNS = 80
NOW = datetime.now(UTC)
ORDER_ID = "order-2026-11-26-with-a-long-id-1"


def narrow() -> SafeConsole:
    """A terminal as `orders.cli.common.console` makes one."""
    return SafeConsole(file=io.StringIO(), soft_wrap=True, width=COLUMNS)


def lines_of(shown: RenderableType) -> list[str]:
    console = narrow()
    console.print(shown)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def test_a_list_of_orders_has_every_id_on_one_line_and_nothing_cut_away() -> None:
    order = an_order(ORDER_ID, payment_id="p-" + "z" * 30, customer_id="c-" + "q" * 20)
    lines = lines_of(orders_table([ListedOrder(order)]))
    assert any(ORDER_ID in line for line in lines), lines
    assert all(len(line) <= COLUMNS for line in lines), lines
    assert [sum(line.count(sign) for line in lines) for sign in "zq"] == [30, 20], lines


def test_an_id_that_is_longer_than_a_line_takes_goes_on_in_the_next() -> None:
    order = an_order("o-" + "9" * 126, payment_id="p-1")
    lines = lines_of(orders_table([ListedOrder(order)]))
    assert "".join(line.split()[0] for line in lines if line.startswith(("o-9", "9"))) == order.order_id, lines


def test_a_key_is_shown_whole_beside_a_long_name() -> None:
    record = KeyRecord("cObgeYBRL1", "x" * 100, Role.APPROVER, bytes(32), NOW, None, None, NOW)
    lines = lines_of(keys_table([record]))
    assert any("ord_cObgeYBRL1" in line for line in lines), lines
    assert sum(line.count("x") for line in lines) >= 100, lines


def test_a_value_that_is_wider_than_its_column_goes_on_in_the_next_line() -> None:
    table: Table = folding_table("setting", "value", "meaning")
    table.add_row("OIDC_ALGORITHMS", "RS256,PS256,ES256,Ed25519" * 3, "Algorithms with which the provider may sign.")
    lines = lines_of(table)
    assert sum(line.count("5") for line in lines) == 15, lines


def test_the_link_to_the_workflow_can_be_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = narrow()
    monkeypatch.setattr(status, "console", lambda: terminal)
    view = OrderView("RUNNING", OrderStatus(order_id=ORDER_ID, step=OrderStep.RECEIVING), approved=False)
    status._print(view, Settings(_env_file=None, temporal_ui_url="http://127.0.0.1:27406"))
    assert isinstance(terminal.file, io.StringIO)
    link = f"http://127.0.0.1:27406/namespaces/default/workflows/order%3A{ORDER_ID}"
    assert f"in Temporal's UI  {link}\n" in terminal.file.getvalue()
