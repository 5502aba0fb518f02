"""Server processes: started in a session of their own, known by pid and start time, ended within a bound."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import psutil

LOG_ROTATION_BYTES = 20 * 1024 * 1024
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
KILL_PATIENCE_SECONDS = 10.0
PAUSE_PATIENCE_SECONDS = 5.0

# The pids of what this process started, which it must reap, so that none lingers as a zombie.
_children: set[int] = set()


@dataclass(frozen=True, slots=True)
class Account:
    """A user of the system that a server runs as."""

    name: str
    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class Launch:
    """How a server is started.

    Attributes:
        command: The program and its arguments.
        folder: The working folder.
        account: The user it runs as; None for the one we are.
        environment: Variables beside this process's own.
    """

    command: Sequence[str]
    folder: Path
    account: Account | None = None
    environment: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """A process, and no other one that has its pid later, also after the machine was started anew.

    Attributes:
        pid: Its number.
        started: When it was started, in a form that is only compared.
    """

    pid: int
    started: str

    @classmethod
    def of(cls, pid: int) -> Self:
        """Reads a running process's identity.

        Raises:
            psutil.NoSuchProcess: There is none.
        """
        return cls(pid, _read_start(pid))

    def find(self) -> psutil.Process | None:
        """Gives the process, or None if it has ended (a zombie has) or its pid is now a stranger's."""
        _reap(self.pid)
        try:
            process = psutil.Process(self.pid)
            if _read_start(self.pid) == self.started and process.status() != psutil.STATUS_ZOMBIE:
                return process
        except psutil.NoSuchProcess:
            pass
        return None


def start(launch: Launch, log_path: Path) -> ProcessIdentity:
    """Starts a server, its output appended to the log.

    It has a session of its own: a Ctrl-C in our terminal does not reach it, so the orderly end is ours to make.

    Raises:
        OSError: The program cannot be run.
    """
    if log_path.exists() and log_path.stat().st_size > LOG_ROTATION_BYTES:
        log_path.replace(log_path.with_suffix(".previous.log"))
    credentials: dict[str, object] = {}
    if launch.account is not None:
        credentials = {"user": launch.account.uid, "group": launch.account.gid, "extra_groups": []}
    with log_path.open("ab") as log:
        child = subprocess.Popen(  # type: ignore[call-overload]  # noqa: S603 -- our own command line
            list(launch.command),
            cwd=launch.folder,
            env={**os.environ, **launch.environment},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            **credentials,
        )
    _children.add(child.pid)
    identity = ProcessIdentity.of(child.pid)
    # It is to outlive this object, and this process: as ended, Popen does not warn that it still runs, nor reaps it.
    child.returncode = 0
    return identity


def stop(identity: ProcessIdentity, first_signal: signal.Signals, patience_seconds: float) -> None:
    """Asks a process to end, and kills it and all it started if it has not within the patience.

    Returns when it and its descendants are gone, at the latest ten seconds after the patience.
    """
    members = family(identity)
    _signal(members, signal.SIGCONT)
    _signal(members[:1], first_signal)
    survivors = _await_end(members, patience_seconds)
    _signal(survivors, signal.SIGKILL)
    _await_end(survivors, KILL_PATIENCE_SECONDS)
    _reap(identity.pid)


def kill(identity: ProcessIdentity) -> None:
    """Kills a process and all it started, at once, and returns when they are gone."""
    members = family(identity)
    _signal(members, signal.SIGKILL)
    _await_end(members, KILL_PATIENCE_SECONDS)
    _reap(identity.pid)


def pause(identity: ProcessIdentity) -> None:
    """Stops a process and all it started (SIGSTOP), as a machine does that hangs; returns when they stand still."""
    members = family(identity)
    _signal(members, signal.SIGSTOP)
    deadline = time.monotonic() + PAUSE_PATIENCE_SECONDS
    while any(_is_alive(each) and not _is_stopped(each) for each in members) and time.monotonic() < deadline:
        time.sleep(0.005)


def resume(identity: ProcessIdentity) -> None:
    """Lets a paused process and all it started go on (SIGCONT)."""
    _signal(family(identity), signal.SIGCONT)


def family(identity: ProcessIdentity) -> list[psutil.Process]:
    """Gives the process, first, and its descendants; an empty list if it has ended."""
    process = identity.find()
    if process is None:
        return []
    with contextlib.suppress(psutil.NoSuchProcess):
        return [process, *process.children(recursive=True)]
    return [process]


def _read_start(pid: int) -> str:
    # On Linux the kernel's own count since boot: psutil's time of day moves when the clock is set, as it is on a
    # laptop that wakes up, and then our own processes would look like strangers.
    if BOOT_ID.exists():
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError) as error:
            raise psutil.NoSuchProcess(pid) from error
        return f"boot {BOOT_ID.read_text().strip()}, tick {fields[19]}"
    return f"time {psutil.Process(pid).create_time()}"


def _signal(members: Sequence[psutil.Process], number: signal.Signals) -> None:
    for member in members:
        # psutil compares start times before it sends, so that a pid given to a stranger meanwhile is left alone.
        with contextlib.suppress(psutil.NoSuchProcess):
            member.send_signal(number)


def _await_end(members: Sequence[psutil.Process], patience_seconds: float) -> list[psutil.Process]:
    deadline = time.monotonic() + patience_seconds
    while True:
        alive = [member for member in members if _is_alive(member)]
        if not alive or time.monotonic() >= deadline:
            return alive
        time.sleep(0.02)


def _is_alive(member: psutil.Process) -> bool:
    _reap(member.pid)
    try:
        return bool(member.is_running() and member.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _is_stopped(member: psutil.Process) -> bool:
    try:
        return bool(member.status() == psutil.STATUS_STOPPED)
    except psutil.NoSuchProcess:
        return True


def _reap(pid: int) -> None:
    if pid not in _children:
        return
    try:
        ended, _ = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        # psutil, or another of our threads, was quicker.
        ended = pid
    if ended == pid:
        _children.discard(pid)
