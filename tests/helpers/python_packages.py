"""Python packages apart from the project's own, for one tool each: made on first use in the cache folder."""

import hashlib
import subprocess
import sys
from pathlib import Path

from filelock import FileLock

from stack.paths import cache_dir


def python_with(requirements: Path, *, kept_in: str) -> Path:
    """The Python that has these packages; blocks for a minute where it has to be made.

    Args:
        requirements: the packages, each with its hashes.
        kept_in: the folder in the user's cache folder.

    Raises:
        subprocess.SubprocessError: a package could not be installed; uv's own words are on stderr.
    """
    digest = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()[:16]
    folder = cache_dir() / kept_in / digest
    folder.parent.mkdir(parents=True, exist_ok=True)
    python = folder / "bin" / "python"
    with FileLock(folder.with_suffix(".lock")):
        if not (folder / ".complete").exists():
            _uv("venv", "--clear", "--python", sys.executable, folder)
            _uv("pip", "install", "--python", python, "--require-hashes", "-r", requirements)
            (folder / ".complete").touch()
    return python


def _uv(*arguments: str | Path) -> None:
    subprocess.run(["uv", *arguments, "--quiet"], check=True)  # noqa: S607 -- the environment's own
