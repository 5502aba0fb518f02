"""The published contract: JSON Schemas, examples and an AsyncAPI 3 document, made from the models.

``python -m schemas.contract DIRECTORY`` writes them; a test holds docs/contract to what this makes.
"""

import json
import sys
from pathlib import Path
from typing import Any

from schemas.contract.asyncapi import asyncapi_document
from schemas.contract.examples import EXAMPLES
from schemas.contract.messages import contract_messages


def documents() -> dict[str, Any]:
    """Every document of the contract, by its path below docs/contract."""
    messages = contract_messages()
    made: dict[str, Any] = {"asyncapi.json": asyncapi_document(messages)}
    for message in messages:
        made[f"schemas/{message.event_type}.json"] = {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "$id": f"urn:temporal-order-orchestrator:v1:{message.event_type}",
            **message.schema(),
        }
        made[f"examples/{message.event_type}.json"] = EXAMPLES[message.event_type]
    return made


def write(directory: Path) -> None:
    """Writes every document below the directory."""
    for name, document in documents().items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(render(document))


def render(document: object) -> str:
    """A document as it is checked in: indented, readable, with a last newline."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":  # pragma: no cover -- a person's command; a test calls what it calls
    write(Path(sys.argv[1]))
