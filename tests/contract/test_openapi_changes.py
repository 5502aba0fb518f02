"""That a change which breaks programs is found before it is released, and an addition is none."""

import copy
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orders.web.contract import document
from schemas.contract.__main__ import render
from tests.contract import openapi_changes
from tests.contract.openapi_changes import RELEASED, breaking_changes, main

PRESENT = document()
Change = Callable[[dict[str, Any]], object]


def operation(of: dict[str, Any], method: str, path: str) -> dict[str, Any]:
    found: dict[str, Any] = of["paths"][path][method]
    return found


def schema(of: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = of["components"]["schemas"][name]
    return found


def parameter(of: dict[str, Any], method: str, path: str, name: str) -> dict[str, Any]:
    return next(one for one in operation(of, method, path)["parameters"] if one["name"] == name)


def extensible(part: Any) -> list[dict[str, Any]]:
    """What later versions may add values to, anywhere in a schema."""
    if isinstance(part, list):
        return [found for one in part for found in extensible(one)]
    if not isinstance(part, dict):
        return []
    own = [part] if "x-extensible-enum" in part else []
    return own + [found for one in part.values() for found in extensible(one)]


START, APPROVE = "/orders/{order_id}/start", "/orders/{order_id}/signals/approve"
STATUS = "/orders/{order_id}/status"

BREAKING: dict[str, Change] = {
    "an operation is gone": lambda of: of["paths"].pop(STATUS),
    "an operation has another address": lambda of: of["paths"].update({"/status": of["paths"].pop(STATUS)}),
    "an operation is asked by another method": lambda of: of["paths"][APPROVE].update(
        put=of["paths"][APPROVE].pop("post")
    ),
    "an answer's field is gone": lambda of: schema(of, "OrderStatus")["properties"].pop("waits_until"),
    "an answer's field may be missing": lambda of: schema(of, "OrderStatus")["required"].remove("step"),
    "an answer's field has another type": lambda of: schema(of, "OrderStatus")["properties"].update(
        last_sequence={"type": "string"}
    ),
    "a body's field is wanted that was not": lambda of: schema(of, "OrderStart")["required"].append("customer_id"),
    "a body's field is refused that was taken": lambda of: schema(of, "OrderStart")["properties"].pop("customer_id"),
    "a body's field takes less": lambda of: schema(of, "OrderStart")["properties"]["payment_id"].update(maxLength=3),
    "a body is wanted where none was": lambda of: operation(of, "post", APPROVE)["requestBody"].update(required=True),
    "a header is wanted that was not": lambda of: parameter(of, "post", APPROVE, "Idempotency-Key").update(
        required=True
    ),
    "a parameter takes less": lambda of: parameter(of, "get", "/orders", "limit")["schema"].update(maximum=5),
    "a good answer has another status": lambda of: operation(of, "post", APPROVE)["responses"].update(
        {"204": operation(of, "post", APPROVE)["responses"].pop("200")}
    ),
    "an answer has another media type": lambda of: operation(of, "get", STATUS)["responses"]["200"].update(
        content={"application/xml": {}}
    ),
}

ADDITIONS: dict[str, Change] = {
    "nothing": lambda _: None,
    "an operation": lambda of: of["paths"].update(
        {"/orders/{order_id}/hold": {"post": operation(of, "post", APPROVE)}}
    ),
    "a field of an answer": lambda of: schema(of, "OrderStatus")["properties"].update(colour={"type": "string"}),
    "a field of a body": lambda of: schema(of, "OrderStart")["properties"].update(gift={"type": "boolean"}),
    "a parameter": lambda of: operation(of, "get", "/orders")["parameters"].append(
        {"name": "colour", "in": "query", "required": False, "schema": {"type": "string"}}
    ),
    "a problem's code": lambda of: schema(of, "Problem")["properties"]["code"]["x-extensible-enum"].append("too_red"),
    "a state, a reason and a type of what is published": lambda of: [
        values["x-extensible-enum"].append("LATER") for values in extensible(schema(of, "PublishedEvent"))
    ],
    "a field of what is published": lambda of: schema(of, "PublishedEvent")["properties"].update(
        gift={"type": "string"}
    ),
    "a status of a refusal": lambda of: operation(of, "get", STATUS)["responses"].update(
        {"451": operation(of, "get", STATUS)["responses"]["404"]}
    ),
    "other words": lambda of: operation(of, "get", STATUS).update(summary="Where it is", description="Ask."),
}


def changed(change: Change) -> dict[str, Any]:
    made = copy.deepcopy(PRESENT)
    change(made)
    return made


def test_today_s_api_breaks_nothing_of_the_released_one() -> None:
    assert breaking_changes(json.loads(RELEASED.read_text()), PRESENT) == []


@pytest.mark.parametrize("name", BREAKING)
def test_what_breaks_programs_is_found(name: str) -> None:
    assert breaking_changes(PRESENT, changed(BREAKING[name])) != []


@pytest.mark.parametrize("name", ADDITIONS)
def test_what_adds_something_is_no_break(name: str) -> None:
    assert breaking_changes(PRESENT, changed(ADDITIONS[name])) == []


def run(monkeypatch: pytest.MonkeyPatch, released: Path, present: dict[str, Any], *arguments: str) -> int:
    """The command, with another released document and another API of today."""
    monkeypatch.setattr(openapi_changes, "RELEASED", released)
    monkeypatch.setattr(openapi_changes, "document", lambda: present)
    monkeypatch.setattr(sys, "argv", ["openapi_changes", *arguments])
    return main()


def test_the_check_fails_where_programs_break_and_says_what_and_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    released = tmp_path / "released.json"
    released.write_text(render(PRESENT))
    broken = changed(BREAKING["an operation is gone"])
    assert run(monkeypatch, released, broken) == 1
    said = capsys.readouterr().out
    assert f"GET {STATUS}" in said
    assert "another major version" in said
    assert run(monkeypatch, released, broken, "--release") == 1
    assert released.read_text() == render(PRESENT), "what breaks programs is not released"


def test_an_addition_passes_and_a_release_records_it_and_so_does_another_major_version(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    released = tmp_path / "released.json"
    released.write_text(render(PRESENT))
    added = changed(ADDITIONS["an operation"])
    assert run(monkeypatch, released, added) == 0
    assert released.read_text() == render(PRESENT)
    assert run(monkeypatch, released, added, "--release") == 0
    assert released.read_text() == render(added)
    assert run(monkeypatch, released, PRESENT) == 1, "what was released may not go"
    other = changed(lambda of: of["info"].update(version="2.0.0"))
    assert run(monkeypatch, released, other, "--release") == 0
    assert released.read_text() == render(other)
