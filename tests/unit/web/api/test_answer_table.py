"""The table of answers is whole: a row for each route of the application, and in it a cell for each case."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.routing import APIRoute

from tests.helpers.answers.cases import Case, Never, Says
from tests.helpers.answers.table import TABLE, Named, Row
from tests.helpers.answers.wrong import DOCUMENT, operation_of, wrong_bodies, wrong_parameters
from tests.unit.web.test_routes import APP, routes

TESTS = Path(__file__).parents[3] / "integration" / "web" / "api"
PAGES = ("/console", "/docs", "/openapi.json")
"""For people: tests/browser has them. Beside them is the codec server, with its own test (`test_codec`)."""


def of_the_api(route: APIRoute) -> bool:
    return not route.path.startswith(PAGES)


def test_every_route_has_a_row_and_every_row_a_route() -> None:
    served = {f"{method} {route.path}" for route in filter(of_the_api, routes(APP)) for method in route.methods or ()}
    # How the document writes a path that may hold slashes.
    assert {one.replace(":path}", "}") for one in served} == {row.operation for row in TABLE}
    assert len({row.name for row in TABLE}) == len(TABLE)


def test_pages_are_no_part_of_the_api_s_document() -> None:
    assert not [path for path in DOCUMENT["paths"] if path.startswith(PAGES)]


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_every_row_has_a_cell_for_every_case_and_says_why_where_there_is_no_answer(row: Row) -> None:
    assert set(row.cells) == set(Case)
    for cell in row.cells.values():
        assert not isinstance(cell, Never) or len(cell.why.split()) > 2


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_every_answer_is_documented_with_its_code(row: Row) -> None:
    responses: dict[str, Any] = operation_of(row.operation)["responses"]
    for case, cell in row.cells.items():
        if isinstance(cell, Says):
            assert str(cell.status) in responses, f"{case}: {cell}"
            # What a workflow refuses has a code of its own beside the one that the document names for all of them.
            codes = responses[str(cell.status)]["description"]
            assert cell.code is None or f"`{cell.code}`" in codes or "`event_refused`" in codes, f"{case}: {cell}"


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_what_can_be_wrong_with_a_request_is_found_in_its_description(row: Row) -> None:
    documented = operation_of(row.operation).get("parameters", [])
    assert {one["name"] for one in documented} - {"Prefer"} < {one.name for one in wrong_parameters(row.operation)}
    assert isinstance(row.cells[Case.INVALID], Says)
    assert (row.body is None) is (not list(wrong_bodies(row.operation)))
    assert (row.body is None) is ("requestBody" not in operation_of(row.operation))


def test_a_path_has_what_it_names() -> None:
    named = Named("o-1", event_id="e", place="0:1", replay_id="r", code="c")
    assert not [row.name for row in TABLE if "{" in row.path(named)]


def cases_that_are_put_to_servers() -> Iterator[str]:
    for path in TESTS.glob("test_every_answer*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "every_row":
                yield from (one.attr for one in node.args if isinstance(one, ast.Attribute))


def test_every_case_is_put_to_real_servers() -> None:
    assert sorted(cases_that_are_put_to_servers()) == sorted(case.name for case in Case), "each once"
