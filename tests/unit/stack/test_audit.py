"""`make audit` asks about every pinned package, and does not take silence for a good answer."""

import sys
from pathlib import Path

import pytest

from tests.deploy.audit import ROOT, Question, ask, npm_files, python_files


def test_every_file_of_pins_is_asked_about() -> None:
    named = {path.relative_to(ROOT).as_posix() for path in (*python_files(), *npm_files())}
    assert {path.relative_to(ROOT).as_posix() for path in (ROOT / "requirements").glob("*.txt")} <= named
    apart = {"benchmarks/peers/requirements.txt", "benchmarks/profiles/requirements.txt", "tests/fuzz/requirements.txt"}
    assert apart <= named
    assert "tests/helpers/servers/openid_provider/package-lock.json" in named


def test_what_is_known_or_could_not_be_asked_is_told_by_name_and_the_rest_is_asked_all_the_same(
    capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    asked = tmp_path / "asked"
    answers = (
        Question("weak", (sys.executable, "-c", "raise SystemExit('known: 1')")),
        Question("sound", (sys.executable, "-c", f"open({str(asked)!r}, 'w')")),
    )
    assert ask(iter(answers)) == ["weak"]
    assert asked.exists()
    assert "=== weak" in capfd.readouterr().out
