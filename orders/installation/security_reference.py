"""The tables of docs/security.md: ``python -m orders.installation.security_reference FILE`` puts them into the page."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from migrations.rights import RIGHTS, TABLES
from orders.clients.mistakes import TABLE

_PLACE: Final = re.compile(r"\{(\w+)\}")


def with_tables(page: str) -> str:
    """A page with its tables as the code has them, each between its two marks.

    Raises:
        ValueError: the page has no such marks.
    """
    for name, lines in (("roles", _roles()), ("mistakes", _mistakes())):
        begin_mark, end_mark = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
        before, begin, rest = page.partition(begin_mark)
        _, end, after = rest.partition(end_mark)
        if not begin or not end:
            raise ValueError(f"the page has no {begin_mark} and {end_mark}")
        page = f"{before}{begin}\n{''.join(lines)}{end}{after}"
    return page


def _roles() -> Iterator[str]:
    yield "| table | " + " | ".join(RIGHTS) + " |\n|---|" + "---|" * len(RIGHTS) + "\n"
    for table in TABLES:
        cells = (rights.get(table, "").lower() or "-" for rights in RIGHTS.values())
        yield f"| `{table}` | {' | '.join(cells)} |\n"


def _mistakes() -> Iterator[str]:
    yield "| server | mistake | what is said | what to do |\n|---|---|---|---|\n"
    for server, rows in TABLE.items():
        for mistake, row in rows.items():
            yield f"| {server} | `{mistake}` | {_shown(row.sentence)} | {_shown(row.action)} |\n"


def _shown(text: str) -> str:
    return _PLACE.sub(r"*\1*", text)


if __name__ == "__main__":  # pragma: no cover -- it writes our own page anew
    path = Path(sys.argv[1])
    path.write_text(with_tables(path.read_text()))
