"""Saying what goes on: never a silent minute, also while a compiler or a download is at work."""

import threading
import time
from collections.abc import Callable
from typing import Self

Progress = Callable[[str], None]

SILENCE_LIMIT_SECONDS = 30.0
STATUS_EVERY_SECONDS = 0.5


class ProgressBoard:
    """What each task is doing now, and how long each one took.

    On a terminal one line, which is written anew again and again, says what is under way, and a line is added when a
    task ends. Elsewhere a line is added whenever a task begins something else, and when nothing was said for long.

    Used as a context manager; the tasks may be on any thread, and lines are printed one at a time.

    Args:
        say: prints a line.
        status: shows what is under way in the place of what it showed before, and nothing where that is empty; None
            where nothing can be taken back.
        silence_limit_seconds: how long nothing may be said without a status.
    """

    def __init__(
        self,
        say: Progress,
        status: Progress | None = None,
        *,
        silence_limit_seconds: float = SILENCE_LIMIT_SECONDS,
    ) -> None:
        self._say = say
        self._status = status
        self._silence_limit_seconds = silence_limit_seconds
        self._lock = threading.Lock()
        self._activities: dict[str, tuple[str, float]] = {}
        self._begun_at: dict[str, float] = {}
        """When each task that is under way began."""
        self._last_line_at = time.monotonic()
        self._closed = threading.Event()
        self._ticker = threading.Thread(target=self._tick, name="progress", daemon=True)

    def __enter__(self) -> Self:
        self._ticker.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        self._ticker.join()
        if self._status is not None:
            self._status("")

    def begin(self, task: str, activity: str) -> None:
        """Says what a task does from now on."""
        with self._lock:
            now = time.monotonic()
            self._begun_at.setdefault(task, now)
            self._activities[task] = (activity, now)
            if self._status is None:
                self._print(f"{task}: {activity}")

    def note(self, task: str, activity: str) -> None:
        """Changes what a task is said to be doing, without a line of its own; its time goes on."""
        with self._lock:
            now = time.monotonic()
            self._begun_at.setdefault(task, now)
            _, since = self._activities.get(task, ("", now))
            self._activities[task] = (activity, since)

    def end(self, task: str, outcome: str) -> None:
        """Prints how a task ended, and after what time."""
        with self._lock:
            self._activities.pop(task, None)
            now = time.monotonic()
            self._print(f"{task}: {outcome} ({describe_seconds(now - self._begun_at.pop(task, now))})")

    def _tick(self) -> None:
        status = self._status
        if status is not None:
            while not self._closed.wait(STATUS_EVERY_SECONDS):
                with self._lock:
                    # Short, as a terminal may have 80 columns; what takes longest comes first.
                    status("; ".join(self._under_way("")))
            return
        while not self._closed.wait(self._silence_limit_seconds / 8):
            with self._lock:
                now = time.monotonic()
                if now - self._last_line_at < self._silence_limit_seconds:
                    continue
                for line in self._under_way(" so far"):
                    self._print(line)

    def _under_way(self, ending: str) -> list[str]:
        now = time.monotonic()
        oldest_first = sorted(self._activities.items(), key=lambda one: one[1][1])
        return [
            f"{task}: {activity} ({describe_seconds(now - since)}{ending})" for task, (activity, since) in oldest_first
        ]

    def _print(self, line: str) -> None:
        self._last_line_at = time.monotonic()
        self._say(line)


def describe_seconds(seconds: float) -> str:
    """Gives a duration as a person says it: ``8 s``, ``2 min 05 s``."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"
