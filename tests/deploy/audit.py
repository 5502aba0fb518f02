"""Whether a package that is pinned here has a weakness that is known by now: `make audit` asks those who keep lists.

Packages of Python are asked for at their index (pip-audit), those of npm at theirs (npm audit), and the Go modules of
the local Temporal in Go's vulnerability database (govulncheck; only what the program really calls counts).

What is known changes from day to day, and so does the answer: this is no part of `make check`. A list that could not be
asked, or does not know a package, counts as a failure, as nobody knows then.
"""

import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from stack.progress import ProgressBoard
from stack.service import Start
from stack.temporal_cli import ensure_temporal
from tests.helpers.go_programs import GoProgram, built
from tests.helpers.node_packages import NODE, NPM
from tests.helpers.python_packages import python_with

ROOT: Final = Path(__file__).parents[2]
GOVULNCHECK: Final = GoProgram("golang.org/x/vuln/cmd/govulncheck", "v1.1.4")
_SECONDS: Final = 600


@dataclass(frozen=True, slots=True)
class Question:
    """One set of packages, and what asks about it."""

    packages: str
    """As a person calls it: a file of the clone, or a program."""
    command: tuple[str | Path, ...]
    """Its exit status is 0 only where it was answered, and nothing is known."""


def python_files() -> list[Path]:
    """All files of the clone in which packages of Python are pinned by hash."""
    return [path for path in _of_the_clone("*.txt") if "--hash=sha256:" in path.read_text()]


def npm_files() -> list[Path]:
    """All lock files of npm in the clone."""
    return list(_of_the_clone("*package-lock.json"))


def _of_the_clone(name: str) -> Iterator[Path]:
    listed = subprocess.run(["git", "ls-files", "-z", name], cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S607
    yield from (ROOT / one for one in sorted(listed.stdout.split("\0")) if one)


def questions() -> Iterator[Question]:
    """Each with what it needs, which is made on first use."""
    pip_audit = python_with(ROOT / "requirements/audit.txt", kept_in="audit")
    for path in python_files():
        # Strict: a package that the index does not know would be left out with a word, and the status be 0.
        how = ("--strict", "--require-hashes", "--disable-pip", "--progress-spinner=off")
        yield Question(str(path.relative_to(ROOT)), (pip_audit, "-m", "pip_audit", *how, "--requirement", path))
    for path in npm_files():
        what = ("audit", "--package-lock-only", f"--prefix={path.parent}")
        yield Question(str(path.relative_to(ROOT)), (NODE, NPM, *what))
    with ProgressBoard(_say) as board:
        temporal = ensure_temporal(Start(board, threading.Event()))
    yield Question("the local Temporal", (built(GOVULNCHECK), "-mode=binary", temporal))


def ask(asked: Iterator[Question]) -> list[str]:
    """Asks one after the other, and shows what is said; gives those that are not known to be free of weaknesses."""
    open_ = []
    for question in asked:
        _say(f"=== {question.packages}")
        try:
            status = subprocess.run(question.command, cwd=ROOT, timeout=_SECONDS, check=False).returncode
        except subprocess.TimeoutExpired:
            _say(f"no answer within {_SECONDS} s")
            status = None
        if status != 0:
            open_.append(question.packages)
    return open_


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> int:
    """Runs `make audit`; the exit status is 0 where nothing is known of any package."""
    open_ = ask(questions())
    if open_:
        _say(f"\na weakness is known, or nobody could be asked (see above): {', '.join(open_)}")
        return 1
    _say("\nnothing is known of any package")
    return 0


if __name__ == "__main__":
    sys.exit(main())
