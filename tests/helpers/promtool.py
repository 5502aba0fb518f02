"""Prometheus' own tool, which reads rules and boards' expressions as Prometheus does."""

import shutil
from pathlib import Path

from stack.paths import cache_dir
from tests.helpers.debian import unpacked


def promtool() -> Path:
    """The program: one on the PATH, else that of Debian's package.

    Raises:
        NotInstalledError: It is not there, and Debian's package cannot be had.
    """
    found = shutil.which("promtool")
    if found:
        return Path(found)
    kept = cache_dir() / "tools" / "promtool"
    return kept if kept.exists() else unpacked("prometheus", "usr/bin/promtool", kept)
