"""What has changed in the REST API since it was released, and whether that breaks programs that use it.

``python -m tests.contract.openapi_changes`` compares the API as it is now with ``docs/contract/openapi.released.json``
by oasdiff, and fails where a program that was written for the released one could stop working: `make check` runs it.
With ``--release`` (`make release-api`) it records today's as released, and refuses where that breaks something, unless
the contract has another major version.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

from orders.web.contract import document
from schemas.contract.__main__ import render
from tests.helpers.go_programs import GoProgram, built

OASDIFF: Final = GoProgram("github.com/oasdiff/oasdiff", "v1.37.0")
RELEASED: Final = Path(__file__).parents[2] / "docs" / "contract" / "openapi.released.json"
TIMEOUT_SECONDS: Final = 60
"""For one comparison; 1 s was measured."""


def breaking_changes(released: dict[str, Any], present: dict[str, Any]) -> list[str]:
    """What oasdiff finds that breaks programs, or may: a sentence for each.

    Args:
        released: the OpenAPI document that programs were written for.
        present: the one as it is now.

    Raises:
        RuntimeError: oasdiff cannot be built, or does not understand a document.
    """
    with tempfile.TemporaryDirectory(prefix="openapi-") as folder:
        paths = [Path(folder) / f"{name}.json" for name in ("released", "present")]
        for path, made in zip(paths, (released, present), strict=True):
            path.write_text(json.dumps(made))
        ran = subprocess.run(
            [built(OASDIFF), "breaking", *paths, "--format", "json"],
            capture_output=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
            cwd=folder,  # Where there is no settings file of its own that could silence it.
        )
    if ran.returncode != 0:
        raise RuntimeError(f"oasdiff left with {ran.returncode}: {ran.stderr.decode(errors='replace')}")
    found: list[dict[str, Any]] = json.loads(ran.stdout or b"[]")
    return [f"{one.get('operation', '')} {one.get('path', '')}: {one['text']} ({one['id']})".strip() for one in found]


def _major(of: dict[str, Any]) -> str:
    return str(of["info"]["version"]).partition(".")[0]


def main() -> int:
    """Compares, or records; 0 where nothing breaks."""
    parser = argparse.ArgumentParser(prog="python -m tests.contract.openapi_changes", description=__doc__)
    parser.add_argument("--release", action="store_true", help="record today's API as released")
    wanted = parser.parse_args()
    present, released = document(), json.loads(RELEASED.read_text())
    broken = breaking_changes(released, present)
    if broken and not (wanted.release and _major(released) != _major(present)):
        for line in broken:
            print(line)  # noqa: T201 - it is what the command is for
        print(  # noqa: T201
            f"These break programs that use the REST API as it was released ({RELEASED.name}). Take them back, or add "
            "what is new beside what there was. A change that is meant needs another major version of the contract "
            "(schemas/contract/messages.py), and then `make release-api`."
        )
        return 1
    if wanted.release:
        RELEASED.write_text(render(present))
    return 0


if __name__ == "__main__":  # pragma: no cover -- a person's command; a test calls what it calls
    sys.exit(main())
