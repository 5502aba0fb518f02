"""What is derived of the chart's values: README.md and the schema. ``python -m tests.deploy.documents`` renews both."""

import json
from typing import Final

from tests.deploy.schema import schema
from tests.deploy.values import CHART, Value, values_of_chart

README: Final = CHART / "README.md"
SCHEMA: Final = CHART / "values.schema.json"
_BEGIN: Final = "<!-- values: made from values.yaml -->\n"
_END: Final = "<!-- end -->"


def rows() -> list[str]:
    """A row for each value; groups have one where their comment says something."""
    table = ["| value | default | meaning |", "|---|---|---|"]
    return table + [_row(value) for value in values_of_chart() if value.meaning or not value.is_group]


def _row(value: Value) -> str:
    default = "" if value.is_group else f"`{json.dumps(value.default)}`"
    return f"| `{value.name}` | {default} | {value.meaning} |"


def readme(page: str) -> str:
    """The page with its table as values.yaml has it now."""
    before, _, rest = page.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return "".join([before, _BEGIN, *(f"{row}\n" for row in rows()), _END, after])


def schema_text() -> str:
    """The text of values.schema.json."""
    return json.dumps(schema(), indent=2) + "\n"


if __name__ == "__main__":  # pragma: no cover -- a person's command; a test calls what it calls
    README.write_text(readme(README.read_text()))
    SCHEMA.write_text(schema_text())
