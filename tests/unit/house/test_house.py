"""The house keeps its measures: sizes, the bridge's ignorance of orders, tests that stand where their subject is."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
FILE_LINES_MAX, FUNCTION_LINES_MAX, EXAMPLE_LINES_MAX = 400, 70, 60


def tracked(*patterns: str) -> list[Path]:
    """The files that git has, or would take, of these patterns."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *patterns]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [path for name in listed.split("\0") if name and (path := ROOT / name).exists()]


PYTHON_FILES = tracked("*.py")


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def functions_of(path: Path) -> Iterator[tuple[str, int]]:
    """The functions of a file, and how many lines each has."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, (node.end_lineno or node.lineno) - node.lineno + 1


# Sizes ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", PYTHON_FILES, ids=name_of)
def test_a_file_and_its_functions_are_read_at_once(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= FILE_LINES_MAX
    assert [(name, lines) for name, lines in functions_of(path) if lines > FUNCTION_LINES_MAX] == []


def test_another_team_s_whole_bridge_is_short() -> None:
    assert len((ROOT / "examples/refill_bridge.py").read_text().splitlines()) < EXAMPLE_LINES_MAX


# The bridge knows no orders ------------------------------------------------------------------------------------------

OF_THE_ORDERS = re.compile(
    r"""
      \border[_.:]\w                    # fields, event types, topics, workflow ids: order_id, order.created, order:o-1
    | (?<!BYTE_)\bORDERS?_              # settings and constants
    | \bOrder[A-Z]                      # types: OrderState
    | \b(?i:orders)(?:\b|_)              # the noun, the package and its commands, metrics: orders dlq list
    | \b(?:an|each|every|this|its|per|same|another|no|other|one|stuck|whole)\ order\b(?!\ of) # not "in order of"
    | \b(?:BRIDGE|KAFKA|TEMPORAL|DB)_[A-Z]                                      # the application's settings
    | payment | shipping | shipment | approv | \bcarrier
    """,
    re.VERBOSE,
)
OF_THE_APPLICATION = ("schemas", "activities", "workflows", "orders", "migrations")
BRIDGE_FILES = tracked("bridge/*.py", "tests/unit/bridge/*.py", "tests/integration/bridge/*.py", "examples/refill_*.py")


@pytest.mark.parametrize("path", BRIDGE_FILES, ids=name_of)
def test_the_bridge_and_its_tests_name_nothing_of_the_orders(path: Path) -> None:
    lines = enumerate(path.read_text().splitlines(), start=1)
    assert [(number, line) for number, line in lines if OF_THE_ORDERS.search(line)] == []


@pytest.mark.parametrize("path", BRIDGE_FILES, ids=name_of)
def test_the_bridge_and_its_tests_import_nothing_of_the_orders(path: Path) -> None:
    """Import-linter holds the bridge itself to it; its tests as well, or the bridge would be tested by orders alone."""
    imported = {
        name
        for node in ast.walk(ast.parse(path.read_text()))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert [name for name in imported if name.split(".")[0] in OF_THE_APPLICATION] == []


@pytest.mark.parametrize(
    "text",
    [
        "order_id",
        "order.approved",
        "run: orders dlq list",
        "ORDER_APPROVAL_TIMEOUT_SECONDS",
        "OrderWorkflow",
        "an order",
        "as those of one order among many do",
        "orders_bridge_records_held",
    ],
)
def test_a_name_of_the_orders_is_seen(text: str) -> None:
    assert OF_THE_ORDERS.search(text)


@pytest.mark.parametrize("text", ["in order of arrival", "order within a lane", "in offset order", "a byte-order mark"])
def test_the_order_of_things_is_no_order(text: str) -> None:
    assert not OF_THE_ORDERS.search(text)


# Tests stand where their subject stands -------------------------------------------------------------------------------

ROOMS = {"schemas", "activities", "workflows", "bridge", "orders", "stack"}
BESIDE_THE_ROOMS = {"house", "helpers"}
"""Unit tests of the repository as a whole, and of what tests are made of."""
FACES = {"web"}
"""A room within `orders/` that is as large as a room of its own: orders/web."""


@pytest.mark.parametrize(("kind", "others"), [("unit", BESIDE_THE_ROOMS | FACES), ("integration", FACES)])
def test_each_folder_of_tests_is_a_room(kind: str, others: set[str]) -> None:
    folders = {path.relative_to(ROOT / "tests" / kind).parts[0] for path in tracked(f"tests/{kind}/*/*.py")}
    assert folders <= ROOMS | others
    assert kind == "integration" or folders == ROOMS | others, "each room has unit tests"


@pytest.mark.parametrize("kind", ["unit", "integration"])
def test_no_test_stands_outside_of_a_room(kind: str) -> None:
    assert [path.name for path in tracked(f"tests/{kind}/test_*.py") if path.parent == ROOT / "tests" / kind] == []


def test_every_folder_of_code_says_in_a_sentence_what_it_is_for() -> None:
    folders = {path.parent for path in tracked(*(f"{room}/*.py" for room in ROOMS))}
    silent = [name_of(one) for one in folders if not ast.get_docstring(ast.parse((one / "__init__.py").read_text()))]
    assert silent == []
