"""Keeping child processes running: started again when one dies, given up when it keeps dying, ended in order."""

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from orders.errors import NeedsAPersonError, OrdersError, WrongSettingsError
from orders.processes.exit_status import ExitStatus
from orders.processes.running import PARENT_VARIABLE

FAST_FAILURE_SECONDS: Final = 10.0
"""A child that ended by itself and lived for less has failed fast."""
FAST_FAILURES_MAX: Final = 5
"""So many in a row, and starting it again is no use."""
_RESTART_PAUSES_SECONDS: Final = (0.0, 0.5, 1.0, 2.0, 4.0)
"""By how often it has failed fast in a row. The first time there is none: a bridge that was killed hands records over
again within seconds."""
STOP_PATIENCE_SECONDS: Final = 26.0
"""A process of ours that is told to stop has ended by then (25 s) or is stuck, and is killed."""
_LINE_MAX_BYTES: Final = 1024 * 1024


@dataclass(slots=True)
class Child:
    """A process to keep running."""

    name: str
    arguments: tuple[str, ...]
    """Of the ``orders`` command."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """Its own, beside those of all children."""
    process: asyncio.subprocess.Process | None = None
    restarts: int = 0
    fast_failures: int = 0


@dataclass(slots=True)
class Supervisor:
    """Runs children until told to stop.

    Args:
        children: in the order in which they are started; they are stopped in this order too.
        environment: the children's.
        log_dir: each child's whole output goes to a file of its name there.
        on_line: called with a child's name and each line of its output.
        on_change: called with a sentence when a child is lost, started again or given up.
    """

    children: Sequence[Child]
    environment: Mapping[str, str]
    log_dir: Path
    on_line: Callable[[str, str], None]
    on_change: Callable[[str], None]
    _stopping: asyncio.Event = field(default_factory=asyncio.Event, init=False)

    async def run(self, stop: asyncio.Event) -> None:
        """Keeps the children running until the event is set, then ends them; also when it is cancelled.

        Raises:
            OrdersError: a child was given up.
        """
        self.log_dir.mkdir(parents=True, exist_ok=True)
        keeping = [asyncio.create_task(self._keep(child), name=f"keep {child.name}") for child in self.children]
        stopped = asyncio.create_task(stop.wait(), name="supervisor stop")
        try:
            await asyncio.wait([*keeping, stopped], return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._stopping.set()
            stopped.cancel()
            # Shielded: a cancelled supervisor ends its children all the same.
            await asyncio.shield(self._end_all(keeping))
        for kept in keeping:
            if not kept.cancelled() and (error := kept.exception()) is not None:
                raise error

    async def _keep(self, child: Child) -> None:
        """Runs a child again and again."""
        while not self._stopping.is_set():
            began = time.monotonic()
            status = await self._run_once(child)
            if self._stopping.is_set():
                return
            lived = time.monotonic() - began
            # Whoever was killed has not failed.
            has_failed_fast = lived < FAST_FAILURE_SECONDS and status != -signal.SIGKILL
            child.fast_failures = child.fast_failures + 1 if has_failed_fast else 1
            self._give_up_if_hopeless(child, status)
            pause = _RESTART_PAUSES_SECONDS[min(child.fast_failures, len(_RESTART_PAUSES_SECONDS)) - 1]
            child.restarts += 1
            when = f"in {pause:g} s" if pause else "at once"
            self.on_change(f"{child.name} {_how(status)} after {lived:.0f} s; starting it again {when}")
            await asyncio.sleep(pause)

    def _give_up_if_hopeless(self, child: Child, status: int) -> None:
        log = self.log_dir / f"{child.name}.log"
        if status == ExitStatus.USAGE:
            raise WrongSettingsError(f"{child.name} refuses its settings (its lines above say which); see {log}")
        if status == ExitStatus.NEEDS_A_PERSON:
            raise NeedsAPersonError(
                f"{child.name} stopped until somebody has looked, so it is not started again; see {log}"
            )
        if child.fast_failures >= FAST_FAILURES_MAX:
            raise OrdersError(
                f"{child.name} {_how(status)} {child.fast_failures} times in a row, each within "
                f"{FAST_FAILURE_SECONDS:g} s of its start, so it is given up; see {log}"
            )

    async def _run_once(self, child: Child) -> int:
        """Starts a child and returns its exit status once it has ended and its output is read."""
        child.process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "orders",
            *child.arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={**self.environment, **child.settings, PARENT_VARIABLE: str(os.getpid())},
            limit=_LINE_MAX_BYTES,
            # A session of its own: Ctrl-C in the terminal is for us, and we stop the children in order.
            start_new_session=True,
        )
        try:
            await self._read_output(child, child.process)
            return await child.process.wait()
        finally:
            # Reading failed or was cancelled: whoever reads no more must not leave the child running.
            await self._end(child)

    async def _read_output(self, child: Child, process: asyncio.subprocess.Process) -> None:
        output = process.stdout
        if output is None:
            raise AssertionError("the child was started with a pipe")
        mode = "ab" if child.restarts else "wb"
        with (self.log_dir / f"{child.name}.log").open(mode) as log:
            while True:
                try:
                    line = await output.readline()
                except ValueError:
                    continue  # A line above the limit, which readline has dropped.
                if not line:
                    return
                log.write(line)
                log.flush()
                self.on_line(child.name, line.decode(errors="replace").rstrip("\n"))

    async def _end_all(self, keeping: Sequence["asyncio.Task[None]"]) -> None:
        """Ends the children in their order; what does not end in time is killed."""
        for child in self.children:
            await self._end(child)
        for kept in keeping:
            kept.cancel()
        await asyncio.gather(*keeping, return_exceptions=True)

    async def _end(self, child: Child) -> None:
        process = child.process
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(STOP_PATIENCE_SECONDS):
                await process.wait()
        except TimeoutError:
            self.on_change(f"{child.name} did not stop within {STOP_PATIENCE_SECONDS:g} s; killing it")
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


def _how(status: int) -> str:
    if status < 0:
        return f"was ended by {signal.Signals(-status).name}"
    return f"ended with status {status}"
