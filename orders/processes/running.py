"""How a process of ours runs and is stopped: signals, and the time that stopping may take."""

import asyncio
import contextlib
import os
import signal
import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import Final, NoReturn

import structlog

from orders.errors import OrdersError
from orders.processes.exit_status import ExitStatus
from orders.processes.leaving import leave
from orders.processes.stop_signals import last_words, take_stop_signals

PARENT_VARIABLE: Final = "ORDERS_PARENT_PID"
"""Set by a supervisor for its children: they stop when it is gone, so that not even its kill -9 leaves them behind."""
_PARENT_POLL_SECONDS = 1.0

_log = structlog.get_logger("orders.process")


@contextlib.contextmanager
def stop_on_signals(stop: asyncio.Event, *, within_seconds: float) -> Iterator[None]:
    """Sets the event at the first signal to stop; at the second, or when stopping takes too long, leaves at once.

    Afterwards the signals do what they did before.

    Args:
        stop: set at the first signal.
        within_seconds: how long after it the block may go on.
    """
    timer = _timer(within_seconds)
    before = take_stop_signals(_begin_to_stop(stop, timer))
    try:
        yield
    finally:
        timer.cancel()
        for number, handler in before.items():
            signal.signal(number, handler)


def _timer(within_seconds: float) -> threading.Timer:
    timer = threading.Timer(within_seconds, _took_too_long, args=(within_seconds,))
    timer.daemon = True
    return timer


def _begin_to_stop(stop: asyncio.Event, timer: threading.Timer) -> Callable[[signal.Signals], None]:
    """What the first signal does: it starts the timer, and has the loop set the event."""
    loop = asyncio.get_running_loop()

    def begin(name: str) -> None:
        _log.info("process.stopping", signal=name, within_seconds=timer.interval)
        stop.set()

    def at_the_first(number: signal.Signals) -> None:
        timer.start()
        # A loop that is closed has nothing left to stop: the process is about to leave with a status of its own.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(begin, number.name)

    return at_the_first


def _took_too_long(within_seconds: float) -> NoReturn:
    last_words(f"stopping took longer than {within_seconds:g} s: ended without finishing")
    leave(ExitStatus.FAILURE, flush=False)


async def run_until_stopped(
    name: str, body: Callable[[asyncio.Event], Awaitable[ExitStatus]], *, stop_within_seconds: float
) -> ExitStatus:
    """Runs a process's body until it ends or is told to stop, and returns the status to leave with.

    The signals to stop are never given back: a second one ends the process at once also while it leaves, and the limit
    holds until it has left.

    Args:
        name: what the process is, for the log.
        body: does the work, and returns soon after the event is set, with everything closed.
        stop_within_seconds: how long the process may live after the first signal; then it leaves with FAILURE.
    """
    stop = asyncio.Event()
    take_stop_signals(_begin_to_stop(stop, _timer(stop_within_seconds)))
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
