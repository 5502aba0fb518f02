"""The OpenAPI document, held to Spectral's rules; and that the rules find what is wrong."""

import copy
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.node_packages import NODE, installed

PUBLISHED = Path(__file__).parents[2] / "docs" / "contract" / "openapi.json"
SOURCES = Path(__file__).parent / "openapi_linter"
TIMEOUT_SECONDS = 120
"""For one document; 5 s were measured."""


def complaints(document: dict[str, Any], folder: Path) -> list[str]:
    """What Spectral says of a document."""
    path = folder / "openapi.json"
    path.write_text(json.dumps(document))
    tool = installed(SOURCES)
    command = tool / "node_modules" / "@stoplight" / "spectral-cli" / "dist" / "index.js"
    ran = subprocess.run(
        [NODE, command, "lint", path, "--ruleset", SOURCES / "ruleset.yaml", "--format", "json", "--quiet"],
        capture_output=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    assert ran.returncode in (0, 1), ran.stderr.decode()
    said: list[dict[str, Any]] = json.loads(ran.stdout or b"[]")
    return [f"{'.'.join(map(str, one['path']))}: {one['message']} ({one['code']})" for one in said]


def _dangling_reference(document: dict[str, Any]) -> None:
    document["paths"]["/"]["get"]["responses"]["200"]["content"]["application/json"]["schema"] = {
        "$ref": "#/components/schemas/Nothing"
    }


def _two_operations_of_one_name(document: dict[str, Any]) -> None:
    document["paths"]["/"]["get"]["operationId"] = "listOrders"


def _example_that_is_wrong(document: dict[str, Any]) -> None:
    operation = document["paths"]["/orders/{order_id}/start"]["post"]
    operation["requestBody"]["content"]["application/json"]["examples"]["least"]["value"] = {"payment_id": 7}


MISTAKES: dict[str, tuple[Callable[[dict[str, Any]], None], str]] = {
    "a dangling reference": (_dangling_reference, "invalid-ref"),
    "two operations of one name": (_two_operations_of_one_name, "operation-operationId-unique"),
    "an example that is wrong": (_example_that_is_wrong, "oas3-valid-media-example"),
}


def test_nothing_is_said_of_the_document(tmp_path: Path) -> None:
    assert complaints(json.loads(PUBLISHED.read_text()), tmp_path) == []


@pytest.mark.parametrize("name", MISTAKES)
def test_each_mistake_in_it_is_found(name: str, tmp_path: Path) -> None:
    make, code = MISTAKES[name]
    document = copy.deepcopy(json.loads(PUBLISHED.read_text()))
    make(document)
    assert any(code in complaint for complaint in complaints(document, tmp_path))
