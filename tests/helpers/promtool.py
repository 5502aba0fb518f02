"""Prometheus, and its own tool, which reads rules and boards' expressions as Prometheus does."""

import shutil
from pathlib import Path

from stack.paths import cache_dir
from tests.helpers.debian import unpacked


def promtool() -> Path:
    """The tool: one on the PATH, else that of Debian's package.

    Raises:
        NotInstalledError: It is not there, and Debian's package cannot be had.
    """
    return _program("promtool")


def prometheus() -> Path:
    """The server; as `promtool`."""
    return _program("prometheus")


def _program(name: str) -> Path:
    found = shutil.which(name)
    if found:
        return Path(found)
    kept = cache_dir() / "tools" / name
    return kept if kept.exists() else unpacked("prometheus", f"usr/bin/{name}", kept)
