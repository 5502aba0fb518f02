"""docs/security.md has the table of mistakes as the code has it, and names settings that there are."""

import re
from pathlib import Path

import pytest

from activities.adapters.postgres.schema import metadata
from migrations.rights import RIGHTS, TABLES, RoleKind
from orders.clients.mistakes import TABLE, Mistake, Server
from orders.installation.security_reference import with_tables
from orders.settings import Settings

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "security.md"


def test_the_page_has_the_table_that_the_code_has() -> None:
    assert with_tables(PAGE.read_text()) == PAGE.read_text(), "renew it: make contract"


def test_every_mistake_stands_in_the_table_and_has_words_of_its_own() -> None:
    assert set(TABLE) == set(Server)
    assert {mistake for rows in TABLE.values() for mistake in rows} == set(Mistake)
    sentences = [row.sentence for rows in TABLE.values() for row in rows.values()]
    assert len(set(sentences)) == len(sentences)


def test_every_table_has_its_rights() -> None:
    assert set(TABLES) == {*metadata.tables, "alembic_version"}
    assert set(RIGHTS) == set(RoleKind)
    assert "DELETE" not in RIGHTS[RoleKind.WORKER]["events"] + RIGHTS[RoleKind.WORKER]["orders"]
    assert "UPDATE" not in RIGHTS[RoleKind.WORKER]["events"]


def test_the_settings_that_are_named_exist() -> None:
    words = " ".join(f"{row.sentence} {row.action}" for rows in TABLE.values() for row in rows.values())
    named = set(re.findall(r"\b(?:DB|KAFKA|TEMPORAL|BRIDGE)_[A-Z_]*[A-Z]", words))
    assert named
    assert {one for one in named if one.lower() not in Settings.model_fields and one != "KAFKA_TOPIC"} == set()


def test_every_promise_of_the_threat_model_names_tests_that_there_are() -> None:
    """A name without a folder is of the one before it."""
    section = (ROOT / "SECURITY.md").read_text().partition("## What is promised")[2].partition("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("| ")][1:]
    assert len(rows) > 10
    for promise, shown_by in rows:
        folder, named = ROOT, re.findall(r"`((?:tests/|test_)[^`]+)`", shown_by)
        assert named, f"nothing shows that {promise}"
        for name in named:
            place = ROOT / name if name.startswith("tests/") else folder / name
            assert place.exists(), f"{name}, which is to show that {promise}"
            folder = place.parent


def test_a_page_without_the_marks_of_a_table_is_refused() -> None:
    with pytest.raises(ValueError, match="the page has no <!-- roles: begin -->"):
        with_tables("# Security\n")
