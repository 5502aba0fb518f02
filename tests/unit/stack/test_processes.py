"""Starting, recognising and ending processes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from stack import processes
from stack.postgres import forget_stranger
from stack.processes import Launch, ProcessIdentity
from tests.helpers.system.processes import is_running
from tests.helpers.system.waiting import Patience, in_time

STUBBORN_PARENT = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print(child.pid, flush=True)
time.sleep(60)
"""


def start_python(program: str, folder: Path) -> ProcessIdentity:
    return processes.start(Launch([sys.executable, "-c", program], folder=folder), folder / "log")


def await_output(log: Path) -> str:
    patience = Patience(10)
    while not log.read_text().endswith("\n"):
        assert not patience.is_over(), "the process has printed nothing"
        time.sleep(0.01)
    return log.read_text()


def test_a_process_that_ends_when_asked_is_not_killed(tmp_path: Path) -> None:
    program = """
import signal, sys, time
def leave(*_):
    print("left in order", flush=True)
    sys.exit()
signal.signal(signal.SIGTERM, leave)
print("ready", flush=True)
time.sleep(60)
"""
    identity = start_python(program, tmp_path)
    await_output(tmp_path / "log")
    processes.stop(identity, signal.SIGTERM, 10)
    assert (tmp_path / "log").read_text() == "ready\nleft in order\n"
    assert identity.find() is None
    assert not psutil.pid_exists(identity.pid), "it was reaped"


def test_a_process_that_ignores_the_request_is_killed_with_its_children_after_the_patience(tmp_path: Path) -> None:
    identity = start_python(STUBBORN_PARENT, tmp_path)
    child = int(await_output(tmp_path / "log"))
    started = time.monotonic()
    with in_time(5):
        processes.stop(identity, signal.SIGTERM, 0.3)
    assert time.monotonic() - started >= 0.3
    assert identity.find() is None
    assert not is_running(child)


def test_a_paused_process_is_ended_as_well(tmp_path: Path) -> None:
    identity = start_python("import time; time.sleep(60)", tmp_path)
    processes.pause(identity)
    assert psutil.Process(identity.pid).status() == psutil.STATUS_STOPPED
    processes.stop(identity, signal.SIGTERM, 5)
    assert identity.find() is None


def test_a_pid_that_now_belongs_to_another_process_is_left_alone() -> None:
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        ours = ProcessIdentity(stranger.pid, "boot of yesterday, tick 4711")
        assert ours.find() is None
        processes.stop(ours, signal.SIGTERM, 0.1)
        processes.kill(ours)
        processes.pause(ours)
        assert stranger.poll() is None
        assert psutil.Process(stranger.pid).status() != psutil.STATUS_STOPPED
    finally:
        stranger.kill()
        stranger.wait()


def test_a_process_that_has_ended_is_not_found_whoever_reaped_it(tmp_path: Path) -> None:
    identity = start_python("", tmp_path)
    os.waitpid(identity.pid, 0)
    assert identity.find() is None
    assert processes.family(identity) == []
    with pytest.raises(psutil.NoSuchProcess):
        ProcessIdentity.of(identity.pid)


def test_without_linux_s_count_since_boot_a_process_is_known_by_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "BOOT_ID", Path("/nonexistent"))
    identity = ProcessIdentity.of(os.getpid())
    assert identity.started == f"time {psutil.Process().create_time()}"
    assert identity.find() is not None
    assert ProcessIdentity(os.getpid(), "time 1.0").find() is None


def test_a_process_that_ends_while_its_children_are_looked_for_is_dealt_with_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def be_gone(process: psutil.Process, **_: object) -> None:
        raise psutil.NoSuchProcess(process.pid)

    identity = start_python("import time; time.sleep(60)", tmp_path)
    monkeypatch.setattr(psutil.Process, "children", be_gone)
    processes.kill(identity)
    assert identity.find() is None


@pytest.mark.parametrize("looks", [1, 2], ids=["at the first look", "at the second look"])
def test_a_process_that_ends_while_it_is_paused_counts_as_paused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, looks: int
) -> None:
    identity = start_python("import time; time.sleep(60)", tmp_path)
    members = processes.family(identity)
    left = iter(range(1, looks))

    def end_at_last(process: psutil.Process) -> str:
        if next(left, None) is None:
            process.kill()
            raise psutil.NoSuchProcess(process.pid)
        return psutil.STATUS_RUNNING

    with monkeypatch.context() as patch:
        patch.setattr(processes, "family", lambda _: members)
        patch.setattr(psutil.Process, "status", end_at_last)
        processes.pause(identity)
    processes.kill(identity)
    assert identity.find() is None


def test_a_process_has_a_session_of_its_own_and_survives_our_terminals_ctrl_c(tmp_path: Path) -> None:
    identity = start_python("import os; print(os.getsid(0) == os.getpid(), flush=True)", tmp_path)
    try:
        assert await_output(tmp_path / "log") == "True\n"
    finally:
        processes.kill(identity)


def test_a_log_that_has_grown_large_is_set_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "LOG_ROTATION_BYTES", 3)
    (tmp_path / "log").write_text("full")
    identity = start_python("print('new', flush=True)", tmp_path)
    await_output(tmp_path / "log")
    processes.kill(identity)
    assert (tmp_path / "log").read_text() == "new\n"
    assert (tmp_path / "log.previous.log").read_text() == "full"


def test_a_pid_file_that_names_a_stranger_is_forgotten_and_any_other_is_left_to_postgres(tmp_path: Path) -> None:
    pid_file = tmp_path / "postmaster.pid"
    forget_stranger(pid_file)
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    for content in (f"{ended.pid}\n/data\n", "", "x\n"):
        pid_file.write_text(content)
        forget_stranger(pid_file)
        assert pid_file.read_text() == content
    pid_file.write_text(f"{os.getpid()}\n/data\n")
    forget_stranger(pid_file)
    assert not pid_file.exists()
