"""The README's claims: the demo's table as the demo prints it, and a test behind each promise."""

import re
from pathlib import Path

from orders.local.demo.facts import expected_facts
from orders.local.demo.scenarios import scenarios

ROOT = Path(__file__).parents[3]
README = (ROOT / "README.md").read_text()
FIRST_SCREEN_LINES = 30


def test_the_table_s_lines_are_the_demo_s_own() -> None:
    rows = [re.split(r"\s{2,}", line.strip(" ✓")) for line in README.splitlines() if line.startswith(" ✓ ")]
    expected = {one.title: expected_facts(one).phrase for one in scenarios("x")}
    assert len(rows) == 6
    for title, wanted, happened in rows:
        assert expected[title] == wanted == happened


def test_the_first_screen_says_what_it_is_shows_the_table_and_has_both_commands() -> None:
    first = "\n".join(README.splitlines()[:FIRST_SCREEN_LINES])
    assert "what was sent" in first
    assert re.findall(r"^make \w+", first, re.MULTILINE) == ["make demo", "make test"]


def test_every_promise_names_the_tests_that_hold_it() -> None:
    promises = README.partition("## What it promises")[2].partition("\n## ")[0]
    rows = [line.split("|")[1:3] for line in promises.splitlines() if line.startswith("| ")][1:]
    assert len(rows) >= 6
    for promise, tested in rows:
        links = re.findall(r"\]\(([^)]+)\)", tested)
        assert links, promise
        assert all(re.fullmatch(r"tests/.+/test_\w+\.py", link) and (ROOT / link).is_file() for link in links), promise
