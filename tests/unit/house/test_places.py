"""In how many files one thing is named: what docs/contributing.md says must be touched is all that there is to touch.

A recipe is a numbered list under a heading of that page; each place begins with its file. Code that knows one event
type, or one step, for a reason of its own is listed here with the reason: it is no place of the recipe.
"""

import ast
import re
from collections.abc import Iterable, Iterator
from enum import StrEnum
from functools import cache
from pathlib import Path

import pytest

from orders.settings import Settings
from orders.settings.secret_files import secret_names
from schemas.event_types import INBOUND, EventType
from schemas.outbound import OUTBOUND, OutboundType
from schemas.states import OrderState, OrderStep

ROOT = Path(__file__).parents[3]
ROOMS = ("schemas", "activities", "workflows", "bridge", "orders")
NOT_OF_THE_PRODUCT = "orders/local/demo/"
"""Plays what there is, and need not play everything."""

SPECIAL_FOR_AN_EVENT_TYPE = {
    "orders/cli/demo.py": "the line that a person may type to begin with",
    "orders/operations/bench/driving.py": "what a happy order takes: it is placed and approved",
    "orders/operations/dead_letters/prospects.py": "the one event that starts an order",
    "orders/processes/worker.py": "the event whose trace an order's work belongs to",
    "orders/web/console/deciding.py": "what a person decides at the console",
    "orders/web/console/rendering/words.py": "nouns for a person; another event is called by its type",
    "workflows/arrivals.py": "Temporal's own cancellation counts as `order.cancelled`",
    "workflows/life/rules.py": "a stale address; a second approval in the same moment",
}
SPECIAL_FOR_A_STEP = {
    "orders/operations/listing.py": "the step that is found by its recorded state",
    "orders/operations/view.py": "where an order is whose run Temporal has forgotten",
    "workflows/life/event_table.py": "its words about steps at which no event is looked at",
    "workflows/life/ledger.py": "where an accepted order goes on; milestones are of shipping",
    "workflows/life/opening.py": "whether an order is taken on",
    "workflows/life/state.py": "where a run begins",
    "workflows/life/views.py": "the attempt that ships now",
    "workflows/order.py": "the one step whose run fails",
}
SPECIAL_FOR_A_STATE = {
    "activities/adapters/measured.py": "the expiry that is counted from 0 on",
    "activities/adapters/postgres/figures.py": "the state in which orders wait for a person",
    "activities/adapters/postgres/rows.py": "the state of a row that nothing was published of yet",
    "orders/cli/rendering/event_lines.py": "colours of ends; another state is bold",
    "orders/operations/bench/driving.py": "what a happy order passes",
    "orders/operations/bench/report.py": "the stages that a happy order's time is told by",
    "orders/operations/doctor.py": "orders that wait for a person are told by themselves",
    "orders/operations/listing.py": "the step that is found by its recorded state",
    "orders/operations/view.py": "whether an order was approved",
    "orders/telemetry/approval_waits.py": "how long a person takes",
    "orders/web/api/orders.py": "whether an order is cancelled",
    "orders/web/console/waiting_board.py": "the list of orders that wait for a person",
    "orders/web/console/views/waiting.py": "what became of them",
    "workflows/life/ledger.py": "transitions that an event or the check of an order makes",
    "workflows/life/rules.py": "a second approval in the same moment",
    "workflows/life/views.py": "the attempt that ships now",
    "workflows/publisher.py": "which batch says that an order has left",
    "workflows/shipping.py": "the milestones of shipping",
}
SPECIAL_FOR_AN_OUTBOUND_TYPE = {
    "activities/adapters/measured.py": "the states that are counted from 0 on",
    "activities/adapters/postgres/archive.py": "the states that an archived order went through",
    "activities/adapters/postgres/orders.py": "the states that an order went through",
    "activities/journal.py": "a late event is refused without its order's run",
    "orders/operations/wait.py": "waits for a state",
    "orders/web/console/views/order.py": "what a line of the journal says; another event is called by its type",
    "schemas/activity_io.py": "the deadline that is counted from a transition",
    "workflows/life/state.py": "whether a transition waits to be published",
    "workflows/publisher.py": "which batch says that an order has left",
}


