"""The peers' packages, apart from the project's own: made on first use in the cache folder, each held to its hash."""

import platform
from pathlib import Path
from typing import Final

from tests.helpers.node_packages import installed
from tests.helpers.python_packages import python_with

PEERS: Final = Path(__file__).parent
_ARCHITECTURES: Final = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64", "arm64": "arm64"}


def peers_python() -> Path:
    """The Python that has DBOS and Restate's SDK; blocks for a minute where it has to be made.

    Raises:
        subprocess.SubprocessError: A package could not be installed; uv's own words are on stderr.
    """
    return python_with(PEERS / "requirements.txt", kept_in="peers")


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
