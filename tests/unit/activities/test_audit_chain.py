"""The chain of an order's events: what it covers, and that erasing a person leaves it whole."""

import json
from typing import Any

import pytest

from activities.audit_chain import entry, is_without_person, kept_form, link, payload_digest, sealed
from activities.personal_data import without_person
from schemas.outbound import OUTBOUND, OUTBOUND_EVENT, OutboundType

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def full(event_type: OutboundType) -> dict[str, Any]:
    """The contract's example, with everything in it that can be said of a person."""
    event = {**OUTBOUND[event_type].example}
    event["cause"] = {**event["cause"], "by": "Zoë", "note": "ring twice"}
    if event_type is OutboundType.STATE_CHANGED:
        event["tracking_id"] = "TRACK-77"
        event["adjustments"] = [{"kind": "discount", "amount": -5, "description": "for my wife"}]
    return event


def text(event: dict[str, Any]) -> str:
    return OUTBOUND_EVENT.validate_json(json.dumps(event)).model_dump_json()


@pytest.mark.parametrize("event_type", OutboundType)
def test_erasing_a_person_changes_nothing_of_what_is_kept(event_type: OutboundType) -> None:
    before = text(full(event_type))
    after = without_person(OUTBOUND_EVENT.validate_json(before)).model_dump_json()

    assert before != after
    assert kept_form(before) == kept_form(after)
    assert not is_without_person(before)
    assert is_without_person(after)
    for word in ("Zoë", "ring twice", "TRACK-77", "for my wife", "Example Street"):
        assert word not in kept_form(before).decode()


@pytest.mark.parametrize("event_type", OutboundType)
def test_a_field_that_a_later_version_writes_empty_changes_nothing_of_what_is_kept(event_type: OutboundType) -> None:
    before = text(full(event_type))
    later = json.dumps({**json.loads(before), "new_field": None, "new_list": [], "new_object": {"a": None}})

    assert kept_form(before) == kept_form(later)


@pytest.mark.parametrize(
    ("event_type", "name"),
    [(event_type, name) for event_type in OutboundType for name, value in full(event_type).items() if value],
)
def test_every_field_that_says_something_is_covered(event_type: OutboundType, name: str) -> None:
    event = full(event_type)
    one, other = json.dumps(event), json.dumps({**event, name: "something else"})
    salt = b"s" * 16

    assert payload_digest(salt, one) != payload_digest(salt, other)
    if name not in ("tracking_id", "address", "cause", "adjustments"):
        assert kept_form(one) != kept_form(other)


def test_the_link_covers_the_one_before_the_bytes_and_the_trace() -> None:
    payload = text(full(OutboundType.STATE_CHANGED))
    seal = sealed(payload, TRACE)

    assert seal.payload_digest == payload_digest(seal.salt, payload)
    assert seal.entry == entry(seal.payload_digest, payload, TRACE)
    assert seal.entry != entry(seal.payload_digest, payload, None)
    assert len({link(None, seal.entry), link(b"a" * 32, seal.entry), link(b"b" * 32, seal.entry)}) == 3
    # The same event recorded twice has two digests, so that nobody can try out what was erased.
    assert sealed(payload, TRACE).payload_digest != seal.payload_digest
