"""Prometheus' own tool, which reads rules and boards' expressions as Prometheus does."""

import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from stack.paths import cache_dir
from tests.helpers.debian import NotInstalledError, turn_at_apt

_SECONDS = 300


def promtool() -> Path:
    """The program: one on the PATH, else that of Debian's package, unpacked: installed, it would start a server.

    Raises:
        NotInstalledError: It is not there, and Debian's package cannot be had.
    """
    found = shutil.which("promtool")
    if found:
        return Path(found)
    kept = cache_dir() / "tools" / "promtool"
    if not kept.exists():
        with turn_at_apt():
            if not kept.exists():
                _unpack(kept)
    return kept


def _unpack(kept: Path) -> None:
    if shutil.which("apt-get") is None:
        raise NotInstalledError("promtool is missing, and there is no apt-get to have it by: put one on the PATH")
    kept.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=kept.parent) as folder:
        try:
            _run("apt-get", "--quiet", "download", "prometheus", folder=folder)
        except NotInstalledError:
            _run("apt-get", "--quiet", "update", folder=folder)  # A new machine has no list of packages yet.
            _run("apt-get", "--quiet", "download", "prometheus", folder=folder)
        (package,) = Path(folder).glob("prometheus_*.deb")
        _run("dpkg-deb", "--extract", str(package), "unpacked", folder=folder)
        # In one step, as other processes look for it too.
        Path(folder, "unpacked/usr/bin/promtool").replace(kept)


def _run(*command: str, folder: str) -> None:
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=_SECONDS, check=False)
    if ended.returncode != 0:
        raise NotInstalledError(f"{' '.join(command)} left with {ended.returncode}\n{ended.stdout}{ended.stderr}")
