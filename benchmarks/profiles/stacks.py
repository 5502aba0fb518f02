"""Samples of stacks, read from what py-spy and perf write, and counted by what they were doing. Pure."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

Stack = tuple[str, ...]
"""Frames, outermost first."""

_FRAME_OF_PYTHON: Final = re.compile(r"(?P<function>.+) \((?P<file>[^()]+?)(?::\d+)?\)")
_FRAME_OF_PERF: Final = re.compile(r"\s*[0-9a-f]+ (?P<symbol>.+?)(?: \((?P<object>[^()]*)\))?")
_PACKAGES: Final = "site-packages/"
OTHER: Final = "the rest"

OURS: Final = ("workflows", "activities", "schemas", "bridge", "orders")
_STARTS_A_PROCESS: Final = ("orders/cli/", "orders/__main__")
"""Beginnings of files that are in every stack of a process's first thread, and say nothing of it."""


@dataclass(frozen=True, slots=True)
class Samples:
    """How often each stack was seen."""

    counts: Counter[Stack]

    @property
    def total(self) -> int:
        """All of them."""
        return self.counts.total()

    def by_itself(self, name_of: Callable[[str], str | None]) -> list[tuple[str, float]]:
        """Shares by the innermost frame that has a name; most first.

        Args:
            name_of: what a frame belongs to; None for one that belongs to whoever calls it, such as a runtime's.
        """
        found: Counter[str] = Counter()
        for stack, count in self.counts.items():
            found[next(filter(None, map(name_of, reversed(stack))), OTHER)] += count
        return self._shares(found)

    def with_what_it_calls(self, name_of: Callable[[str], str | None]) -> list[tuple[str, float]]:
        """Shares of the stacks in which a name occurs anywhere; most first, and together more than all."""
        found: Counter[str] = Counter()
        for stack, count in self.counts.items():
            for name in {name for frame in stack if (name := name_of(frame)) is not None}:
                found[name] += count
        return self._shares(found)

    def _shares(self, found: Counter[str]) -> list[tuple[str, float]]:
        return [(name, count / self.total) for name, count in found.most_common()]


def from_py_spy(text: str) -> Samples:
    """Reads ``py-spy record --format raw``: a line for each stack, frames between semicolons, then how often."""
    counts: Counter[Stack] = Counter()
    for line in text.splitlines():
        frames, _, count = line.rpartition(" ")
        if count.isdecimal():
            counts[tuple(frames.split(";"))] += int(count)
    return Samples(counts)


def from_perf(text: str) -> Samples:
    """Reads ``perf script -F comm,ip,sym,dso``: a head for each sample, then its frames, innermost first."""
    counts: Counter[Stack] = Counter()
    for block in text.split("\n\n"):
        frames = [found["symbol"] for line in block.splitlines()[1:] if (found := _FRAME_OF_PERF.fullmatch(line))]
        if frames:
            counts[tuple(reversed(frames))] += 1
    return Samples(counts)


def package_of(frame: str) -> str | None:
    """The package of a frame of Python: the first part of its file's path, as py-spy shortens it."""
    found = _FRAME_OF_PYTHON.fullmatch(frame)
    if found is None:
        return None
    path = found["file"].rpartition(_PACKAGES)[2]
    if path.startswith("<"):
        return "generated code"
    head, slash, _ = path.partition("/")
    return head if slash else head.removesuffix(".py")


def function_of_ours(frame: str) -> str | None:
    """A function of the project, with its file; None for any other frame."""
    found = _FRAME_OF_PYTHON.fullmatch(frame)
    if found is None or "/" not in found["file"] or found["file"].startswith(_STARTS_A_PROCESS):
        return None
    if package_of(frame) not in OURS:
        return None
    return f"{found['function']} ({found['file']})"


def group_of_go(groups: Sequence[tuple[str, str]]) -> Callable[[str], str | None]:
    """What a symbol of Go belongs to, by the beginning of its name.

    Args:
        groups: beginnings with the name of each; the first that fits counts. A frame that fits none belongs to its
            caller.
    """

    def group(frame: str) -> str | None:
        return next((name for beginning, name in groups if frame.startswith(beginning)), None)

    return group


TEMPORAL_GROUPS: Final = (
    ("runtime.gcBgMarkWorker", "Go: collecting garbage"),
    ("runtime.gcAssistAlloc", "Go: collecting garbage"),
    ("runtime.bgsweep", "Go: collecting garbage"),
    ("runtime.findRunnable", "Go: looking for work, and sleeping"),
    ("runtime.park_m", "Go: looking for work, and sleeping"),
    ("runtime.mstart", "Go: threads"),
    ("modernc.org/", "SQLite, in Go"),
    ("database/sql", "SQLite: database/sql and sqlx"),
    ("github.com/jmoiron/sqlx", "SQLite: database/sql and sqlx"),
    ("google.golang.org/grpc", "gRPC"),
    ("golang.org/x/net", "gRPC"),
    ("google.golang.org/protobuf", "protobuf"),
    ("github.com/golang/protobuf", "protobuf"),
    ("github.com/gogo/protobuf", "protobuf"),
    ("go.temporal.io/api", "protobuf"),
    ("go.temporal.io/server/common/persistence", "its persistence"),
    ("go.temporal.io/server/common/metrics", "its metrics"),
    ("github.com/uber-go/tally", "its metrics"),
    ("github.com/prometheus", "its metrics"),
    ("go.opentelemetry.io", "its metrics"),
    ("go.uber.org/zap", "its log"),
    ("go.temporal.io/server/common/log", "its log"),
    ("go.temporal.io/server/service/history", "history: workflows, timers, transfers"),
    ("go.temporal.io/server/service/matching", "matching: task queues"),
    ("go.temporal.io/server/service/frontend", "frontend"),
    ("go.temporal.io/server/service/worker", "its own workers"),
    ("go.temporal.io/server", "other parts of the server"),
)

_CALL_OF_TEMPORAL: Final = re.compile(
    r"go\.temporal\.io/server/service/(?P<service>frontend|history|matching)\."
    r"\(\*(?:WorkflowHandler|workflowHandler|Handler|handler)\)\.(?P<call>[A-Z]\w+)(?:-fm)?"
)
_QUEUE_OF_TEMPORAL: Final = re.compile(
    r"go\.temporal\.io/server/service/history\.\(\*(?P<queue>\w+Executor)\)\.Execute"
)


def call_of_temporal(frame: str) -> str | None:
    """A call that a service of Temporal answers, or a queue of history that it works off; None for other frames."""
    found = _CALL_OF_TEMPORAL.fullmatch(frame)
    if found is not None:
        return f"{found['service']}: {found['call']}"
    queue = _QUEUE_OF_TEMPORAL.match(frame)
    return None if queue is None else f"history: {queue['queue']}"


def table(title: str, shares: Iterable[tuple[str, float]], *, most: int, least: float = 0.01) -> list[str]:
    """Rows of Markdown, without what is hardly there.

    Args:
        title: of the first column.
        shares: each name with its share, most first.
        most: how many rows at most.
        least: the smallest share that has a row.
    """
    rows = [f"| {name} | {share:.0%} |" for name, share in list(shares)[:most] if share >= least]
    return [f"| {title} | share |", "|---|---|", *rows, ""]
