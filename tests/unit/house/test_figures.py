"""docs/performance.md has the last results that are kept, as `make bench NAME=--table` prints them."""

from pathlib import Path

from benchmarks.table import render

DOCUMENT = (Path(__file__).parents[3] / "docs" / "performance.md").read_text()


def test_the_table_of_the_last_results_is_what_is_kept() -> None:
    table = render()
    assert table.count("\n") > 20
    assert table in DOCUMENT
