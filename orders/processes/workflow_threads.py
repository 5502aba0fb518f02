"""The threads that workflows take their turns on, which two turns of one workflow never do at the same time."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, ParamSpec, TypeVar

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


class StillBusyError(Exception):
    """The workflow's turn before this one has not ended."""


class OneTurnAtATime(ThreadPoolExecutor):
    """Refuses a turn of a workflow while another one of it is under way.

    The SDK gives up a turn that takes longer than 2 s, as each may on a machine that is busy enough, and takes the
    workflow out of its cache. It means to wait for the turn's end first, but does not (seen 2026-11-23, temporalio
    1.35, which waits for a future that its own time-out has cancelled). The two then take each other's tasks away, the
    workflow never leaves the cache, the order stands still for as long as the process lives, and the worker never ends.
    What it cannot take out of its cache it tries again every 2 s, so a refusal is all it needs.
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
