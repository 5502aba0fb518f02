"""What runs in a workflow reads no clock, no chance and no environment: the sandbox does not see into pure modules."""

import ast
from pathlib import Path

import pytest

FORBIDDEN_MODULES = {"os", "random", "secrets", "socket", "subprocess", "threading", "time", "uuid"}
FORBIDDEN_CALLS = {
    ("datetime", "now"),
    ("datetime", "utcnow"),
    ("date", "today"),
    ("asyncio", "sleep"),
    ("asyncio", "wait"),
}
ROOT = Path(__file__).parents[3]
MODULES = sorted((ROOT / "workflows").glob("*.py"))


def violations(source: str) -> list[str]:
    """What of the forbidden a module imports or calls."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if alias.name.split(".")[0] in FORBIDDEN_MODULES]
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] in FORBIDDEN_MODULES:
            found.append(node.module)
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            found += [".".join(call) for call in [(node.value.id, node.attr)] if call in FORBIDDEN_CALLS]
    return found


@pytest.mark.parametrize("path", MODULES, ids=[path.name for path in MODULES])
def test_a_workflow_module_reads_nothing_but_its_input(path: Path) -> None:
    source = path.read_text()
    assert violations(source) == []
    assert "from __future__ import annotations" not in source, "Temporal reads the annotations"


@pytest.mark.parametrize("line", ["import time", "from os import environ", "datetime.now()", "await asyncio.sleep(1)"])
def test_a_forbidden_line_is_found(line: str) -> None:
    assert violations(f"async def code():\n    {line}")
