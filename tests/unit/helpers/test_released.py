"""What an upgrade begins with: the code of the newest release that is older."""

import subprocess
import sys
from pathlib import Path

import pytest

from orders.version import application_version
from tests.helpers.system import released
from tests.helpers.system.released import keep, released_before, unpacked


def test_the_newest_release_that_is_older_is_upgraded_from(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for version in ("0.1.0", "0.9.2", "0.10.0", "1.0.0"):
        (tmp_path / f"{version}.tar.xz").touch()
    monkeypatch.setattr(released, "KEPT", tmp_path)
    assert [released_before(one) for one in ("0.2.0", "0.10.0", "0.10.1", "2.0.0")] == [
        "0.1.0",
        "0.9.2",
        "0.10.0",
        "1.0.0",
    ]


def test_there_is_one_for_the_version_that_is_made_now(tmp_path: Path) -> None:
    before = unpacked(released_before(application_version()), tmp_path)
    code = "import orders, workflows; print(orders.__file__, workflows.__file__)"
    command, environment = [sys.executable, "-c", code], {"PYTHONPATH": str(before)}
    said = subprocess.run(command, env=environment, cwd=tmp_path.parent, capture_output=True, text=True, check=True)
    ours = [str(before / one / "__init__.py") for one in ("orders", "workflows")]
    assert said.stdout.split() == ours, "it comes before today's"


def test_what_is_kept_is_the_code_of_the_revision(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(released, "KEPT", tmp_path / "kept")
    path = keep("HEAD")
    again = unpacked(path.name.removesuffix(".tar.xz"), tmp_path / "code")
    shown = subprocess.run(
        ["git", "show", "HEAD:workflows/names.py"],  # noqa: S607
        cwd=released.ROOT,
        capture_output=True,
        check=True,
    ).stdout
    assert (again / "workflows" / "names.py").read_bytes() == shown
