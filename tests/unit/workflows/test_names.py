"""The ids of workflows: no order meets another's, ours, or another team's, whatever it is called."""

import itertools
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.base import IDENTIFIER_PATTERN
from workflows.names import late_workflow_id, order_id_of, order_workflow_id, shipping_workflow_id

CONFUSING: Final = ("s4", "s4:1", "shipping:s4:1", "order:s4", "order:order:s4", "late:s4:1", "a:b", "1", "1:1")
ORDER_IDS: Final = st.from_regex(IDENTIFIER_PATTERN, fullmatch=True) | st.builds(
    ":".join, st.lists(st.sampled_from(("order", "shipping", "late", "s4", "1", "a")), min_size=1, max_size=5)
)


def ids_of(order_id: str) -> list[str]:
    """The ids of some workflows of an order, of each kind."""
    return [
        order_workflow_id(order_id),
        *(shipping_workflow_id(order_id, attempt) for attempt in (1, 2, 11)),
        *(late_workflow_id(order_id, "order.approved", event_id) for event_id in ("", "e", "e \N{SNOWMAN}\n/")),
    ]


def test_orders_with_confusing_names_share_no_workflow() -> None:
    made = [workflow_id for order_id in CONFUSING for workflow_id in ids_of(order_id)]
    assert len(made) == len(set(made)) == 7 * len(CONFUSING)


@given(ORDER_IDS, ORDER_IDS)
def test_two_orders_never_share_a_workflow(one: str, other: str) -> None:
    assert one == other or not set(ids_of(one)) & set(ids_of(other))


@given(ORDER_IDS)
def test_a_workflow_of_ours_tells_its_order(order_id: str) -> None:
    assert {order_id_of(workflow_id) for workflow_id in ids_of(order_id)} == {order_id}


@pytest.mark.parametrize("workflow_id", ["", "o-1", "refill:d-1", "shipping:s4", "shipping:s4:alone", "late:s4:1"])
def test_a_workflow_of_others_has_no_order(workflow_id: str) -> None:
    assert order_id_of(workflow_id) is None


def test_a_late_answer_is_the_same_for_the_same_event_only() -> None:
    told = itertools.product(("o-1", "o-2"), ("order.approved", "order.cancelled"), ("e-1", "/shop|e-1"))
    made = [late_workflow_id(*one) for one in told]
    assert len(set(made)) == 8
    assert made[0] == late_workflow_id("o-1", "order.approved", "e-1")


def test_ids_of_workflows_never_change() -> None:
    """Open workflows of an older release must be found again."""
    assert order_workflow_id("o-1") == "order:o-1"
    assert shipping_workflow_id("o-1", 2) == "shipping:o-1:2"
    assert late_workflow_id("o-1", "order.approved", "e-1") == "late:o-1:8cdb5536e362c5f293fcf12a72b9d050"
