"""Cursors of lists: what is none of ours is refused in a sentence."""

import base64
import json
from typing import Any

import pytest

from activities.adapters.postgres.order_pages import OrderSort, PagePlace
from orders.errors import UsageError
from orders.operations.pages import read_cursor
from schemas.base import parse_rfc_3339

AT = "2026-11-26T12:00:00+00:00"


def cursor(*parts: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")


def test_a_cursor_names_the_place_that_it_was_made_of() -> None:
    place = read_cursor(cursor(OrderSort.NEWEST, AT, "o-1"), OrderSort.NEWEST)
    assert place == PagePlace(parse_rfc_3339(AT), "o-1")


def test_a_cursor_of_a_list_that_is_sorted_otherwise_is_refused() -> None:
    with pytest.raises(UsageError, match="sorted otherwise: begin anew without it"):
        read_cursor(cursor(OrderSort.NEWEST, AT, "o-1"), OrderSort.LONGEST_WAITING)


@pytest.mark.parametrize(
    "given",
    [
        "",
        "no Base64!",
        cursor(OrderSort.NEWEST, AT),
        cursor(OrderSort.NEWEST, "yesterday", "o-1"),
        cursor(OrderSort.NEWEST, 7, "o-1"),
        cursor(OrderSort.NEWEST, AT, 7),
        cursor(OrderSort.NEWEST, AT, "o\0"),
    ],
)
def test_a_cursor_that_is_none_is_refused(given: str) -> None:
    with pytest.raises(UsageError, match="cursor is none of ours: take it from `next_cursor`"):
        read_cursor(given, OrderSort.NEWEST)
