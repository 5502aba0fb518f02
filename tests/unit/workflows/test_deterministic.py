"""What runs in a workflow reads no clock, no chance and no environment: the sandbox does not see into pure modules."""

import ast
from pathlib import Path

import pytest
from temporalio.worker import UnsandboxedWorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from workflows.runner import workflow_runner

FORBIDDEN_MODULES = {"os", "random", "secrets", "socket", "subprocess", "threading", "time", "uuid"}
PURE_NAMES = {("uuid", "UUID"), ("uuid", "uuid5")}
"""What of these modules depends on its arguments alone."""
FORBIDDEN_CALLS = {
    ("datetime", "now"),
    ("datetime", "utcnow"),
    ("date", "today"),
    ("asyncio", "sleep"),
    ("asyncio", "wait"),
}
ROOT = Path(__file__).parents[3]
MODULES = sorted(path.relative_to(ROOT) for room in ("schemas", "workflows") for path in (ROOT / room).rglob("*.py"))
"""`schemas` and our own pure modules pass the sandbox by: nothing but this test watches over them."""


def violations(source: str) -> list[str]:
    """What of the forbidden a module imports or calls."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if alias.name.split(".")[0] in FORBIDDEN_MODULES]
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] in FORBIDDEN_MODULES:
            found += [node.module for alias in node.names if (node.module, alias.name) not in PURE_NAMES]
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            found += [".".join(call) for call in [(node.value.id, node.attr)] if call in FORBIDDEN_CALLS]
    return found


def test_the_modules_below_folders_are_read_too() -> None:
    assert {"schemas/base.py", "schemas/contract/messages.py", "workflows/order.py", "workflows/life/rules.py"} <= {
        path.as_posix() for path in MODULES
    }


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_a_module_that_runs_in_workflows_reads_nothing_but_its_input(path: Path) -> None:
    source = (ROOT / path).read_text()
    assert violations(source) == []
    assert "from __future__ import annotations" not in source, "Temporal reads the annotations"


@pytest.mark.parametrize(
    "line",
    [
        "import time",
        "from os import environ",
        "from uuid import UUID, uuid4",
        "datetime.now()",
        "await asyncio.sleep(1)",
    ],
)
def test_a_forbidden_line_is_found(line: str) -> None:
    assert len(violations(f"async def code():\n    {line}")) == 1


def test_workflows_leave_the_sandbox_only_where_that_is_asked_for() -> None:
    assert isinstance(workflow_runner(), SandboxedWorkflowRunner)
    assert isinstance(workflow_runner(sandboxed=False), UnsandboxedWorkflowRunner)
