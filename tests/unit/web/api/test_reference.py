"""The page of the REST API has its tables as the code has them."""

from pathlib import Path

from orders.web.problems import PROBLEM_TYPES
from orders.web.reference import endpoint_rows, problem_rows, with_tables
from schemas.states import ReasonCode

PAGE = Path(__file__).parents[4] / "docs" / "rest-api.md"


def test_the_page_is_as_the_code_makes_it() -> None:
    page = PAGE.read_text()
    assert page == with_tables(page), "run `make contract`"
    for row in (*endpoint_rows(), *problem_rows()):
        assert row in page


def test_every_problem_says_what_is_wrong_and_what_to_do() -> None:
    for code, kind in PROBLEM_TYPES.items():
        assert 400 <= kind.status < 600, code
        assert kind.title, code
        assert kind.what_to_do.endswith((".", "…")), code


def test_every_reason_for_which_a_workflow_refuses_is_a_problem() -> None:
    refused = {"order_changed", *(code for code in ReasonCode if PROBLEM_TYPES.get(code, None) is not None)}
    assert {"already_approved", "already_charged", "already_shipping", "order_closed", "stale"} <= refused
