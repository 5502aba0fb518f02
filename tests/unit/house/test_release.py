"""What `make release-check` sees: places that disagree about the version, and what is left to do before a tag."""

import re
import shutil
import subprocess
from datetime import date
from pathlib import Path

import pytest

from tests.deploy.release import API, CHANGES, CHART, DEPLOYING, RELEASED_API, ROOT, disagreements, of_git, unready
from tests.deploy.release import version_of as version_in

VERSION = version_in(ROOT)
TODAY = date(2026, 11, 27)
FILES = (Path("pyproject.toml"), CHANGES, CHART, DEPLOYING, API, RELEASED_API)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The files that name the version, ready for a tag."""
    for file in FILES:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / file, tmp_path / file)
    (tmp_path / CHANGES).write_text(f"# Changes\n\n## {VERSION} ({TODAY.isoformat()})\n\n- All of it.\n")
    shutil.copyfile(tmp_path / API, tmp_path / RELEASED_API)
    return tmp_path


def change(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def test_all_places_name_the_package_s_version() -> None:
    assert list(disagreements(ROOT)) == []


def test_what_is_ready_is_ready(copy: Path) -> None:
    assert [*disagreements(copy), *unready(copy, TODAY)] == []


@pytest.mark.parametrize(("file", "old"), [(CHART, f'"{VERSION}"'), (DEPLOYING, f"orchestrator-{VERSION}-py3")])
def test_a_place_that_names_another_version_is_named(copy: Path, file: Path, old: str) -> None:
    change(copy / file, old, old.replace(VERSION, "9.9.9"))
    (sentence,) = disagreements(copy)
    assert str(file) in sentence
    assert "9.9.9" in sentence


@pytest.mark.parametrize("heading", ["Next", f"{VERSION} (2026-11-26)", VERSION])
def test_changes_that_are_under_another_heading_are_not_released(copy: Path, heading: str) -> None:
    change(copy / CHANGES, f"{VERSION} ({TODAY.isoformat()})", heading)
    (sentence,) = unready(copy, TODAY)
    assert heading in sentence
    assert TODAY.isoformat() in sentence


def test_an_api_that_has_not_been_recorded_as_released_is_named(copy: Path) -> None:
    (copy / RELEASED_API).write_text("{}")
    (sentence,) = unready(copy, TODAY)
    assert "make release-api" in sentence


def test_what_is_not_committed_and_a_tag_that_is_there_are_named(copy: Path) -> None:
    def git(*arguments: str) -> None:
        who = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
        subprocess.run(["git", *who, *arguments], cwd=copy, check=True, capture_output=True)  # noqa: S607

    git("init")
    assert [bool(re.search("not committed", one)) for one in of_git(copy)] == [True]
    git("add", ".")
    git("commit", "--message", "all")
    assert list(of_git(copy)) == []
    git("tag", VERSION)
    (sentence,) = of_git(copy)
    assert f"a tag {VERSION} already" in sentence
