"""How far the tests are, told in lines: for `make test` on a pipe or into a file, where nobody sees dots grow."""

import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Sequence
from typing import Any, Final

import pytest

PAUSE_MAX_SECONDS: Final = 30.0
"""A test that ends so long after the last line is told, though the tests of its file go on."""


class Progress:
    """Writes a line for each file whose tests have ended, for each failure, and now and then in a long file.

    Args:
        write_line: writes it where it is seen at once.
        clock: gives seconds.
    """

    def __init__(self, write_line: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._write_line = write_line
        self._clock = clock
        self._left: Counter[str] = Counter()
        """The tests of each file that have not ended."""
        self._seconds: Counter[str] = Counter()
        """What the tests of each file have taken so far."""
        self._ended = 0
        self._spoke = clock()

    def expect(self, node_ids: Iterable[str]) -> None:
        """Takes the tests that will run; a later call with the same ones, from another process, changes nothing."""
        self._left = self._left or Counter(map(_file_of, node_ids))

    def take(self, report: pytest.TestReport) -> None:
        """Takes what became of a part of a test: its set-up, its call, its tear-down."""
        file = _file_of(report.nodeid)
        self._seconds[file] += report.duration  # type: ignore[assignment] # A Counter takes fractions as well.
        if report.failed:
            self._say(f"FAILED {report.nodeid}" if report.when == "call" else f"ERROR {report.nodeid} ({report.when})")
        if report.when != "teardown":
            return
        self._ended += 1
        self._left[file] -= 1
        if not self._left[file]:
            self._say(f"{file} in {self._seconds[file]:.0f} s")
        elif self._clock() - self._spoke >= PAUSE_MAX_SECONDS:
            self._say(report.nodeid)

    def _say(self, text: str) -> None:
        total = max(self._ended + self._left.total(), 1)
        self._write_line(f"{100 * self._ended // total:3d} %  {self._ended:{len(str(total))}d} of {total}  {text}")
        self._spoke = self._clock()

    # What pytest and xdist call -------------------------------------------------------------------------------------

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Takes the tests where they run in this process."""
        self.expect(item.nodeid for item in session.items)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: Sequence[str]) -> None:
        """Takes the tests where others run them."""
        self.expect(ids)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Takes what became of a test."""
        self.take(report)

    @pytest.hookimpl(wrapper=True)
    def pytest_report_teststatus(self) -> Generator[None, Any, Any]:
        """Leaves the counting and the summary to pytest, without its dots."""
        category, _letter, word = yield
        return category, "", word


def report_progress(config: pytest.Config) -> None:
    """Tells of the progress in lines where this process reports, but not to a terminal, and no option asks for more."""
    reporter = config.pluginmanager.getplugin("terminalreporter")
    if reporter is None or reporter.isatty or config.get_verbosity() != 0:
        return

    # Else the names of files would stand where the dots are missing.
    reporter.showfspath = False

    def write_line(text: str) -> None:
        reporter.write_line(text)
        reporter.flush()

    config.pluginmanager.register(Progress(write_line), "progress-in-lines")


def _file_of(node_id: str) -> str:
    return node_id.partition("::")[0]
