"""How a process of ours runs and ends, seen from outside: signals, time-outs, its parent's death, its status."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from orders.processes.exit_status import ExitStatus
from orders.processes.stop_signals import STOP_SIGNALS
from tests.helpers.system.processes import is_running
from tests.helpers.system.waiting import Patience, in_time, patient_seconds

DEADLINE_SECONDS = 30.0


def start(body: str, *, within_seconds: float = 20, **environment: str) -> "subprocess.Popen[str]":
    """A process with this body, which has `stop` in hand; returns once it runs."""
    code = f"""
import asyncio, time
from orders.errors import UnreachableError
from orders.processes.exit_status import ExitStatus
from orders.processes.stop_signals import STOP_SIGNALS
from orders.processes.leaving import leave
from orders.processes.running import run_until_stopped

async def body(stop):
    print("running", flush=True)
{textwrap.indent(textwrap.dedent(body), "    ")}
    return ExitStatus.OK

leave(asyncio.run(run_until_stopped("test", body, stop_within_seconds={within_seconds})))
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, **environment},
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line.strip() == "running":
            return process
    raise AssertionError("it ended before it ran")


def read_until(process: "subprocess.Popen[str]", text: str) -> None:
    """Reads the output up to a line with this text."""
    assert process.stdout is not None
    for line in process.stdout:
        if text in line:
            return
    raise AssertionError(f"it ended without {text!r}")


def end_of(process: "subprocess.Popen[str]") -> tuple[int, str]:
    """Exit status and the rest of the output."""
    output, _ = process.communicate(timeout=patient_seconds(DEADLINE_SECONDS))
    return process.returncode, output


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_stops_the_body_and_the_status_is_its_own(number: signal.Signals) -> None:
    process = start("await stop.wait()")
    process.send_signal(number)
    status, output = end_of(process)
    assert status == 0
    assert "process.stopped" in output


def test_a_second_signal_ends_it_at_once_even_where_the_loop_is_blocked() -> None:
    # In short pieces: a signal in the very moment before a long one begins is handled at its end.
    process = start("await stop.wait(); print('stopping', flush=True); [time.sleep(0.1) for _ in range(600)]")
    process.send_signal(signal.SIGTERM)
    read_until(process, "stopping")
    with in_time(5):
        process.send_signal(signal.SIGTERM)
        status, output = end_of(process)
    assert status == 128 + signal.SIGTERM
    assert "second SIGTERM: ended at once" in output


def test_a_second_signal_ends_it_at_once_also_while_the_first_is_still_being_handled() -> None:
    """The first one's handler starts a thread, which on a busy machine takes long enough for the second."""
    process = start("""
    import signal, threading
    start_thread, told = threading.Thread.start, [signal.SIGTERM]
    def start_and_be_told_again(thread):
        while told:
            signal.raise_signal(told.pop())
        start_thread(thread)
    threading.Thread.start = start_and_be_told_again
    signal.raise_signal(signal.SIGTERM)
    time.sleep(60)
    """)
    status, output = end_of(process)
    assert (status, "Traceback" in output) == (128 + signal.SIGTERM, False), output


LEAVES_SLOWLY = """
async def linger():
    try:
        await asyncio.Event().wait()
    finally:
        print("leaving", flush=True)
        time.sleep({seconds})
left = asyncio.create_task(linger())
await asyncio.sleep(0)
"""
"""The beginning of a body after which the loop, as it is closed, cancels a task that takes its time."""


def test_a_second_signal_ends_it_at_once_also_while_it_leaves() -> None:
    process = start(f"{LEAVES_SLOWLY.format(seconds=60)}await stop.wait()")
    process.send_signal(signal.SIGTERM)
    read_until(process, "leaving")
    with in_time(5):
        process.send_signal(signal.SIGTERM)
        status, output = end_of(process)
    assert status == 128 + signal.SIGTERM
    assert "second SIGTERM: ended at once" in output


def test_a_process_that_leaves_by_itself_keeps_its_status_when_it_is_told_to_stop() -> None:
    process = start(f"{LEAVES_SLOWLY.format(seconds=2)}return ExitStatus.NEEDS_A_PERSON")
    read_until(process, "leaving")
    process.send_signal(signal.SIGTERM)
    status, output = end_of(process)
    assert (status, "Traceback" in output) == (ExitStatus.NEEDS_A_PERSON, False), output


def test_leaving_that_takes_too_long_ends_with_failure() -> None:
    process = start(f"{LEAVES_SLOWLY.format(seconds=60)}await stop.wait()", within_seconds=0.5)
    process.send_signal(signal.SIGTERM)
    status, output = end_of(process)
    assert status == ExitStatus.FAILURE
    assert "stopping took longer than 0.5 s" in output


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
@pytest.mark.parametrize("command", ["bridge", "worker"])
def test_a_signal_while_a_process_starts_ends_it_with_0(command: str, number: signal.Signals) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "orders", command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    wait_until(lambda: catches(process.pid, STOP_SIGNALS[-1]))  # Before, hardly a line of ours has run.
    process.send_signal(number)
    status, output = end_of(process)
    assert (status, "Traceback" in output) == (0, False), output


def test_ctrl_c_while_a_command_starts_ends_it_with_130_and_without_a_trace(tmp_path: Path) -> None:
    interrupting = "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n"
    (tmp_path / "typer.py").write_text(interrupting)  # The first that the command line imports.
    ended = subprocess.run(
        [sys.executable, "-m", "orders", "status", "o-1"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        timeout=DEADLINE_SECONDS,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (ExitStatus.INTERRUPTED, "")


def test_a_stop_that_takes_too_long_ends_with_failure() -> None:
    process = start("await asyncio.Event().wait()", within_seconds=0.5)
    process.send_signal(signal.SIGTERM)
    status, output = end_of(process)
    assert status == ExitStatus.FAILURE
    assert "stopping took longer than 0.5 s" in output


def test_a_defect_ends_it_with_failure_and_a_trace_in_the_log() -> None:
    status, output = end_of(start("1 / 0"))
    assert status == ExitStatus.FAILURE
    assert "process.failed" in output
    assert "ZeroDivisionError" in output


def test_it_stops_when_the_parent_that_asked_for_it_is_gone(tmp_path: Path) -> None:
    script = tmp_path / "child.py"
    script.write_text(
        "import asyncio\n"
        "from orders.processes.leaving import leave\n"
        "from orders.processes.running import run_until_stopped\n"
        "from orders.processes.exit_status import ExitStatus\n"
        "async def body(stop):\n"
        "    await stop.wait()\n"
        "    return ExitStatus.OK\n"
        "leave(asyncio.run(run_until_stopped('test', body, stop_within_seconds=20)))\n"
    )
    # The shell in between is the parent that dies.
    command = f"ORDERS_PARENT_PID=$$ {sys.executable} {script} & echo $!; wait"
    parent = subprocess.Popen(["/bin/sh", "-c", command], stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    try:
        parent.kill()
        parent.wait()
        wait_until(lambda: not is_running(child))
    finally:
        if is_running(child):
            os.kill(child, signal.SIGKILL)
        parent.stdout.close()


def catches(pid: int, number: signal.Signals) -> bool:
    """Whether the process has a handler of its own for the signal."""
    status = Path(f"/proc/{pid}/status").read_text()
    (mask,) = [line.split()[1] for line in status.splitlines() if line.startswith("SigCgt:")]
    return bool(int(mask, 16) >> (number - 1) & 1)


def wait_until(condition: Callable[[], bool]) -> None:
    patience = Patience(DEADLINE_SECONDS)
    while not condition():
        assert not patience.is_over()
        time.sleep(0.05)
