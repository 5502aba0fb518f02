"""The code of released versions, as they were: what an installation is upgraded from.

``python -m tests.helpers.system.released REVISION`` keeps that of a revision, after its tag, in tests/e2e/kept under
the version that it says. It runs with today's packages, beside today's code.
"""

import io
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[3]
KEPT: Final = ROOT / "tests" / "e2e" / "kept"
_SUFFIX: Final = ".tar.xz"
_OURS: Final = ("activities", "bridge", "migrations", "orders", "schemas", "workflows")
_LEFT_OUT: Final = ":(exclude)orders/web/documentation/assets/swagger-ui-bundle.js"
"""Half of all, for the pages of the REST API's documentation: nothing that an upgrade could break."""


def released_before(version: str) -> str:
    """The newest version that is kept and is older than this one."""
    older = sorted(_numbers(one.name.removesuffix(_SUFFIX)) for one in KEPT.glob(f"*{_SUFFIX}"))
    return ".".join(str(number) for number in max(one for one in older if one < _numbers(version)))


def unpacked(version: str, folder: Path) -> Path:
    """The code of a version, which is to come before ours in ``PYTHONPATH``."""
    with tarfile.open(KEPT / f"{version}{_SUFFIX}") as kept:
        kept.extractall(folder, filter="data")
    return folder


def keep(revision: str) -> Path:
    """Keeps the code of a revision, and returns where."""
    taken = _git("archive", "--format=tar", revision, "--", *_OURS, _LEFT_OUT)
    project = tomllib.loads(_git("show", f"{revision}:pyproject.toml").decode())
    path = KEPT / f"{project['project']['version']}{_SUFFIX}"
    KEPT.mkdir(exist_ok=True)
    with tarfile.open(fileobj=io.BytesIO(taken)) as source, tarfile.open(path, "w:xz", preset=9) as target:
        for member in source.getmembers():
            target.addfile(member, source.extractfile(member) if member.isfile() else None)
    return path


def _git(*arguments: str) -> bytes:
    command = ["git", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


if __name__ == "__main__":
    sys.stdout.write(f"kept: {keep(sys.argv[1]).relative_to(ROOT)}\n")
