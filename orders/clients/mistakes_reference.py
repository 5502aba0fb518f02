"""The table of docs/security.md: ``python -m orders.clients.mistakes_reference FILE`` puts it into the page."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from orders.clients.mistakes import TABLE

_BEGIN: Final = "<!-- mistakes: begin -->"
_END: Final = "<!-- mistakes: end -->"
_PLACE: Final = re.compile(r"\{(\w+)\}")


def with_table(page: str) -> str:
    """A page with the table as the code has it, between its two marks.

    Raises:
        ValueError: the page has no such marks.
    """
    before, begin, rest = page.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        raise ValueError(f"the page has no {_BEGIN} and {_END}")
    return f"{before}{begin}\n{''.join(_lines())}{end}{after}"


def _lines() -> Iterator[str]:
    yield "| server | mistake | what is said | what to do |\n|---|---|---|---|\n"
    for server, rows in TABLE.items():
        for mistake, row in rows.items():
            yield f"| {server} | `{mistake}` | {_shown(row.sentence)} | {_shown(row.action)} |\n"


def _shown(text: str) -> str:
    return _PLACE.sub(r"*\1*", text)


if __name__ == "__main__":  # pragma: no cover -- it writes our own page anew
    path = Path(sys.argv[1])
    path.write_text(with_table(path.read_text()))
