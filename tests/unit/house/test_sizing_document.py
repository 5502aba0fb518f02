"""docs/sizing.md says what was measured last, and each of its tables says what the measurement says."""

import json
from typing import Any

import pytest

from benchmarks.sizing import KEPT, PAGE, SECTIONS, action_rows, rate_rows, store_rows, with_figures


@pytest.fixture
def kept() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(KEPT.read_text())
    return found


def test_the_page_has_the_figures_that_were_measured_last(kept: dict[str, Any]) -> None:
    page = PAGE.read_text()
    assert page == with_figures(page, kept), "make sizing, or python -m benchmarks.sizing --measured FILE"


def test_another_measurement_makes_another_page(kept: dict[str, Any]) -> None:
    kept["measured"]["orders_per_second"] = 123.4
    assert "| orders a second | 123.4 |" in rate_rows(kept)
    assert "123.4" in with_figures(PAGE.read_text(), kept)


def test_what_could_not_be_measured_has_no_row(kept: dict[str, Any]) -> None:
    kept["measured"]["bytes_an_order"]["kafka"] = None
    kept["measured"]["highest"]["cores_busy"] = None
    assert not [row for row in store_rows(kept) if "Kafka" in row]
    assert not [row for row in rate_rows(kept) if "processor |" in row]


def test_the_actions_of_a_thousand_orders_cost_what_the_list_says(kept: dict[str, Any]) -> None:
    kept["measured"]["temporal"] = {"actions": {"signals": 2.0, "activities": 8.0}, "actions_an_order": 10.0}
    assert action_rows(kept)[-1] == "| **all** | **10.0**: $0.50 for a thousand orders at $50 a million |"


@pytest.mark.parametrize("name", SECTIONS)
def test_a_section_that_is_gone_is_missed(kept: dict[str, Any], name: str) -> None:
    with pytest.raises(ValueError, match=name):
        with_figures(PAGE.read_text().replace(f"<!-- {name}:", "<!--"), kept)
