"""A stack's folder: its lock, its state file, its remembered ports, its database's password."""

import contextlib
import json
import secrets
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from stack.errors import StackError
from stack.files import write_atomically
from stack.progress import Progress
from stack.state import StackState, read_ports

# The first start compiles Temporal, for minutes; whoever waits for it says so.
LOCK_PATIENCE_SECONDS = 2 * 3600
LOCK_NOTICE_SECONDS = 8
_PASSWORD_BYTES = 16


class StackFolder:
    """Where one stack keeps what it is and what it has."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextlib.contextmanager
    def locked(self, progress: Progress) -> Iterator[None]:
        """Holds the folder for one process at a time.

        Raises:
            StackError: Another process holds it for longer than two hours.
        """
        for folder in (self.path, self.path / "logs"):
            folder.mkdir(parents=True, exist_ok=True)
        self.path.chmod(0o700)
        lock = FileLock(self.path / ".lock")
        for waited in range(0, LOCK_PATIENCE_SECONDS, LOCK_NOTICE_SECONDS):
            try:
                lock.acquire(timeout=LOCK_NOTICE_SECONDS)
                break
            except Timeout:
                seconds = waited + LOCK_NOTICE_SECONDS
                progress(f"another process is starting or ending these servers; waiting ({seconds} s)")
        else:
            raise StackError(f"another process holds {lock.lock_file}; end it, then run the same again")
        try:
            yield
        finally:
            lock.release()

    def read_state(self) -> StackState | None:
        """Reads what was started last; None if nothing was, or it was ended."""
        return StackState.read(self._state_path)

    def write_state(self, state: StackState) -> None:
        """Remembers what was started."""
        state.write(self._state_path)

    def forget(self) -> None:
        """Forgets what was started: it has been ended."""
        self._state_path.unlink(missing_ok=True)

    def read_ports(self) -> dict[str, int]:
        """Reads the ports of the last start."""
        return read_ports(self._ports_path)

    def write_ports(self, ports: dict[str, int]) -> None:
        """Remembers the ports, also beyond the servers' end."""
        write_atomically(self._ports_path, json.dumps(ports, indent=2))

    def password(self) -> str:
        """The password of this stack's database: random, made when it is first asked for, and for its owner only."""
        path = self.path / "db-password"
        with contextlib.suppress(FileNotFoundError):
            if known := path.read_text().strip():
                return known
        made = secrets.token_hex(_PASSWORD_BYTES)
        write_atomically(path, made)
        return made

    @property
    def _state_path(self) -> Path:
        return self.path / "state.json"

    @property
    def _ports_path(self) -> Path:
        return self.path / "ports.json"
