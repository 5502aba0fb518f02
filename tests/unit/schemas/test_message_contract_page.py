"""docs/message-contract.md: that its tables name what the models have, and that its examples are messages."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from schemas.contract.messages import CONTRACT_VERSION
from schemas.event_types import INBOUND, EventType
from schemas.inbound import InboundBody
from schemas.outbound import OUTBOUND, OrderStateChanged, OutboundType, cloudevents_headers
from schemas.states import OrderState, ReasonCode

PAGE = (Path(__file__).parents[3] / "docs" / "message-contract.md").read_text()
IN, OUT = PAGE.split("## Events out", 1)


def table(text: str, heading: str) -> list[list[str]]:
    """The rows of the table whose first column has this heading, as cells."""
    _, _, after = text.partition(f"| {heading} |")
    rows = after.split("\n\n", 1)[0].splitlines()[2:]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def named(cell: str) -> set[str]:
    return {name.removesuffix("[]") for name in re.findall(r"`([^`]+)`", cell)}


def json_objects() -> Iterator[dict[str, Any]]:
    for block in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL):
        decoder, rest = json.JSONDecoder(), block.strip()
        while rest:
            document, end = decoder.raw_decode(rest)
            yield document
            rest = rest[end:].strip()


@pytest.mark.parametrize("event_type", EventType)
def test_every_message_in_is_listed_with_its_fields(event_type: EventType) -> None:
    (row,) = (row for row in table(IN, "topic") if named(row[0]) == {event_type.value})
    fields = INBOUND[event_type].body.model_fields
    always = {name for name, field in fields.items() if field.is_required()}
    own = set(fields) - set(InboundBody.model_fields)
    assert named(row[2]) == always
    assert named(row[3]) == own - always


def test_every_example_of_the_page_is_a_message() -> None:
    found = list(json_objects())
    assert len(found) >= len(EventType) + 1
    for document in found:
        fitting = [row.body for row in INBOUND.values() if set(document) <= set(row.body.model_fields)]
        assert fitting, document
        assert any(_is_read(model, document) for model in fitting), document


def _is_read(model: type[InboundBody], document: dict[str, Any]) -> bool:
    try:
        model.model_validate(document)
    except ValueError:
        return False
    return True


def test_every_header_out_is_listed() -> None:
    event = OrderStateChanged(
        order_id="o-1", sequence=1, state=OrderState.RECEIVED, occurred_at=datetime(2026, 1, 31, tzinfo=UTC)
    )
    headers = cloudevents_headers(event, event_type=event.type, source="/orders")
    # Beside those of every event, the trace of one that is traced.
    assert set.union(*(named(row[0]) for row in table(OUT, "header"))) == {*headers, "traceparent"}


def test_every_field_out_is_listed() -> None:
    fields = {name for model in (row.body for row in OUTBOUND.values()) for name in model.model_fields}
    assert set.union(*(named(row[0]) for row in table(OUT, "field"))) == fields


def test_every_reason_state_and_type_out_is_listed_and_no_other() -> None:
    assert {name for row in table(OUT, "reason") for name in named(row[0])} == set(ReasonCode)
    (states,) = re.findall(r"^States: .*?\n\n", OUT, re.MULTILINE | re.DOTALL)
    assert set(re.findall(r"\b[A-Z_]{4,}\b", states)) == set(OrderState)
    assert {name for row in table(OUT, "header") if "`ce_type`" in row[0] for name in named(row[1])} == set(
        OutboundType
    )


def test_every_reason_for_a_refusal_has_a_section_that_says_what_to_do() -> None:
    page = (Path(__file__).parents[3] / "docs" / "reasons.md").read_text()
    of_refusals = {
        name for row in table(OUT, "reason") for name in named(row[0]) if row[1] == "a rejected event"
    }  # fmt: skip
    assert re.findall(r"^## (.*)$", page, re.MULTILINE) == sorted(of_refusals)


def test_the_page_names_the_version() -> None:
    assert f"asyncapi.json): {CONTRACT_VERSION}." in OUT
