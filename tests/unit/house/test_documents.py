"""The documents: that what they point to is there, and that lists of pages are whole."""

import re
from pathlib import Path

import pytest

from tests.helpers.checker.checker import ALWAYS, AT_THE_END

ROOT = Path(__file__).parents[3]
PAGES = sorted([ROOT / "README.md", *ROOT.glob("docs/**/*.md")])
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    links = [link for link in LINK.findall(page.read_text()) if "://" not in link]
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_every_decision_is_in_the_index() -> None:
    pages = {page.name for page in (ROOT / "docs/adr").glob("*.md")} - {"README.md"}
    assert set(LINK.findall((ROOT / "docs/adr/README.md").read_text())) == pages


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda page: page.name)
def test_the_readme_leads_to_every_page(page: Path) -> None:
    assert f"docs/{page.name}" in (ROOT / "README.md").read_text()


def test_the_page_of_invariants_names_every_rule_and_the_tests_that_there_are() -> None:
    page = (ROOT / "docs/invariants.md").read_text()
    named = set(re.findall(r"`([\w/]+(?:\.py)?)`", page))
    assert {rule.__name__ for rule in (*ALWAYS, *AT_THE_END)} - named == set()
    files = {name.removeprefix("tests/") for name in named if name.endswith(".py")}
    assert [name for name in sorted(files) if not [*ROOT.glob(f"tests/**/{name}")]] == []


@pytest.mark.parametrize("target", ["demo", "test", "check", "up", "fmt", "contract", "lock", "bench", "soak"])
def test_make_has_the_targets_that_are_promised(target: str) -> None:
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
