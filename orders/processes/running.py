"""How a process of ours runs and is stopped: signals, and the time that stopping may take."""

import asyncio
import contextlib
import os
import signal
import threading
from collections.abc import Awaitable, Callable, Iterator
from types import FrameType
from typing import Final, NoReturn

import structlog

from orders.errors import OrdersError
from orders.processes.exit_status import ExitStatus
from orders.processes.leaving import leave

STOP_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""SIGHUP as well: a closed terminal must not leave a process behind."""

PARENT_VARIABLE: Final = "ORDERS_PARENT_PID"
"""Set by a supervisor for its children: they stop when it is gone, so that not even its kill -9 leaves them behind."""
_PARENT_POLL_SECONDS = 1.0

_log = structlog.get_logger("orders.process")


@contextlib.contextmanager
def stop_on_signals(stop: asyncio.Event, *, within_seconds: float) -> Iterator[None]:
    """Sets the event at the first signal to stop; at the second, or when stopping takes too long, leaves at once.

    Handlers are the interpreter's own, not the loop's, so that a second signal ends the process even where something
    blocks the loop.

    Args:
        stop: set at the first signal.
        within_seconds: how long after it the process may live.
    """
    loop = asyncio.get_running_loop()
    timer = threading.Timer(within_seconds, _took_too_long, args=(within_seconds,))
    timer.daemon = True

    def begin_to_stop(name: str) -> None:
        _log.info("process.stopping", signal=name, within_seconds=within_seconds)
        stop.set()

    def on_signal(number: int, _frame: FrameType | None) -> None:
        # It may interrupt a line that is being logged, so nothing is logged here.
        if timer.is_alive():
            _last_words(f"second {signal.Signals(number).name}: ended at once")
            leave(128 + number, flush=False)
        timer.start()
        loop.call_soon_threadsafe(begin_to_stop, signal.Signals(number).name)

    before = {number: signal.signal(number, on_signal) for number in STOP_SIGNALS}
    try:
        yield
    finally:
        timer.cancel()
        for number, handler in before.items():
            signal.signal(number, handler)


def _took_too_long(within_seconds: float) -> NoReturn:
    _last_words(f"stopping took longer than {within_seconds:g} s: ended without finishing")
    leave(ExitStatus.FAILURE, flush=False)


def _last_words(sentence: str) -> None:
    """Writes to standard error past every lock and buffer, whose holder may be what is stuck."""
    with contextlib.suppress(OSError):
        os.set_blocking(2, False)
        os.write(2, f"orders: {sentence}\n".encode())


async def run_until_stopped(
    name: str, body: Callable[[asyncio.Event], Awaitable[ExitStatus]], *, stop_within_seconds: float
) -> ExitStatus:
    """Runs a process's body until it ends or is told to stop, and returns the status to leave with.

    Args:
        name: what the process is, for the log.
        body: does the work, and returns soon after the event is set, with everything closed.
        stop_within_seconds: how long it may take to stop; then the process leaves with FAILURE.
    """
    stop = asyncio.Event()
    with stop_on_signals(stop, within_seconds=stop_within_seconds):
        _log.info("process.started", process=name, pid=os.getpid())
        watching = asyncio.create_task(_stop_when_orphaned(stop), name="parent watch")
        try:
            status = await body(stop)
        except OrdersError:
            raise  # Its sentence is for whoever started the process.
        except Exception:  # noqa: BLE001 - see below
            # The outermost edge of the process: whatever it was, the supervisor starts a new one, and the log says why.
            _log.exception("process.failed", process=name)
            status = ExitStatus.FAILURE
        finally:
            watching.cancel()
        _log.info("process.stopped", process=name, status=int(status))
        return status


async def _stop_when_orphaned(stop: asyncio.Event) -> None:
    """Sets the event when the parent that asked for it has gone, however it went; never where none asked."""
    parent = os.environ.get(PARENT_VARIABLE, "")
    if not parent.isdecimal():
        return
    while os.getppid() == int(parent):  # noqa: ASYNC110 - nothing tells a process that its parent has gone
        await asyncio.sleep(_PARENT_POLL_SECONDS)
    _log.warning("process.orphaned", parent=int(parent), action="stopping")
    stop.set()
