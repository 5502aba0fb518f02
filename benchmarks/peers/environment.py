"""The peers' packages, apart from the project's own: made on first use in the cache folder, each held to its hash."""

import hashlib
import platform
import subprocess
import sys
from pathlib import Path
from typing import Final

from filelock import FileLock

from stack.paths import cache_dir
from tests.helpers.node_packages import installed

PEERS: Final = Path(__file__).parent
_ARCHITECTURES: Final = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64", "arm64": "arm64"}


def peers_python() -> Path:
    """The Python that has DBOS and Restate's SDK; blocks for a minute where it has to be made.

    Raises:
        subprocess.SubprocessError: A package could not be installed; uv's own words are on stderr.
    """
    requirements = PEERS / "requirements.txt"
    digest = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()[:16]
    folder = cache_dir() / "peers" / digest
    folder.parent.mkdir(parents=True, exist_ok=True)
    python = folder / "bin" / "python"
    with FileLock(folder.with_suffix(".lock")):
        if not (folder / ".complete").exists():
            _run("uv", "venv", "--quiet", "--clear", "--python", sys.executable, str(folder))
            _run(
                "uv", "pip", "install", "--quiet", "--python", str(python), "--require-hashes", "-r", str(requirements)
            )
            (folder / ".complete").touch()
    return python


def restate_server() -> Path:
    """The program of Restate's server, from its npm package.

    Raises:
        LookupError: There is none for this machine.
    """
    system, machine = platform.system().lower(), platform.machine().lower()
    package = f"restate-server-{system}-{_ARCHITECTURES.get(machine, machine)}"
    program = installed(PEERS / "restate_server") / "node_modules" / "@restatedev" / package / "bin" / "restate-server"
    if not program.exists():
        raise LookupError(f"npm's @restatedev/restate-server has no program for this machine ({package})")
    return program


def _run(*command: str) -> None:
    subprocess.run(command, check=True)  # noqa: S603 -- our own command lines
