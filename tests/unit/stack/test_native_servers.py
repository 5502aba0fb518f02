"""Starting and ending native servers side by side, with scripts in the servers' places."""

import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from stack import native
from stack.errors import StackError
from stack.folder import StackFolder
from stack.native import NativeServers, prepare_programs
from stack.processes import Launch
from stack.progress import ProgressBoard
from stack.service import SERVICES, ServiceName, Start

RUNS = (sys.executable, "-c", "import time; time.sleep(60)")


@dataclass
class Script:
    """See ``stack.service.Service``: one that is ready at once."""

    name: ServiceName
    folder: Path
    command: tuple[str, ...] = RUNS
    preparing: Callable[[Start], object] = lambda _: None
    launched: bool = False
    first_signal: signal.Signals = signal.SIGTERM
    start_patience_seconds: float = 10.0
    stop_patience_seconds: float = 10.0
    erased: list[bool] = field(default_factory=list)

    @property
    def log_path(self) -> Path:
        return self.folder / "logs" / f"{self.name}.log"

    def prepare(self, start: Start) -> None:
        self.preparing(start)

    def launch(self) -> Launch:
        self.launched = True
        return Launch(self.command, self.folder)

    def check(self) -> None:
        pass

    def erase(self) -> None:
        self.erased.append(True)


@pytest.fixture
def scripts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[ServiceName, Script]:
    (tmp_path / "logs").mkdir()
    made = {name: Script(name, tmp_path) for name in SERVICES}
    monkeypatch.setattr(native, "_services", lambda *_: made)
    return made


def start(folder: Path) -> NativeServers:
    with ProgressBoard(lambda _: None) as board:
        return NativeServers.start(StackFolder(folder), board, durable=False)


def test_a_server_that_has_ended_is_not_disturbed_but_restarted(
    scripts: dict[ServiceName, Script], tmp_path: Path
) -> None:
    servers = start(tmp_path)
    try:
        assert set(servers.pids) == set(SERVICES)
        servers.kill("kafka")
        assert set(servers.pids) == {"temporal", "postgres"}
        for disturb in (servers.kill, servers.pause, servers.resume):
            with pytest.raises(StackError, match="kafka is not running; start it again with restart"):
                disturb("kafka")
        servers.restart("kafka")
        pids = servers.pids
        assert set(pids) == set(SERVICES)
    finally:
        servers.end()
    assert not any(psutil.pid_exists(pid) for pid in pids.values())
    assert all(script.erased for script in scripts.values())


def test_a_server_whose_program_cannot_be_run_is_told_and_nothing_is_left(
    scripts: dict[ServiceName, Script], tmp_path: Path
) -> None:
    scripts["temporal"].command = ("/nonexistent/temporal",)
    with pytest.raises(StackError, match=r"temporal cannot be started \(.*No such file.*temporal\.log"):
        start(tmp_path)
    assert StackFolder(tmp_path).read_state() is None


def test_what_fails_first_is_told_and_what_is_still_being_prepared_is_not_started(
    scripts: dict[ServiceName, Script], tmp_path: Path
) -> None:
    def fail(_: Start) -> None:
        raise StackError("no jars")

    scripts["kafka"].preparing = fail
    scripts["temporal"].preparing = lambda start: start.abandoned.wait(10)
    with pytest.raises(StackError, match="no jars"):
        start(tmp_path)
    assert not scripts["temporal"].launched


def test_a_download_that_fails_ends_the_build_beside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    given_up = threading.Event()

    def build(start: Start) -> None:
        if start.abandoned.wait(10):
            given_up.set()

    def download(*_: object) -> None:
        raise StackError("no network")

    monkeypatch.setattr(native, "ensure_temporal", build)
    monkeypatch.setattr(native, "ensure_jars", download)
    with ProgressBoard(lambda _: None) as board, pytest.raises(StackError, match="no network"):
        prepare_programs(board, test_server=True, temporal=True)
    assert given_up.is_set()
