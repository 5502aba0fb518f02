"""Which version this is, and of which revision of the source."""

import os
import subprocess
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from pathlib import Path
from typing import Final

REVISION_VARIABLE: Final = "ORDERS_REVISION"
"""Set in the image, which is built without the history."""
REVISION_FILE: Final = "revision.txt"
"""Beside this module in a package that was built from a clone."""


def application_version() -> str:
    """The installed package's version."""
    try:
        return version("temporal-order-orchestrator")
    except PackageNotFoundError:
        return "unknown"


def source_revision() -> str | None:
    """The commit that this is made of, with ``-changed`` behind it where files differ from it; None if nobody knows.

    In a clone git is asked, which takes some milliseconds: this is for people and not for every request.
    """
    named = os.environ.get(REVISION_VARIABLE)
    if named:
        return named
    packaged = files("orders").joinpath(REVISION_FILE)
    if packaged.is_file():
        return packaged.read_text().strip() or None
    clone = Path(__file__).parents[1]
    return revision_of(clone) if (clone / ".git").exists() else None


def revision_of(clone: Path) -> str | None:
    """The commit that is checked out in a clone, with ``-changed`` where files differ; None where git does not say."""
    try:
        revision, changes = (_git(clone, *command) for command in (("rev-parse", "HEAD"), ("status", "--porcelain")))
    except (OSError, subprocess.SubprocessError):
        return None
    return f"{revision}-changed" if changes else revision


def _git(clone: Path, *arguments: str) -> str:
    command = ["git", "-C", str(clone), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()  # noqa: S603
