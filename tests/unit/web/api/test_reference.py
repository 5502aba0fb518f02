"""The page of the REST API has its tables as the code has them."""

import ast
import inspect
from pathlib import Path

from activities import journal
from orders.web.problems import PROBLEM_TYPES
from orders.web.reference import endpoint_rows, problem_rows, with_tables
from schemas.states import ReasonCode
from workflows.life import rules
from workflows.life.steps import STEPS

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


def reasons_for_which_the_workflow_refuses() -> set[str]:
    """Those of the table of steps, and those that are named where an event is decided beside it."""
    of_steps = {rule.value for step in STEPS.values() for rule in step.rules.values() if isinstance(rule, ReasonCode)}
    trees = [ast.parse(inspect.getsource(module)) for module in (rules, journal)]
    named = {
        node.attr
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "ReasonCode"
    }
    return of_steps | {ReasonCode[name].value for name in named}


def test_every_reason_for_which_a_workflow_refuses_is_a_problem_and_no_other_reason_is() -> None:
    assert {code.value for code in ReasonCode if code in PROBLEM_TYPES} == reasons_for_which_the_workflow_refuses()
