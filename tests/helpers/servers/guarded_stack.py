"""Servers that end with the process that started them, however that ends: also by a crash or ``kill -9``."""

import contextlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import stack

END_SECONDS = 60.0
"""Ending three servers takes some seconds; a guard that takes longer is left to itself."""

_ROOT = Path(__file__).parents[3]


@contextmanager
def guarded_stack(folder: Path, *, durable: bool, progress: Callable[[str], None]) -> Iterator[stack.RunningStack]:
    """Starts servers in a folder, and ends them afterwards.

    A process of its own ends them, as soon as the pipe from here to it is closed. The system closes it whatever becomes
    of this process, so that a run of tests that was killed leaves no server behind either.
    """
    guard = subprocess.Popen(
        [sys.executable, "-m", __spec__.name, str(folder)], cwd=_ROOT, stdin=subprocess.PIPE, start_new_session=True
    )
    try:
        yield stack.up(state_dir=folder, durable=durable, progress=progress)
    finally:
        if guard.stdin is not None:
            guard.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            guard.wait(END_SECONDS)


def main() -> None:
    """Waits until nobody can write to the standard input any more, and ends the stack of the folder that is named."""
    sys.stdin.read()
    stack.down(state_dir=Path(sys.argv[1]), progress=lambda _: None)


if __name__ == "__main__":
    main()
