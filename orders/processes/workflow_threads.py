"""The threads that workflows take their turns on, which two turns of one workflow never do at the same time."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, ParamSpec, TypeVar

from temporalio.worker import Worker

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


def never_interrupt_turns(worker: Worker) -> None:
    """Has the SDK wait for the end of each turn, however long it takes.

    The SDK takes a turn for stuck after 2 s of the clock, interrupts it, and has no option for that (temporalio 1.35).
    On a busy machine a turn that replays a run of some thousand events takes longer. Two things follow (seen 2026-11-26
    at a load of 17 and of 20). The run leaves the cache, and its next task begins with the same replay. And an
    interruption that hits a signal's handler leaves a finished task behind, for which the SDK refuses to take the run
    out of its cache, for ever ("Eviction processed, but 1 tasks remain"): the order stands still, and the worker does
    not end, until the process is killed.

    Our workflows wait for nothing but Temporal, which tests hold. A turn that had no end would hold one thread, and
    Temporal would show the task's time-outs.

    Args:
        worker: not started yet.
    """
    turns = worker._workflow_worker  # noqa: SLF001 -- see above
    if turns is not None:
        turns._deadlock_timeout_seconds = None  # noqa: SLF001


class StillBusyError(Exception):
    """The workflow's turn before this one has not ended."""


class OneTurnAtATime(ThreadPoolExecutor):
    """Refuses a turn of a workflow while another one of it is under way.

    The SDK gives up a turn that takes longer than it allows, as each may on a machine that is busy enough, and takes
    the workflow out of its cache. It means to wait for the turn's end first, but does not (seen 2026-11-23, temporalio
    1.35, which waits for a future that its own time-out has cancelled). The two then take each other's tasks away, the
    workflow never leaves the cache, the order stands still for as long as the process lives, and the worker never ends.
    What it cannot take out of its cache it tries again and again, so a refusal is all it needs.
    """

    def __init__(self, threads_max: int) -> None:
        """Starts no thread yet.

        Args:
            threads_max: How many turns there may be at once.
        """
        super().__init__(threads_max, thread_name_prefix="workflow")
        self._busy: Final[set[int]] = set()
        self._lock = threading.Lock()

    def submit(
        self, fn: Callable[Parameters, Result], /, *args: Parameters.args, **kwargs: Parameters.kwargs
    ) -> Future[Result]:
        """Takes a turn, which is a bound method of what it is a turn of."""
        owner = id(getattr(fn, "__self__", fn))

        def alone() -> Result:
            with self._lock:
                if owner in self._busy:
                    raise StillBusyError("the turn before this one has not ended; it is tried again")
                self._busy.add(owner)
            try:
                return fn(*args, **kwargs)
            finally:
                with self._lock:
                    self._busy.discard(owner)

        return super().submit(alone)
