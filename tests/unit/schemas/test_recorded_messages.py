"""The recorded messages of version 1: read as they were read then, and what was published still is of the contract."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from activities import journal
from schemas.contract.__main__ import documents
from schemas.event_types import EventType
from schemas.outbound import OUTBOUND as OUTBOUND_TYPES
from schemas.outbound import OUTBOUND_EVENT, OutboundType, cloudevents_headers
from schemas.states import OrderState, ReasonCode
from tests.contract.messages_to_record import inbound_messages, outbound_events
from tests.contract.recorded_messages import CONTRACT, INBOUND, OUTBOUND, as_recorded, read_by_the_bridge, recorded
from tests.helpers.messages.comparison import differences

SENT = recorded(INBOUND)
PUBLISHED = recorded(OUTBOUND)
CONTRACTS: dict[str, dict[str, Any]] = {
    "today's": documents()["asyncapi.json"],
    "version 1's": json.loads(CONTRACT.read_text()),
}


@pytest.mark.parametrize("name", SENT)
def test_a_message_of_version_1_is_read_as_it_was_then(name: str) -> None:
    read = as_recorded(read_by_the_bridge(SENT[name].record))
    assert differences(read, SENT[name].read) == []


@pytest.mark.parametrize("whose", CONTRACTS)
@pytest.mark.parametrize("name", PUBLISHED)
def test_an_event_of_version_1_satisfies_the_contract(name: str, whose: str) -> None:
    record = PUBLISHED[name].record
    headers = {header: (value or b"").decode() for header, value in record.headers}
    satisfies(CONTRACTS[whose], headers, json.loads(record.value or b""))


@pytest.mark.parametrize("name", PUBLISHED)
def test_an_event_of_version_1_would_be_published_alike_today_and_for_its_readers(name: str) -> None:
    """A reader of version 1 finds in today's event all that it found then."""
    record = PUBLISHED[name].record
    then = {header: (value or b"").decode() for header, value in record.headers}
    event = OUTBOUND_EVENT.validate_json(record.value or b"")
    payload = json.loads(journal.stored(event).payload_json)
    headers = cloudevents_headers(event, event_type=event.type, source=then["ce_source"])
    assert differences(payload, json.loads(record.value or b"")) == []
    assert differences(headers, then) == []
    satisfies(CONTRACTS["version 1's"], headers, payload)


def satisfies(document: dict[str, Any], headers: dict[str, str], payload: dict[str, Any]) -> None:
    name = OUTBOUND_TYPES[OutboundType(payload["type"])].body.__name__
    for part, content in (("headers", headers), ("payload", payload)):
        schema = {"$ref": f"#/components/messages/{name}/{part}", **document}
        jsonschema.Draft202012Validator(schema).validate(content)


def test_every_type_state_and_reason_is_recorded() -> None:
    events = [json.loads(one.record.value or b"") for one in PUBLISHED.values()]
    assert {event["type"] for event in events} == set(OutboundType)
    assert {event["state"] for event in events} >= set(OrderState)
    assert {event["reason"] for event in events} >= set(ReasonCode)
    assert {one.record.topic for one in SENT.values()} == set(EventType)


def test_all_that_is_to_be_recorded_is() -> None:
    assert set(SENT) >= set(inbound_messages()), "run: make record-messages"
    assert set(PUBLISHED) >= set(outbound_events()), "run: make record-messages"


@pytest.mark.parametrize("path", [INBOUND, OUTBOUND], ids=lambda path: path.stem)
def test_no_two_recordings_have_one_name(path: Path) -> None:
    assert len(recorded(path)) == len(path.read_text().splitlines())
