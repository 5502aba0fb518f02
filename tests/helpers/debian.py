"""What tests need of Debian's packages, installed where it is missing."""

import fcntl
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

_INSTALL_SECONDS = 600
_DOWNLOAD_SECONDS = 300


class NotInstalledError(Exception):
    """A program that a test needs is missing, and could not be installed."""


def ensure_installed(
    find: Callable[[], Path | None], packages: Sequence[str], *, instead: str, say: Callable[[str], None]
) -> Path:
    """Gives the path of a program, after installing it where it is missing.

    Processes that run tests side by side install one after the other.

    Args:
        find: gives the program's path; None where it is missing.
        packages: Debian's, that bring it.
        instead: what else a person can do, for the error.
        say: is told that something is being installed, as it takes up to a minute.

    Raises:
        NotInstalledError: it is missing, and apt-get is too, or we are not root, or it failed.
    """
    found = find()
    if found is not None:
        return found
    with turn_at_apt():
        if (found := find()) is None:
            say(f"installing {' and '.join(packages)} for the tests (once; up to a minute)")
            _install(packages, instead)
            found = find()
    if found is None:
        raise NotInstalledError(f"apt-get installed {' and '.join(packages)}, and what was wanted is not on the PATH")
    return found


@contextmanager
def turn_at_apt() -> Iterator[None]:
    """Around what calls apt-get: two at once refuse each other, so that one process waits here for the other."""
    with (Path(os.environ.get("ORDERS_CACHE_DIR", "/tmp")) / "apt.lock").open("w") as held:  # noqa: S108 - a lock, empty
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def unpacked(package: str, inside: str, kept: Path) -> Path:
    """A program out of one of Debian's packages, which is not installed: installed, it would start a server.

    Args:
        package: Debian's name for it.
        inside: the program's path within the package.
        kept: where it is kept; what is there already is taken.

    Raises:
        NotInstalledError: it is not there, and the package cannot be had.
    """
    with turn_at_apt():
        if not kept.exists():
            _unpack(package, inside, kept)
    return kept


def _unpack(package: str, inside: str, kept: Path) -> None:
    if shutil.which("apt-get") is None:
        raise NotInstalledError(f"{kept.name} is missing, and there is no apt-get to have it by: put one on the PATH")
    kept.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=kept.parent) as folder:
        try:
            _run("apt-get", "--quiet", "download", package, folder=folder)
        except NotInstalledError:
            _run("apt-get", "--quiet", "update", folder=folder)  # A new machine has no list of packages yet.
            _run("apt-get", "--quiet", "download", package, folder=folder)
        (archive,) = Path(folder).glob(f"{package}_*.deb")
        _run("dpkg-deb", "--extract", str(archive), "unpacked", folder=folder)
        # In one step, as other processes look for it too.
        Path(folder, "unpacked", inside).replace(kept)


def _run(*command: str, folder: str) -> None:
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=_DOWNLOAD_SECONDS, check=False)
    if ended.returncode != 0:
        raise NotInstalledError(f"{' '.join(command)} left with {ended.returncode}\n{ended.stdout}{ended.stderr}")


def _install(packages: Sequence[str], instead: str) -> None:
    apt = shutil.which("apt-get")
    if apt is None or os.geteuid() != 0:
        raise NotInstalledError(
            f"{' and '.join(packages)} cannot be installed here, as that needs Debian's apt-get and root: {instead}"
        )
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for arguments in (["update"], ["install", "--yes", "--no-install-recommends", *packages]):
        ended = subprocess.run(
            [apt, "--quiet", *arguments],
            env=environment,
            capture_output=True,
            text=True,
            timeout=_INSTALL_SECONDS,
            check=False,
        )
        if ended.returncode != 0:
            raise NotInstalledError(
                f"apt-get {' '.join(arguments)} left with {ended.returncode}\n{ended.stdout}{ended.stderr}"
            )
