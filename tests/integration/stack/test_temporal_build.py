"""What the local Temporal is built of is held to hashes of our own, by the real Go and its module proxy."""

import shutil
import threading
from pathlib import Path

import pytest

from stack import temporal_cli
from stack.errors import StackError
from stack.progress import ProgressBoard
from stack.service import Start
from stack.temporal_cli import LOCK_DIR, VERSION, ensure_temporal

ITSELF = f"github.com/temporalio/cli {VERSION} h1:"


@pytest.fixture
def own_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the hashes, for a build in an empty cache."""
    monkeypatch.setattr("shutil.which", lambda _: None)
    for name, value in {"ORDERS_CACHE_DIR": "cache", "GOPATH": "go", "GOCACHE": "go-build"}.items():
        monkeypatch.setenv(name, str(tmp_path / value))
    lock = shutil.copytree(LOCK_DIR, tmp_path / "lock")
    monkeypatch.setattr(temporal_cli, "LOCK_DIR", lock)
    return lock


def build() -> None:
    with ProgressBoard(lambda _: None) as board:
        ensure_temporal(Start(board, threading.Event()))


def test_a_module_that_is_not_what_it_was_is_refused(own_lock: Path) -> None:
    sums = own_lock / "go.sum"
    before = sums.read_text()
    assert ITSELF in before
    sums.write_text(before.replace(f"{ITSELF}t", f"{ITSELF}A"))
    assert sums.read_text() != before
    with pytest.raises(StackError, match=r"is not what stack/locks/temporal/go\.sum has"):
        build()


def test_a_module_that_nobody_has_a_hash_of_is_refused(own_lock: Path) -> None:
    sums = own_lock / "go.sum"
    sums.write_text("".join(line for line in sums.read_text().splitlines(keepends=True) if ITSELF not in line))
    with pytest.raises(StackError, match="could not be built"):
        build()
