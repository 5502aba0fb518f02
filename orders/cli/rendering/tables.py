"""Tables for a person. On a narrow terminal a cell goes on in the next line: nothing of it is cut away."""

from typing import Final

from rich.box import Box
from rich.table import Column, Table

_WHOLE_MAX: Final = 40
"""Characters of an id that stays on one line where that can be, so that a double click takes all of it."""


def folding_table(*headers: str, box: Box | None = None) -> Table:
    """An empty table with these headers."""
    return Table(*(Column(header, overflow="fold") for header in headers), box=box, pad_edge=False)


def keep_whole(column: Column) -> None:
    """Leaves a column's cells on one line, as far as they are no longer than ids mostly are; others make room."""
    longest = max(len(str(cell)) for cell in (column.header, *column.cells))
    column.width = min(longest, _WHOLE_MAX)
