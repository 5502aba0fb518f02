"""Where the program ``temporal`` comes from: the user's own, else a build, here by a ``go`` that only pretends."""

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from stack import temporal, temporal_cli
from stack.endpoints import Endpoints
from stack.errors import StackError
from stack.progress import ProgressBoard
from stack.service import Start
from stack.temporal import TemporalService
from stack.temporal_cli import VERSION, ensure_temporal, server_of

HELPED = "echo '--dynamic-config-value'"
BUILDS = """
echo 'go: downloading example.org/one v1.0.0'
echo 'example.org/one'
mkdir -p "$GOBIN" "$GOPATH" "$GOCACHE"
echo built > "$GOBIN/temporal"
"""
HANGS = "echo $$ > pid; exec sleep 60"
ENDPOINTS = Endpoints("127.0.0.1:3", "127.0.0.1:1", None, "127.0.0.1", 4, "orders", "orders", "orders")


@pytest.fixture
def lines() -> list[str]:
    """What was told while it went on."""
    return []


@pytest.fixture
def start(lines: list[str]) -> Iterator[Start]:
    with ProgressBoard(lines.append, silence_limit_seconds=0.05) as board:
        yield Start(board, threading.Event())


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where builds go; nothing is there, and no ``temporal`` is on PATH."""
    for name in ("GOPATH", "GOCACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ORDERS_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr("shutil.which", lambda _: None)
    return tmp_path / "cache" / "temporal" / VERSION


def script(path: Path, body: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def pretend_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Puts a script in the place of ``go``."""

    def pretend(body: str) -> None:
        go = script(tmp_path / "goroot" / "bin" / "go", body)
        monkeypatch.setattr(temporal_cli, "find_go", lambda: go)

    return pretend


def own_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str) -> Path:
    program = script(tmp_path / "own" / "temporal", body)
    monkeypatch.setattr("shutil.which", lambda _: str(program))
    return program


@pytest.mark.usefixtures("folder")
def test_a_program_of_the_users_that_has_the_server_is_taken(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = own_program(tmp_path, monkeypatch, HELPED)
    assert ensure_temporal(start) == program


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("body", ["exit 1", "echo 'another tool of that name'", "exec sleep 60"])
def test_a_program_of_the_users_that_is_something_else_is_left_alone(
    start: Start, pretend_go: Callable[[str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str
) -> None:
    monkeypatch.setattr(temporal_cli, "PROBE_TIMEOUT_SECONDS", 0.2)
    own = own_program(tmp_path, monkeypatch, body)
    pretend_go(BUILDS)
    assert ensure_temporal(start) != own


def test_a_build_leaves_the_program_alone_and_is_done_once(
    start: Start, folder: Path, pretend_go: Callable[[str], None], lines: list[str]
) -> None:
    pretend_go(BUILDS)
    program = ensure_temporal(start)
    assert program.read_text() == "built\n"
    assert {each.name for each in folder.iterdir()} - {".lock"} == {"temporal", "build.log"}
    assert any("building its server" in line for line in lines)
    pretend_go("exit 1")
    assert ensure_temporal(start) == program


@pytest.mark.usefixtures("folder")
def test_a_long_build_is_told_by_what_it_has_done(
    start: Start, pretend_go: Callable[[str], None], lines: list[str]
) -> None:
    pretend_go(f"{BUILDS}\nsleep 1.5")
    ensure_temporal(start)
    assert any("1 modules, 1 packages compiled" in line for line in lines)


def test_a_build_that_fails_is_told_by_its_last_line_and_its_log(
    start: Start, folder: Path, pretend_go: Callable[[str], None]
) -> None:
    pretend_go("echo 'no route to the proxy'; exit 1")
    with pytest.raises(StackError, match=rf"could not be built \(no route to the proxy\).*{folder / 'build.log'}"):
        ensure_temporal(start)


@pytest.mark.parametrize("bound", ["BUILD_TIMEOUT_SECONDS", "BUILD_STANDSTILL_SECONDS"])
def test_a_build_that_stands_still_is_ended(
    start: Start, folder: Path, pretend_go: Callable[[str], None], monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    pretend_go(HANGS)
    monkeypatch.setattr(temporal_cli, bound, 1)
    with pytest.raises(StackError, match=r"0 packages compiled.*Run the same again"):
        ensure_temporal(start)
    assert not psutil.pid_exists(int((folder / "source" / "pid").read_text()))


@pytest.mark.usefixtures("folder")
def test_a_build_that_goes_on_slowly_is_waited_for(
    start: Start, pretend_go: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(temporal_cli, "BUILD_STANDSTILL_SECONDS", 5)
    pretend_go("for package in 1 2 3 4 5 6 7 8; do echo example.org/$package; sleep 1; done\n" + BUILDS)
    assert ensure_temporal(start).read_text() == "built\n"


def test_a_build_beside_something_that_failed_is_ended(
    start: Start, folder: Path, pretend_go: Callable[[str], None]
) -> None:
    pretend_go(HANGS)
    threading.Timer(0.5, start.abandoned.set).start()
    with pytest.raises(StackError, match="was given up"):
        ensure_temporal(start)
    assert not psutil.pid_exists(int((folder / "source" / "pid").read_text()))


def test_the_toolchain_is_the_one_that_is_installed_beside_us() -> None:
    assert os.access(temporal_cli.find_go(), os.X_OK)


def test_without_a_toolchain_it_is_said_what_to_install(
    start: Start, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(StackError, match="there is neither a 'temporal' command nor a Go toolchain"):
        ensure_temporal(start)
    assert not (folder / "temporal").exists()


@pytest.mark.parametrize(
    ("said", "server"),
    [
        ("temporal version 0.0.0-DEV (Server 1.29.1, UI 2.42.1)", "server 1.29"),
        ("temporal version 2 (Server 2.0.12, UI 9)", "server 2.0"),
        ("", "an unknown server"),
    ],
)
def test_a_program_says_which_server_is_in_it(tmp_path: Path, said: str, server: str) -> None:
    assert server_of(script(tmp_path / "temporal", f"echo '{said}'")) == server


def test_the_server_s_ui_is_told_where_payloads_are_decrypted(tmp_path: Path) -> None:
    endpoint = "http://127.0.0.1:8000/codec"
    command = TemporalService(tmp_path, 1, 2, ENDPOINTS, endpoint).launch().command
    assert command[command.index("--ui-codec-endpoint") + 1] == endpoint
    assert "--ui-codec-endpoint" not in TemporalService(tmp_path, 1, 2, ENDPOINTS).launch().command


def test_data_of_another_server_are_refused_and_its_own_are_taken(
    tmp_path: Path, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    versions = iter(["server 1.29", "server 1.29", "server 1.30"])
    monkeypatch.setattr(temporal, "ensure_temporal", lambda _: tmp_path / "none")
    monkeypatch.setattr(temporal, "server_of", lambda _: next(versions))
    service = TemporalService(tmp_path, 1, 2, ENDPOINTS)
    service.prepare(start)
    (tmp_path / "temporal" / "temporal.db").touch()
    service.prepare(start)
    with pytest.raises(StackError, match=r"are of server 1\.29, and this one is server 1\.30.*orders clean --state"):
        service.prepare(start)