@cache
def code() -> dict[str, ast.Module]:
    """What every file of the rooms says."""
    files = {str(path.relative_to(ROOT)): path for room in ROOMS for path in (ROOT / room).rglob("*.py")}
    return {name: ast.parse(path.read_text()) for name, path in files.items() if NOT_OF_THE_PRODUCT not in name}


def names_in(tree: ast.AST) -> Iterator[str]:
    """The names in a file, an enum's members with the enum's: ``EventType.ORDER_CREATED``."""
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=ast.Name(id=owner), attr=attr):
                yield f"{owner}.{attr}"
                yield attr
            case ast.Attribute(attr=name) | ast.Name(id=name) | ast.ClassDef(name=name):
                yield name


def files_naming(names: Iterable[str]) -> set[str]:
    """The files that name one of these."""
    wanted = set(names)
    return {path for path, tree in code().items() if not wanted.isdisjoint(names_in(tree))}


def files_defining(name: str) -> set[str]:
    """The files with a class of this name."""
    return {
        path
        for path, tree in code().items()
        if any(isinstance(node, ast.ClassDef) and node.name == name for node in ast.walk(tree))
    }


def members_of(enum: type[StrEnum]) -> list[str]:
    return [f"{enum.__name__}.{member.name}" for member in enum]


def recipe(heading: str) -> set[str]:
    """The files of the recipe under this heading; a migration, which names no enum, is held by its test on Postgres."""
    page = (ROOT / "docs/contributing.md").read_text()
    section = page.partition(f"\n### {heading}\n")[2].partition("\n#")[0]
    places = set(re.findall(r"^\d+\. `([^`]+)`", section, re.MULTILINE))
    assert places, f"docs/contributing.md has no recipe {heading!r}"
    return {place for place in places if not place.startswith("migrations/")}


INBOUND_NAMES = [*members_of(EventType), *(row.body.__name__ for row in INBOUND.values())]
OUTBOUND_NAMES = [*members_of(OutboundType), *(row.body.__name__ for row in OUTBOUND.values())]


@pytest.mark.parametrize(
    ("heading", "enum", "names", "special"),
    [
        ("An inbound event type", EventType, INBOUND_NAMES, SPECIAL_FOR_AN_EVENT_TYPE),
        ("A step of the order", OrderStep, members_of(OrderStep), SPECIAL_FOR_A_STEP),
        ("A state of the order", OrderState, members_of(OrderState), SPECIAL_FOR_A_STATE),
        ("An outbound event type", OutboundType, OUTBOUND_NAMES, SPECIAL_FOR_AN_OUTBOUND_TYPE),
    ],
)
def test_it_is_named_where_its_recipe_says_and_where_it_is_special(
    heading: str, enum: type[StrEnum], names: list[str], special: dict[str, str]
) -> None:
    named = files_naming(names) | files_defining(enum.__name__)
    assert named - special.keys() == recipe(heading)
    assert special.keys() <= named, "what is no longer special"


@pytest.mark.parametrize("field", Settings.model_fields)
def test_a_setting_stands_in_its_group_s_file_alone_and_is_read(field: str) -> None:
    assert len(declared_in_settings()[field]) == 1
    assert READ_BY_THEIR_REGISTRY.fullmatch(field) or field in read_anywhere()


SECRETS = "|".join(secret_names(Settings))
READ_BY_THEIR_REGISTRY = re.compile(f"kafka_topic_({'|'.join(one.name.lower() for one in EventType)})|({SECRETS})_file")


@cache
def declared_in_settings() -> dict[str, set[str]]:
    """The files that declare each field of a settings' model."""
    files: dict[str, set[str]] = {}
    for path, tree in code().items():
        for node in ast.walk(tree) if path.startswith("orders/settings/") else ():
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                files.setdefault(node.target.id, set()).add(path)
    return files


@cache
def read_anywhere() -> set[str]:
    """Every name that code takes as an attribute, or hands on as text."""
    found = set()
    for tree in code().values():
        for node in ast.walk(tree):
            match node:
                case ast.Attribute(attr=name) | ast.Constant(value=str(name)):
                    found.add(name)
    return found
