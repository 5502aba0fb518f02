import subprocess
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest
from typer.testing import CliRunner

from orders.cli.app import app
from orders.version import REVISION_FILE, application_version, revision_of, source_revision

ROOT = Path(__file__).parents[3]


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), "-c", "user.name=n", "-c", "user.email=e@x", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_the_version_is_said_with_its_revision(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORDERS_REVISION", "abc123")
    said = CliRunner().invoke(app, ["--version"])
    assert (said.exit_code, said.stdout) == (0, f"orders {application_version()} (abc123)\n")


def test_in_a_clone_git_says_the_revision(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ORDERS_REVISION", raising=False)
    revision = source_revision()
    assert revision is not None
    assert revision.removesuffix("-changed") == git(ROOT, "rev-parse", "HEAD")


def test_files_that_differ_from_the_revision_are_told(tmp_path: Path) -> None:
    assert revision_of(tmp_path) is None
    git(tmp_path, "init", "--quiet")
    (tmp_path / "file").write_text("a")
    git(tmp_path, "add", "file")
    git(tmp_path, "commit", "--quiet", "--message", "first")
    revision = revision_of(tmp_path)
    assert revision == git(tmp_path, "rev-parse", "HEAD")
    (tmp_path / "file").write_text("b")
    assert revision_of(tmp_path) == f"{revision}-changed"


def test_without_an_installed_package_the_version_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_: str) -> str:
        raise PackageNotFoundError

    monkeypatch.setattr("orders.version.version", missing)
    assert application_version() == "unknown"


@pytest.mark.parametrize(("written", "revision"), [("abc123\n", "abc123"), ("\n", None)])
def test_a_package_says_the_revision_that_was_packed_with_it(
    written: str, revision: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ORDERS_REVISION", raising=False)
    (tmp_path / REVISION_FILE).write_text(written)
    monkeypatch.setattr("orders.version.files", lambda _: tmp_path)
    assert source_revision() == revision
