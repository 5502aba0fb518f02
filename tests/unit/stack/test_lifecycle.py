"""Servers that the environment names, and a folder that another process holds."""

from pathlib import Path

import pytest
from filelock import FileLock

import stack
from stack import folder
from stack.endpoints import Endpoints
from stack.folder import StackFolder

NAMED = Endpoints("127.0.0.1:1", "127.0.0.1:1", None, "127.0.0.1", 1, "u", "p", "d")


@pytest.fixture(autouse=True)
def named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment names servers; nothing listens there."""
    for name, value in NAMED.as_environment().items():
        monkeypatch.setenv(name, value)


def quiet(_line: str) -> None:
    pass


def test_servers_that_are_named_and_do_not_answer_are_told_and_nothing_is_started(tmp_path: Path) -> None:
    with pytest.raises(
        stack.StackError, match=r"do not answer \(kafka: nothing answers at 127\.0\.0\.1:1 .*temporal: "
    ):
        stack.up(state_dir=tmp_path / "stack", progress=quiet)
    assert stack.find(state_dir=tmp_path / "stack") is None
    assert not (tmp_path / "stack").exists()


def test_a_name_that_is_no_address_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_PORT", "x")
    with pytest.raises(stack.StackError, match="DB_PORT is 'x'"):
        stack.up(state_dir=tmp_path, progress=quiet)


def test_servers_that_are_named_and_answer_are_used_and_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stack.lifecycle.unready_services", lambda _: {})
    running = stack.up(state_dir=tmp_path, progress=quiet)
    assert not running.started_here
    assert running.endpoints == NAMED
    for disturb in (running.kill, running.pause, running.resume, running.restart, running.log_path):
        with pytest.raises(stack.StackError, match="kafka was not started here"):
            disturb("kafka")
    running.down()
    found = stack.find(state_dir=tmp_path)
    assert found is not None
    assert found.endpoints == NAMED


def test_who_waits_for_another_process_says_so_and_gives_up_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder, "LOCK_NOTICE_SECONDS", 1)
    monkeypatch.setattr(folder, "LOCK_PATIENCE_SECONDS", 1)
    lines: list[str] = []
    held = pytest.raises(stack.StackError, match=rf"another process holds {tmp_path / '.lock'}")
    with FileLock(tmp_path / ".lock"), held, StackFolder(tmp_path).locked(lines.append):
        pass
    assert lines == ["another process is starting or ending these servers; waiting (1 s)"]
