"""The AsyncAPI document, held to AsyncAPI's own validator; and that the validator refuses what is wrong."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.helpers.messages.asyncapi import complaints

PUBLISHED = Path(__file__).parents[2] / "docs" / "contract" / "asyncapi.json"


def _dangling_reference(document: dict[str, Any]) -> None:
    document["channels"]["order_created"]["messages"]["OrderCreated"]["$ref"] = "#/components/messages/Nothing"


def _schema_that_is_none(document: dict[str, Any]) -> None:
    document["components"]["schemas"]["OrderCreated"]["properties"]["order_id"]["type"] = "text"


MISTAKES: dict[str, tuple[Callable[[dict[str, Any]], None], str]] = {
    "a dangling reference": (_dangling_reference, "invalid-ref"),
    "a schema that is none": (_schema_that_is_none, "type"),
}


def test_the_document_is_valid_and_each_mistake_in_it_is_found() -> None:
    published = json.loads(PUBLISHED.read_text())
    broken = []
    for make, _ in MISTAKES.values():
        document = copy.deepcopy(published)
        make(document)
        broken.append(document)

    of_published, *of_broken = complaints([published, *broken])

    assert of_published == []
    for (name, (_, words)), found in zip(MISTAKES.items(), of_broken, strict=True):
        assert any(words in complaint for complaint in found), (name, found)
