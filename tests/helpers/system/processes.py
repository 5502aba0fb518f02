"""The project's own processes, started as a user starts them, and ended by their pid whatever happens."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from orders.settings import Settings
from orders.settings.unknown import OURS
from tests.helpers.checker.evidence import ProcessEnd
from tests.helpers.system.waiting import assert_eventually, patient_seconds

START_TIMEOUT_SECONDS = 120.0
"""A process is up in 2 to 4 s; on a machine that does much else at once it may take many times as long."""
STOP_TIMEOUT_SECONDS = 25.0
"""What every process of ours promises (I13)."""
LOG_TAIL_CHARS = 6_000

_SETTINGS = frozenset(name.upper() for name in Settings.model_fields)

_OF_A_TERMINAL = ("COLUMNS", "LINES")
"""Set where tests run beside each other, and obeyed by commands that print tables."""


def clean_environment(settings: Mapping[str, str]) -> dict[str, str]:
    """This process's environment with these settings, no other ones of ours, and no terminal's size.

    Workflows run in the sandbox: what an installation may leave out is what tests watch for.
    """
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(OURS) and name not in _SETTINGS and name not in _OF_A_TERMINAL
    }
    return {**inherited, "LOG_FORMAT": "json", "WORKER_SANDBOX": "true", **settings}


class UnexpectedEndError(Exception):
    """A process ended by itself. Waiting for anything else makes no sense then."""


class OrdersProcess:
    """One ``orders`` command, running. Its output goes to a file, which failures show.

    Args:
        name: What the test calls it.
        arguments: Of ``python -m orders``.
        settings: Its environment variables, beside those of this process that are no settings of ours.
        folder: Its working folder, which has no ``.env``, and where its log is written.
        expect_end: Whether it may end by itself, which otherwise fails whatever is waited for.
    """

    def __init__(
        self,
        name: str,
        arguments: Sequence[str],
        settings: Mapping[str, str],
        folder: Path,
        *,
        expect_end: bool = False,
    ) -> None:
        self.name = name
        self._may_end = expect_end
        self._told: list[tuple[str, float]] = []
        """The signals that it was sent to end it, and when."""
        self._ended_at: float | None = None
        self._expected_status = 0
        self.log_path = folder / f"{name}.log"
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "orders", *arguments],
                cwd=folder,
                env=clean_environment(settings),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # A Ctrl-C of the person who runs the tests is for the tests; they end what they started.
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    @property
    def exit_status(self) -> int | None:
        """What it ended with; None while it runs, negative where a signal ended it."""
        status = self._process.poll()
        if status is not None and self._ended_at is None:
            self._ended_at = time.monotonic()
        return status

    @property
    def end(self) -> ProcessEnd | None:
        """How it ended; None while it runs."""
        status, ended_at = self.exit_status, self._ended_at
        if status is None or ended_at is None:
            return None
        return ProcessEnd(
            self.name,
            status,
            signals=tuple(name for name, _ in self._told),
            expected_status=self._expected_status,
            stopping_seconds=ended_at - self._told[0][1] if self._told else 0.0,
            may_end=self._may_end,
        )

    @property
    def log(self) -> str:
        """All that it wrote."""
        return self.log_path.read_text(encoding="utf-8", errors="replace")

    @property
    def log_tail(self) -> str:
        """The end of what it wrote, under its name."""
        return f"--- {self.name} (pid {self.pid}, exit status {self.exit_status}) ---\n{self.log[-LOG_TAIL_CHARS:]}"

    def raise_if_it_ended_by_itself(self) -> None:
        """Tells of a process that nobody stopped, and that ended all the same.

        Raises:
            UnexpectedEndError: With its log.
        """
        if self.exit_status is not None and not self._may_end:
            raise UnexpectedEndError(f"{self.name} ended by itself\n{self.log_tail}")

    async def wait_until_logged(self, text: str, within_seconds: float = START_TIMEOUT_SECONDS) -> None:
        """Waits for a text in the log; fails at once when the process ends without it."""

        def logged_or_ended() -> bool:
            return text in self.log or self.exit_status is not None

        await assert_eventually(logged_or_ended, within_seconds, lambda: f"{text!r} in the log\n{self.log_tail}")
        assert text in self.log, f"{self.name} ended before it logged {text!r}\n{self.log_tail}"

    async def wait_until_ended(self, within_seconds: float) -> int:
        """Waits for the end and returns the exit status."""
        await assert_eventually(
            lambda: self.exit_status is not None, within_seconds, lambda: f"the end of the process\n{self.log_tail}"
        )
        return self._process.wait(timeout=0)

    async def terminate(self, *, expected_status: int = 0, within_seconds: float = STOP_TIMEOUT_SECONDS) -> None:
        """Sends SIGTERM and fails unless the process leaves with this status in time (I13)."""
        self._expected_status = expected_status
        self.send(signal.SIGTERM)
        status = await self.wait_until_ended(within_seconds)
        assert status == expected_status, f"{self.name} left with {status}, not {expected_status}\n{self.log_tail}"

    async def kill9(self) -> None:
        """Ends the process at once, as a crash of the machine would."""
        self.send(signal.SIGKILL)
        await self.wait_until_ended(STOP_TIMEOUT_SECONDS)

    def send(self, number: signal.Signals) -> None:
        """Sends a signal; fails where the process has ended by itself."""
        assert self.exit_status is None, f"{self.name} had ended already\n{self.log_tail}"
        if number in (signal.SIGTERM, signal.SIGKILL, signal.SIGINT, signal.SIGHUP):
            self._may_end = True
            self._told.append((number.name, time.monotonic()))
        self._process.send_signal(number)

    def close(self) -> None:
        """Ends the process where it still runs, and everything that it started."""
        if self._process.poll() is None and "COVERAGE_PROCESS_CONFIG" in os.environ:
            # One that is killed does not say which lines it has run.
            self._process.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_TIMEOUT_SECONDS)
        if self._process.poll() is None:
            # SIGCONT first: a stopped process would otherwise keep its children waiting for ever.
            os.killpg(self.pid, signal.SIGCONT)
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()


async def run_to_end(
    arguments: Sequence[str],
    settings: Mapping[str, str],
    folder: Path,
    *,
    within_seconds: float = START_TIMEOUT_SECONDS,
    stdin: bytes = b"",
) -> subprocess.CompletedProcess[str]:
    """Runs an ``orders`` command to its end and returns its status and output."""
    return await asyncio.to_thread(
        _run_to_end, [sys.executable, "-m", "orders", *arguments], settings, folder, within_seconds, stdin
    )


def _run_to_end(
    command: Sequence[str], settings: Mapping[str, str], folder: Path, within_seconds: float, stdin: bytes
) -> subprocess.CompletedProcess[str]:
    ended = subprocess.run(
        command,
        cwd=folder,
        env=clean_environment(settings),
        input=stdin,
        capture_output=True,
        timeout=patient_seconds(within_seconds),
        check=False,
    )
    return subprocess.CompletedProcess(
        command, ended.returncode, ended.stdout.decode(errors="replace"), ended.stderr.decode(errors="replace")
    )


def is_running(pid: int) -> bool:
    """Whether a process is there and has not ended; one that nobody has waited for yet has ended."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def free_port() -> int:
    """A port on which nobody listens now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
