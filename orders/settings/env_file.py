"""What stands in ``.env`` and would be passed over, or count otherwise than it was written, without a word."""

import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Final

from dotenv.parser import Binding, parse_stream

_REFERENCE: Final = re.compile(r"\$\{([^}:]*)\}")
"""As python-dotenv replaces it; behind a name and ``:-`` stands what counts where there is no such variable."""


def bindings_of(file: Path) -> tuple[Binding, ...]:
    """The lines of the file that say something, as python-dotenv reads them; none where there is no file.

    Raises:
        OSError: It cannot be read.
        UnicodeDecodeError: It is not UTF-8 text.
    """
    if not file.is_file():
        return ()
    with file.open(encoding="utf-8") as stream:
        return tuple(parse_stream(stream))


def lines_without_effect(
    bindings: Collection[Binding], environment: Mapping[str, str], known: Collection[str]
) -> Iterator[str]:
    """A sentence for each line that sets nothing, or something else than it says; with nothing of any value.

    Args:
        bindings: the file's.
        environment: its variables.
        known: the names of all settings, in upper case.
    """
    defined = {*environment, *(one.key for one in bindings if one.key is not None)}
    for one in bindings:
        line = one.original.line
        if one.error:
            yield (
                f".env has a line {line} that is no NAME=value, and would be passed over: correct it, or put # before "
                "it; a value with quotes or blanks stands between single quotes"
            )
        elif one.key is not None and one.value is None and one.key.upper() in known:
            yield f".env names {one.key.upper()} in line {line} without a value: write NAME=value, or take it out"
        for name in _REFERENCE.findall(one.value or ""):
            if name not in defined:
                yield (
                    f".env has a value in line {line} with ${{…}}, which stands for a variable that there is not: "
                    "correct its name, or give a secret that holds such characters by a file of its own (…_FILE)"
                )
