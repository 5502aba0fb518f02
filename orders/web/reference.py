"""The tables of docs/rest-api.md: ``python -m orders.web.reference FILE`` puts them into the page."""

import sys
from pathlib import Path
from typing import Any, Final

from orders.web.contract import document
from orders.web.problems import PROBLEM_TYPES

_SHOWN: Final = (200, 201, 202, 304, 404, 406, 409, 410, 412)
"""Statuses that tell endpoints apart; the others may come from any of them."""


def endpoint_rows() -> list[str]:
    """A row for each endpoint: what it is, does and answers."""
    rows = ["| request | does | answers |", "|---|---|---|"]
    for path, methods in document()["paths"].items():
        for method, operation in methods.items():
            rows.append(f"| `{method.upper()} {path}` | {operation['summary']} | {_answers(operation)} |")
    return rows


def _answers(operation: dict[str, Any]) -> str:
    return ", ".join(sorted(status for status in operation["responses"] if int(status) in _SHOWN))


def problem_rows() -> list[str]:
    """A row for each code of a problem."""
    rows = ["| code | status | what is wrong | what to do |", "|---|---|---|---|"]
    kinds = sorted(PROBLEM_TYPES.items(), key=lambda one: (one[1].status, one[0]))
    return rows + [f"| `{code}` | {kind.status} | {kind.title} | {kind.what_to_do} |" for code, kind in kinds]


def with_tables(page: str) -> str:
    """The page with its tables as the code has them now."""
    for name, rows in (("endpoints", endpoint_rows()), ("problems", problem_rows())):
        begin, end = f"<!-- {name}: made from the code -->\n", "<!-- end -->"
        before, _, rest = page.partition(begin)
        _, _, after = rest.partition(end)
        page = "".join([before, begin, *(f"{row}\n" for row in rows), end, after])
    return page


if __name__ == "__main__":  # pragma: no cover -- a person's command; a test calls what it calls
    path = Path(sys.argv[1])
    path.write_text(with_tables(path.read_text()))
