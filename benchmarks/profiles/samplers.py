"""Looks at processes while they run: which of their threads use the processor, and what their stacks are."""

import shutil
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import psutil

from benchmarks.profiles.stacks import Samples, from_perf, from_py_spy
from tests.helpers.python_packages import python_with

HERE: Final = Path(__file__).parent
PYTHON_HERTZ: Final = 100
"""Samples a second of a Python process, which py-spy stops for each: a percent or two of its time."""
PERF_HERTZ: Final = 199
"""Samples a second of each thread that perf looks at. No round number, so that nothing periodic is in step with it."""
_WRITTEN_WITHIN_SECONDS: Final = 60.0

_OF_THE_SDK: Final = ("tokio", "temporal")
"""How the names of threads begin that are the SDK's core, in Rust, in a Python process."""


def py_spy() -> Path:
    """The program; installed once, in the cache folder."""
    return python_with(HERE / "requirements.txt", kept_in="profiles").parent / "py-spy"


def perf() -> str | None:
    """Linux' own sampler of any program; None where this machine has none."""
    return shutil.which("perf")


@contextmanager
def sampled_python(process: psutil.Process, file: Path) -> Iterator[None]:
    """Samples a Python process while the block lasts: its threads that run Python, and none that waits."""
    command = [
        str(py_spy()),
        "record",
        "--pid",
        str(process.pid),
        "--format",
        "raw",
        "--gil",
        "--rate",
        str(PYTHON_HERTZ),
    ]
    with _running([*command, "--duration", "unlimited", "--output", str(file)], file.with_suffix(".log")):
        yield


@contextmanager
def sampled_program(process: psutil.Process, file: Path) -> Iterator[None]:
    """Samples any other program with perf, with those that it has made; only where perf is there."""
    program = perf()
    if program is None:
        yield
        return
    pids = ",".join(str(one.pid) for one in [process, *process.children(recursive=True)])
    command = [program, "record", "--event", "cpu-clock", "--freq", str(PERF_HERTZ), "--call-graph", "fp"]
    with _running([*command, "--pid", pids, "--output", str(file)], file.with_suffix(".log")):
        yield


@contextmanager
def _running(command: Sequence[str], log: Path) -> Iterator[None]:
    """A sampler that writes what it has seen when it is interrupted."""
    with log.open("wb") as out:
        sampler = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out)  # noqa: S603 -- ours
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            sampler.send_signal(signal.SIGINT)
        try:
            sampler.wait(_WRITTEN_WITHIN_SECONDS)
        except subprocess.TimeoutExpired:
            sampler.kill()
            sampler.wait()


def stacks_of_python(file: Path) -> Samples:
    """What `sampled_python` has written.

    Raises:
        RuntimeError: It wrote nothing; the message has what py-spy said.
    """
    if not file.exists():
        raise RuntimeError(f"py-spy wrote nothing: {file.with_suffix('.log').read_text()[-2000:]}")
    return from_py_spy(file.read_text())


def stacks_of_program(file: Path) -> Samples | None:
    """What `sampled_program` has written; None where perf is not there, or may not look."""
    program = perf()
    if program is None or not file.exists():
        return None
    command = [program, "script", "--input", str(file), "--fields", "comm,ip,sym,dso"]
    ended = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)  # noqa: S603 -- ours
    found = from_perf(ended.stdout)
    return found if found.total else None


def threads_of(process: psutil.Process) -> Counter[str]:
    """Milliseconds of the processor of a process and those that it has made, by the names of their threads.

    Numbers at the end of a name do not count.
    """
    found: Counter[str] = Counter()
    for one in [process, *process.children(recursive=True)]:
        with suppress(psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
            for thread in one.threads():
                name = Path(f"/proc/{one.pid}/task/{thread.id}/comm").read_text().strip()
                found[_kind_of(name)] += round((thread.user_time + thread.system_time) * 1e3)
    return found


def _kind_of(name: str) -> str:
    if name.startswith(_OF_THE_SDK):
        return "the SDK's core (Rust)"
    return name.rstrip("0123456789").rstrip("-_#: ") or name
