"""The one place that our processes leave from."""

import contextlib
import errno
import logging
import os
import sys
from typing import NoReturn

from orders.processes.exit_status import ExitStatus


def leave(status: int, *, flush: bool = True) -> NoReturn:
    """Ends the process with this status, now; everything that matters has been closed by the caller.

    The one place that does. An ordinary exit tears the interpreter down while Temporal's runtime still has threads that
    call into it, which now and then aborts with status 134 (sdk-python issue 300; seen in 2 of 24 short processes on
    2026-11-22): a supervisor, or a script that reads our exit status, would take success for a crash.

    Args:
        status: the exit status. Where it is OK and the output that it speaks of cannot be written, it is FAILURE.
        flush: whether to write out what is buffered first, which may block where nobody reads our output.
    """
    if flush:
        try:
            sys.stdout.flush()
        except (OSError, ValueError) as error:
            status = status_without_output(error, status)
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.flush()
        with contextlib.suppress(OSError, ValueError):
            logging.shutdown()
    os._exit(status)


def status_without_output(error: OSError | ValueError, status: int) -> int:
    """The status of a command whose output could not be written; says so, unless its reader has gone away.

    A reader that has gone away (`orders events | head`) has what it wanted, and is no reason not to end with the status
    that we mean. A disk that is full has left out what somebody believes to be there.
    """
    if getattr(error, "errno", None) == errno.EPIPE:
        return status
    why = getattr(error, "strerror", None) or str(error)
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(f"error: the output could not be written: {why}\n")
        sys.stderr.flush()
    return status or ExitStatus.FAILURE
