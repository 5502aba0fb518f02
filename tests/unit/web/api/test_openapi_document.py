"""The published OpenAPI document is what the code makes, and says of every operation what a client must know."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator

from orders.web.api.decision_table import DECISIONS
from orders.web.contract import document, unconnected_app
from orders.web.problems import MEDIA_TYPE
from schemas.contract.__main__ import render
from schemas.event_types import INBOUND, EventType
from schemas.outbound import OUTBOUND, OutboundType
from schemas.states import OrderState, OrderStep, ReasonCode

PUBLISHED = Path(__file__).parents[4] / "docs" / "contract" / "openapi.json"
DOCUMENT = document()


def operations() -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


OPERATIONS = dict(operations())


def references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]
        for value in part.values():
            yield from references(value)
    elif isinstance(part, list):
        for value in part:
            yield from references(value)


def test_it_is_the_one_that_the_code_makes() -> None:
    assert PUBLISHED.read_text() == render(DOCUMENT), "run `make contract`"


def test_it_is_openapi_3_1() -> None:
    assert re.fullmatch(r"3\.1\.\d+", DOCUMENT["openapi"])


def test_every_reference_leads_somewhere_and_every_schema_is_one() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    assert {one.rpartition("/")[2] for one in references(DOCUMENT)} <= schemas.keys()
    for schema in schemas.values():
        Draft202012Validator.check_schema(schema)


def reached_from(part: Any) -> set[str]:
    """The names of all schemas that a part of the document refers to, through others as well."""
    found: set[str] = set()
    left = list(references(part))
    while left:
        name = left.pop().rpartition("/")[2]
        if name not in found:
            found.add(name)
            left.extend(references(DOCUMENT["components"]["schemas"][name]))
    return found


def lists_in(part: Any) -> Iterator[list[Any]]:
    """Each list of the only values that are taken."""
    if isinstance(part, dict):
        if "enum" in part:
            yield part["enum"]
        for value in part.values():
            yield from lists_in(value)
    elif isinstance(part, list):
        for value in part:
            yield from lists_in(value)


@pytest.mark.parametrize("name", OPERATIONS)
def test_no_answer_closes_what_version_1_may_add_to(name: str) -> None:
    """States, reasons, steps and event types; a program that checks its answers would stop at a new one."""
    responses = OPERATIONS[name]["responses"]
    schemas = [responses, *(DOCUMENT["components"]["schemas"][one] for one in reached_from(responses))]
    closed = {value for known in lists_in(schemas) for value in known}
    assert not closed & {*OrderState, *OrderStep, *ReasonCode, *EventType, *OutboundType}
    assert '"oneOf"' not in json.dumps(schemas), "nor a schema for each type"


@pytest.mark.parametrize("event_type", OUTBOUND)
def test_a_published_event_is_what_the_document_says(event_type: OutboundType) -> None:
    schema = DOCUMENT["components"]["schemas"]["PublishedEvent"]
    example = OUTBOUND[event_type].example
    validator = Draft202012Validator({**schema, "components": DOCUMENT["components"]})
    assert list(validator.iter_errors(example)) == []
    assert example.keys() <= schema["properties"].keys(), "each field is described"


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_has_a_name_a_summary_and_problems_as_problems(name: str) -> None:
    operation = OPERATIONS[name]
    assert re.fullmatch(r"[a-z][A-Za-z]+", operation["operationId"])
    assert operation["summary"]
    assert len(operation["tags"]) == 1
    for status, answer in operation["responses"].items():
        if status.startswith(("4", "5")):
            assert list(answer["content"]) == [MEDIA_TYPE], status


async def test_every_operation_says_how_it_refuses_a_host_that_is_not_this_machine_and_does() -> None:
    transport = httpx.ASGITransport(unconnected_app())
    async with httpx.AsyncClient(transport=transport, base_url="http://orders.example") as elsewhere:
        for name, operation in OPERATIONS.items():
            method, path = name.split()
            refused = await elsewhere.request(method, path)
            assert (refused.status_code, refused.json()["code"]) == (421, "host_not_local")
            assert "`host_not_local`" in operation["responses"]["421"]["description"], name


async def test_every_operation_that_changes_something_says_how_it_refuses_a_page_of_another_site_and_does() -> None:
    transport = httpx.ASGITransport(unconnected_app())
    headers = {"Sec-Fetch-Site": "cross-site"}
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost", headers=headers) as page:
        for name, operation in OPERATIONS.items():
            method, path = name.split()
            documented = "`cross_site_request`" in operation["responses"].get("403", {}).get("description", "")
            assert documented is (method == "POST"), name
            if documented:
                refused = await page.request(method, path)
                assert (refused.status_code, refused.json()["code"]) == (403, "cross_site_request")


def test_every_operation_has_a_name_of_its_own() -> None:
    names = [operation["operationId"] for operation in OPERATIONS.values()]
    assert len(names) == len(set(names))


def test_every_inbound_event_type_can_be_sent() -> None:
    assert {decision.event_type for decision in DECISIONS} == set(EventType)


@pytest.mark.parametrize("decision", DECISIONS, ids=lambda one: one.operation_id)
def test_the_bodies_of_requests_are_described_and_their_examples_follow_the_description(decision: Any) -> None:
    content = OPERATIONS[f"POST {decision.path}"]["requestBody"]["content"]["application/json"]
    registry = {"components": DOCUMENT["components"]}
    validator = Draft202012Validator({**content["schema"], **registry})
    for example in content["examples"].values():
        assert list(validator.iter_errors(example["value"])) == []
    for name in ("approved_by", "cancelled_by", "updated_by", "event_id", "order_id"):
        with_it = {**decision_example(content), name: "x"}
        assert list(validator.iter_errors(with_it)) != [], f"{name} is said by the request otherwise"


def decision_example(content: dict[str, Any]) -> dict[str, Any]:
    example: dict[str, Any] = content["examples"]["example"]["value"]
    return example


def test_no_operation_is_left_out() -> None:
    """The table of the design, in short: what a client may count on."""
    expected = {
        "GET /",
        "POST /orders/{order_id}/start",
        "POST /orders/{order_id}/signals/approve",
        "POST /orders/{order_id}/signals/cancel",
        "POST /orders/{order_id}/signals/update-address",
        "GET /orders/{order_id}/status",
        "GET /orders/{order_id}/result",
        "GET /orders",
        "GET /orders/{order_id}",
        "GET /orders/{order_id}/events",
        "GET /orders/{order_id}/explain",
        "GET /orders/{order_id}/inbound/{event_id}",
        "GET /events",
        "GET /dead-letters",
        "GET /dead-letters/{place}",
        "POST /dead-letters/replays",
        "GET /dead-letters/replays/{replay_id}",
    }
    assert expected <= OPERATIONS.keys()
    assert len(INBOUND) == len(DECISIONS)
