"""AsyncAPI's own validator, `@asyncapi/parser` (55 MB), run by the node of a wheel: `tests.helpers.node_packages`."""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from tests.helpers.node_packages import NODE, installed

VALIDATE_TIMEOUT_SECONDS: Final = 100
"""For all documents of one call; about a second each, and 6 s were seen on a busy machine."""

_SOURCES: Final = Path(__file__).parents[2] / "contract" / "asyncapi_validator"

_ADVICE: Final = {"asyncapi-latest-version"}
"""What the validator says of a valid document too: that there is a 3.1, which adds nothing that we use."""


def complaints(documents: Sequence[object]) -> list[list[str]]:
    """For each document what is wrong with it, by the validator: nothing of a valid one.

    Raises:
        subprocess.SubprocessError: The validator could not be installed or run; its own words are on stderr.
    """
    ran = subprocess.run(
        [NODE, installed(_SOURCES) / "validate.js"],
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
