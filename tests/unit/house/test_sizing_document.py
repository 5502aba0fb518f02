"""docs/sizing.md says what was measured last, and each of its tables says what the measurement says."""

import itertools
import json
import re
from typing import Any

import pytest

from benchmarks.sizing import (
    KEPT,
    PAGE,
    PRICES,
    SECTIONS,
    action_rows,
    dollars_a_month,
    rate_rows,
    store_rows,
    with_figures,
)


@pytest.fixture
def kept() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(KEPT.read_text())
    return found


def test_the_page_has_the_figures_that_were_measured_last(kept: dict[str, Any]) -> None:
    page = PAGE.read_text()
    assert page == with_figures(page, kept), "make sizing, or python -m benchmarks.sizing --measured FILE"


def test_another_measurement_makes_another_page(kept: dict[str, Any]) -> None:
    kept["measured"]["orders_per_second"] = 123.4
    kept["machine"]["cpus"] = 2
    assert any("| 123.4, so 61.7 a core that does everything" in row for row in rate_rows(kept))
    assert "123.4" in with_figures(PAGE.read_text(), kept)


def test_what_could_not_be_measured_has_no_row(kept: dict[str, Any]) -> None:
    kept["measured"]["bytes_an_order"]["kafka"] = None
    kept["measured"]["highest"]["cores_busy"] = None
    assert not [row for row in store_rows(kept) if "Kafka" in row]
    assert not [row for row in rate_rows(kept) if "processor |" in row]


def test_the_actions_of_a_month_cost_what_the_list_says(kept: dict[str, Any]) -> None:
    kept["measured"]["temporal"] = {"actions": {"signals": 2.0, "activities": 8.0}, "actions_an_order": 10.0}
    costs = "a thousand $0.50, a hundred thousand $50.00, a million $475.00"
    assert action_rows(kept)[-1] == f"| **all** | **10.0**; of so many orders a month: {costs} |"
    assert dollars_a_month(11.25) == 250 + 225 + 1.25 * 40, "the example of the list itself"
    assert dollars_a_month(200) == 250 + 225 + 400 + 1_050 + 1_500 + 2_500
    with pytest.raises(ValueError, match="beyond the list"):
        dollars_a_month(201)


def test_the_page_has_the_price_list_that_is_reckoned_with() -> None:
    rows = [row.split("|")[1:3] for row in PAGE.read_text().splitlines() if re.match(r"\| the (first|next) ", row)]
    steps = [(int(re.findall(r"\d+", what)[0]), int(price)) for what, price in rows]
    up_to = itertools.accumulate(step for step, _ in steps)
    assert list(zip(up_to, (price for _, price in steps), strict=True)) == list(PRICES)


@pytest.mark.parametrize("name", SECTIONS)
def test_a_section_that_is_gone_is_missed(kept: dict[str, Any], name: str) -> None:
    with pytest.raises(ValueError, match=name):
        with_figures(PAGE.read_text().replace(f"<!-- {name}:", "<!--"), kept)
