"""What runs on this machine: each `orders up` and `orders demo` says so in a file, for other commands to find it."""

import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

import psutil
from filelock import FileLock
from pydantic import BaseModel, ConfigDict, ValidationError

from stack.files import write_atomically
from stack.paths import stack_dir
from stack.processes import ProcessIdentity

_COMMANDS: Final = ("up", "demo")


class HealthAddress(BaseModel):
    """Where a process answers about its health."""

    model_config = ConfigDict(frozen=True)

    process: str
    """`bridge`, `api`, or `worker` and its task queue."""
    host: str
    port: int


class Running(BaseModel):
    """An `orders up` or `orders demo`, as it describes itself to other commands."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    command: str
    """`up` or `demo`."""
    pid: int
    started: str
    """When its process was started, in a form that is only compared: another process may have its pid by now."""
    since: datetime
    folder: str
    """The folder that it was started in, whose `.env` it reads."""
    kafka: str
    """Which servers it uses: where their Kafka is."""
    owns_servers: bool
    """Whether it ends the servers when it ends."""
    servers_are_named: bool = False
    """Whether its settings name the servers, so that it will never own them."""
    console_url: str | None
    """Where its console is; None where it has none."""
    log_dir: str
    health: tuple[HealthAddress, ...] = ()


def running_here(folder: Path | None = None) -> list[Running]:
    """All that run now, the longest first; what was killed and could not take its file away is not among them.

    Args:
        folder: of the stack; None for the one that the commands of this application use.
    """
    found = [_read(path) for path in (folder or stack_dir("default")).glob("running-*.json")]
    return sorted((one for one in found if one is not None), key=lambda one: one.since)


def described(one: Running) -> str:
    """Which one it is, in words for a person."""
    where = f" in {one.folder}" if one.folder else ""
    console = f"; its console: {one.console_url}" if one.console_url else ""
    return f"`orders {one.command}` (process {one.pid}{where}, since {one.since.astimezone():%H:%M}){console}"


class Ending(NamedTuple):
    """What becomes of the servers when one that uses them ends."""

    has_to_end_servers: bool
    """Whether they were its own, and nobody else uses them."""
    heir: Running | None
    """Whose they are from now on; None where they are nobody's, or were another's all along."""


class Registration:
    """What this process says of itself in the stack's folder, and whose the servers are."""

    def __init__(self, folder: Path, running: Running) -> None:
        self._folder = folder
        self._path = _path_of(folder, running.pid)
        self.running = running
        self._write(running)

    @property
    def owns_servers(self) -> bool:
        """Whether the servers are this one's to keep and to end; another one that ended may have left them to it."""
        now = _read(self._path)
        return now is not None and now.owns_servers

    def others(self) -> list[Running]:
        """All others that run now and use the same servers."""
        return [one for one in running_here(self._folder) if one.pid != os.getpid() and one.kafka == self.running.kafka]

    def end(self) -> "Ending":
        """Takes the description away, and leaves the servers to another one that uses them, if they were this one's."""
        with _turn(self._folder):
            owned = self.owns_servers
            self._path.unlink(missing_ok=True)
            heirs = [one for one in self.others() if not one.servers_are_named] if owned else []
            if not heirs:
                return Ending(has_to_end_servers=owned, heir=None)
            text = heirs[0].model_copy(update={"owns_servers": True}).model_dump_json(indent=2)
            write_atomically(_path_of(self._folder, heirs[0].pid), text)
            return Ending(has_to_end_servers=False, heir=heirs[0])

    def _write(self, running: Running) -> None:
        with _turn(self._folder):
            for path in self._folder.glob("running-*.json"):
                if _read(path) is None:
                    path.unlink(missing_ok=True)  # Of a process that was killed.
            write_atomically(self._path, running.model_dump_json(indent=2))


def register(
    folder: Path,
    *,
    kafka: str,
    owns_servers: bool,
    servers_are_named: bool,
    console_url: str | None,
    health: tuple[HealthAddress, ...],
) -> Registration:
    """Lets other commands find this process, until its registration is ended or the process dies.

    Args:
        folder: of the stack.
        kafka: where the Kafka is that it uses.
        owns_servers: whether this process has started the servers.
        servers_are_named: whether settings name the servers.
        console_url: where its console is; None where it has none.
        health: where its processes answer about their health.
    """
    identity = ProcessIdentity.of(os.getpid())
    return Registration(
        folder,
        Running(
            command=next((one for one in sys.argv[1:2] if one in _COMMANDS), _COMMANDS[0]),
            pid=identity.pid,
            started=identity.started,
            since=datetime.now(UTC),
            folder=str(Path.cwd()),
            kafka=kafka,
            owns_servers=owns_servers,
            servers_are_named=servers_are_named,
            console_url=console_url,
            log_dir=str(folder / "logs"),
            health=health,
        ),
    )


def _path_of(folder: Path, pid: int) -> Path:
    return folder / f"running-{pid}.json"


def _turn(folder: Path) -> FileLock:
    """Held while somebody decides whose the servers are: two may end at the same moment."""
    folder.mkdir(parents=True, exist_ok=True)
    return FileLock(folder / "running.lock", timeout=30)


def _read(path: Path) -> Running | None:
    """What the file describes; None where that does not run any more, or the file is not one of ours."""
    try:
        one = Running.model_validate_json(path.read_text())
        return one if ProcessIdentity(one.pid, one.started).find() is not None else None
    except (OSError, ValidationError, psutil.Error):
        return None
