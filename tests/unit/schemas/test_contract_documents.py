import copy
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from schemas.contract.__main__ import documents, render, write
from schemas.contract.examples import EXAMPLES
from schemas.event_types import INBOUND, EventType
from schemas.outbound import OUTBOUND, OutboundType

CONTRACT = Path(__file__).parents[3] / "docs" / "contract"
DOCUMENTS = documents()


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_published_contract_is_what_the_models_say(name: str) -> None:
    assert (CONTRACT / name).read_text() == render(DOCUMENTS[name]), "run: make contract"


def test_every_document_is_written_as_it_is_published(tmp_path: Path) -> None:
    write(tmp_path)
    written = {str(path.relative_to(tmp_path)): path.read_text() for path in tmp_path.rglob("*.json")}
    assert written == {name: (CONTRACT / name).read_text() for name in DOCUMENTS}


def test_nothing_stale_is_published() -> None:
    published = {str(path.relative_to(CONTRACT)) for path in CONTRACT.rglob("*.json")}
    of_the_api = {"openapi.json", "openapi.released.json"}  # Held by its own tests.
    assert published == DOCUMENTS.keys() | of_the_api


@pytest.mark.parametrize("event_type", [*EventType, *OutboundType])
def test_every_example_satisfies_its_schema(event_type: str) -> None:
    schema = DOCUMENTS[f"schemas/{event_type}.json"]
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(EXAMPLES[event_type])


def test_a_schema_that_is_none_is_refused_by_its_metaschema() -> None:
    """Else the check above would say nothing."""
    schema = copy.deepcopy(DOCUMENTS["schemas/order.created.json"])
    schema["properties"]["order_id"]["type"] = "text"
    with pytest.raises(jsonschema.SchemaError):
        jsonschema.Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize("event_type", EventType)
def test_every_inbound_example_is_accepted(event_type: EventType) -> None:
    INBOUND[event_type].body.model_validate_json(json.dumps(EXAMPLES[event_type]))


@pytest.mark.parametrize("event_type", OutboundType)
def test_every_outbound_example_is_published_to_the_byte(event_type: OutboundType) -> None:
    example = json.dumps(EXAMPLES[event_type], separators=(",", ":"))
    assert OUTBOUND[event_type].body.model_validate_json(example).model_dump_json() == example


def test_the_schema_refuses_what_the_model_refuses() -> None:
    validator = jsonschema.Draft202012Validator(DOCUMENTS["schemas/order.created.json"])
    changes: list[dict[str, Any]] = [
        {"order_id": "a/b"},
        {"amount": -1},
        {"amount": "7"},
        {"currency": "usd"},
        {"items": [{}]},
    ]
    for change in changes:
        assert not validator.is_valid({**EXAMPLES[EventType.ORDER_CREATED], **change}), change


def test_every_reference_of_the_asyncapi_document_resolves() -> None:
    document = DOCUMENTS["asyncapi.json"]
    for reference in _references(document):
        target: Any = document
        for part in reference.removeprefix("#/").split("/"):
            target = target[part]


def _references(node: object) -> list[str]:
    if isinstance(node, dict):
        own = [node["$ref"]] if "$ref" in node else []
        return own + [found for value in node.values() for found in _references(value)]
    if isinstance(node, list):
        return [found for value in node for found in _references(value)]
    return []
