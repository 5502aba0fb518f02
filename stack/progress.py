"""Saying what goes on: never a silent minute, also while a compiler or a download is at work."""

import threading
import time
from collections.abc import Callable
from typing import Self

Progress = Callable[[str], None]

SILENCE_LIMIT_SECONDS = 8.0


class ProgressBoard:
    """What each task is doing now, printed when it changes, and again when nothing was printed for eight seconds.

    Used as a context manager; the tasks may be on any thread, and lines are printed one at a time.
    """

    def __init__(self, say: Progress, silence_limit_seconds: float = SILENCE_LIMIT_SECONDS) -> None:
        self._say = say
        self._silence_limit_seconds = silence_limit_seconds
        self._lock = threading.Lock()
        self._activities: dict[str, tuple[str, float]] = {}
        self._last_line_at = time.monotonic()
        self._closed = threading.Event()
        self._ticker = threading.Thread(target=self._tick, name="progress", daemon=True)

    def __enter__(self) -> Self:
        self._ticker.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        self._ticker.join()

    def begin(self, task: str, activity: str) -> None:
        """Prints what a task does from now on."""
        with self._lock:
            self._activities[task] = (activity, time.monotonic())
            self._print(f"{task}: {activity}")

    def note(self, task: str, activity: str) -> None:
        """Changes what a task is said to be doing, without a line of its own; its time goes on."""
        with self._lock:
            _, since = self._activities.get(task, ("", time.monotonic()))
            self._activities[task] = (activity, since)

    def end(self, task: str, outcome: str) -> None:
        """Prints how a task ended."""
        with self._lock:
            self._activities.pop(task, None)
            self._print(f"{task}: {outcome}")

    def _tick(self) -> None:
        while not self._closed.wait(self._silence_limit_seconds / 8):
            with self._lock:
                now = time.monotonic()
                if now - self._last_line_at < self._silence_limit_seconds:
                    continue
                for task, (activity, since) in sorted(self._activities.items()):
                    self._print(f"{task}: {activity} ({describe_seconds(now - since)} so far)")

    def _print(self, line: str) -> None:
        self._last_line_at = time.monotonic()
        self._say(line)


def describe_seconds(seconds: float) -> str:
    """Gives a duration as a person says it: ``8 s``, ``2 min 05 s``."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"
