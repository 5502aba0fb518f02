"""The signals that stop a process of ours: the first one lets it finish, every later one ends it at once.

Imported before anything else, so it imports little itself: the rule holds while a process still starts.
"""

import contextlib
import os
import signal
from collections.abc import Callable
from types import FrameType
from typing import Any, Final, NoReturn

from orders.processes.exit_status import ExitStatus
from orders.processes.leaving import leave

STOP_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""SIGHUP as well: a closed terminal must not leave a process behind."""


def take_stop_signals(at_the_first: Callable[[signal.Signals], None]) -> dict[signal.Signals, Any]:
    """Calls the function at the first signal to stop; at the second leaves with 128 + its number.

    Handlers are the interpreter's own, not the loop's, so that a second signal ends the process even where something
    blocks the loop.

    Args:
        at_the_first: called within the handler. It may interrupt any line, one that is being logged too, so it neither
            logs nor raises.

    Returns:
        The handlers of before, for whoever gives the signals back.
    """
    told = False

    def on_signal(number: int, _frame: FrameType | None) -> None:
        nonlocal told
        if told:
            last_words(f"second {signal.Signals(number).name}: ended at once")
            leave(128 + number, flush=False)
        # First of all: the second signal may come before the next line is over.
        told = True
        at_the_first(signal.Signals(number))

    return {number: signal.signal(number, on_signal) for number in STOP_SIGNALS}


def leave_if_told_while_starting() -> None:
    """Ends the process with OK at a signal to stop, until it takes the signals itself: so far it holds nothing."""
    take_stop_signals(_leave_before_the_start)


def _leave_before_the_start(number: signal.Signals) -> NoReturn:
    last_words(f"{number.name} during the start: ended before anything was begun")
    leave(ExitStatus.OK, flush=False)


def last_words(sentence: str) -> None:
    """Writes to standard error past every lock and buffer, whose holder may be what is stuck."""
    with contextlib.suppress(OSError):
        os.set_blocking(2, False)
        os.write(2, f"orders: {sentence}\n".encode())
