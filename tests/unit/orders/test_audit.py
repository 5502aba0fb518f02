"""What an audit says of events and checkpoints, and what it refuses to look at."""

import json
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from activities.adapters.postgres.audit import AuditedEvent, Held
from activities.audit_chain import entry, link, payload_digest
from orders.errors import UsageError
from orders.operations.audit.chain_check import Stretch, check_events
from orders.operations.audit.checkpoints import _compare, compare_with, write_checkpoint
from orders.operations.audit.findings import Audit
from orders.operations.audit.verifying import Scope, verify
from schemas.outbound import OUTBOUND, OUTBOUND_EVENT, OutboundType, outbound_event_id

NOBODY: Any = None
"""In the place of the database, where a refusal comes before it is asked."""
SALT = b"s" * 16


def recorded_event() -> tuple[str, AuditedEvent]:
    """An order's first event as it is recorded, and the order's id."""
    said = OUTBOUND_EVENT.validate_json(json.dumps(OUTBOUND[OutboundType.STATE_CHANGED].example))
    payload = said.model_dump_json()
    digest = payload_digest(SALT, payload)
    return said.order_id, AuditedEvent(
        sequence=said.sequence,
        event_id=outbound_event_id(said.order_id, said.sequence),
        type=said.type,
        at=said.occurred_at,
        payload=payload,
        traceparent=None,
        salt=SALT,
        payload_digest=digest,
        link=link(None, entry(digest, payload, None)),
    )


def found(**changes: Any) -> list[str]:
    """What an audit says of the event with these changes."""
    order_id, event = recorded_event()
    audit = Audit()
    check_events(audit, Stretch(order_id, event.sequence, event.sequence, None), [replace(event, **changes)])
    return [one.detail for one in audit.findings]


def test_an_event_as_it_was_recorded_is_whole() -> None:
    assert found() == []


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"payload": "no JSON"}, "its payload is no event"),
        ({"payload": "[]"}, "its payload is no event"),
        ({"payload": "{}"}, "its payload is no event"),
        ({"type": "other"}, "its payload has another order, number, type or time than its row"),
        ({"at": datetime.fromisoformat("2000-01-01T00:00:00Z")}, "another order, number, type or time than its row"),
        ({"event_id": "other"}, "its id is not the one of this order and number"),
        ({"salt": None}, "personal data was erased from it, and something else put in its place"),
    ],
)
def test_what_was_changed_in_an_event_is_said(changes: dict[str, Any], sentence: str) -> None:
    (said,) = found(**changes)
    assert said.endswith(sentence)


def test_another_hash_than_the_checkpoint_s_is_said() -> None:
    audit = Audit()
    _compare(audit, "o-1", 3, "aa", Held(True, True, b"\xbb", 0, None))
    _compare(audit, "o-2", 3, "aa", Held(True, True, b"\xaa", 0, None))
    assert [(one.order_id, one.detail) for one in audit.findings] == [
        ("o-1", "its hash is not the one of the checkpoint")
    ]


async def test_a_checkpoint_is_written_into_no_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no folder"):
        await write_checkpoint(NOBODY, tmp_path / "none" / "checkpoint")


@pytest.mark.parametrize("text", ["", "no JSON", "[]", "7"])
async def test_a_file_that_is_no_checkpoint_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "checkpoint"
    path.write_text(text)
    with pytest.raises(UsageError, match="is no checkpoint: `orders audit checkpoint` writes them"):
        await compare_with(Audit(), NOBODY, path, None)


async def test_an_order_and_a_time_are_not_verified_together() -> None:
    with pytest.raises(UsageError, match="name an order or give --since, not both"):
        await verify(NOBODY, Scope(order_id="o-1", since=datetime.fromisoformat("2026-11-26T00:00:00Z")))
