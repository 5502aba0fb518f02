"""How far the tests are, in lines: each file that has ended, each failure, and a sign of life in a long file."""

import subprocess
import sys
from typing import Literal

import pytest

from tests.helpers.progress import PAUSE_MAX_SECONDS, Progress
from tests.helpers.shares import ROOT

Phase = Literal["setup", "call", "teardown"]
PHASES: tuple[Phase, ...] = ("setup", "call", "teardown")
IDS = ["tests/a.py::one", "tests/a.py::two", "tests/b.py::three"]


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def lines() -> list[str]:
    return []


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def progress(lines: list[str], clock: Clock) -> Progress:
    made = Progress(lines.append, clock)
    made.expect(IDS)
    made.expect(IDS)  # As the second process of two tells the same.
    return made


def end(progress: Progress, node_id: str, *, failing: Phase | None = None) -> None:
    for phase in PHASES:
        outcome: Literal["passed", "failed"] = "failed" if phase == failing else "passed"
        progress.take(pytest.TestReport(node_id, ("", None, ""), {}, outcome, None, phase, duration=2.0))


def test_each_file_is_told_once_its_tests_have_ended(progress: Progress, lines: list[str]) -> None:
    end(progress, IDS[0])
    end(progress, IDS[2])
    assert lines == [" 66 %  2 of 3  tests/b.py in 6 s"]
    end(progress, IDS[1])
    assert lines[1:] == ["100 %  3 of 3  tests/a.py in 12 s"]


def test_a_failure_is_told_at_once(progress: Progress, lines: list[str]) -> None:
    end(progress, IDS[0], failing="call")
    end(progress, IDS[1], failing="teardown")
    assert lines == [
        "  0 %  0 of 3  FAILED tests/a.py::one",
        " 33 %  1 of 3  ERROR tests/a.py::two (teardown)",
        " 66 %  2 of 3  tests/a.py in 12 s",
    ]


def test_a_long_file_gives_a_sign_of_life(progress: Progress, lines: list[str], clock: Clock) -> None:
    clock.seconds = PAUSE_MAX_SECONDS
    end(progress, IDS[0])
    assert lines == [" 33 %  1 of 3  tests/a.py::one"]


@pytest.mark.parametrize("processes", ["0", "2"])
def test_a_run_on_a_pipe_tells_its_files_in_lines_and_the_outcome_as_ever(processes: str) -> None:
    one = "tests/unit/helpers/test_shares.py"
    command = [sys.executable, "-m", "pytest", "-n", processes, one]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    told = [line for line in ended.stdout.splitlines() if one in line]
    assert told[-1].startswith("100 %")
    assert f"{one} in " in told[-1]
    assert not [line for line in told[:-1] if f"{one} in " in line], "the file is told once"
    assert " passed in " in ended.stdout
