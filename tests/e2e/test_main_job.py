"""The main job, as a user sees it: messages by Kafka's own tools, and all three stores read back."""

import json
import secrets
from typing import Any

import pytest

from schemas.event_types import EventType
from stack import Tools
from tests.helpers.checker.checker import assert_no_violations
from tests.helpers.checker.evidence import Evidence, source_of
from tests.helpers.messages.kafka_io import Outgoing
from tests.helpers.messages.messages import MALFORMATIONS, message_of
from tests.helpers.system.system import OrderSystem
from workflows.names import order_workflow_id

COMPLETED_PATH = (
    "RECEIVED",
    "VALIDATED",
    "APPROVED",
    "PAID",
    "PACKAGE_PREPARED",
    "CARRIER_DISPATCHED",
    "SHIPPED",
    "COMPLETED",
)


@pytest.fixture
def order_id() -> str:
    return f"o-{secrets.token_hex(6)}"


async def send(system: OrderSystem, event_type: EventType, body: dict[str, Any]) -> tuple[str, int, int]:
    message = message_of(event_type, body)
    (coordinates,) = await system.produce([Outgoing(system.topic_of(event_type), message.value, message.key)])
    return coordinates


async def complete(system: OrderSystem, order_id: str, **fields: Any) -> None:
    body = {"order_id": order_id, "payment_id": f"p-{order_id}", **fields}
    await send(system, EventType.ORDER_CREATED, body)
    await send(system, EventType.ORDER_APPROVED, {"order_id": order_id})
    await system.wait_until_states(order_id, *COMPLETED_PATH)
    await system.wait_until_idle()


def rejections_of(evidence: Evidence, order_id: str) -> list[tuple[str, str]]:
    rejected = [body for body in evidence.published_of(order_id) if body["type"] == "order.event_rejected"]
    return [(body["cause"]["type"], body["reason"]) for body in rejected]


async def test_lines_typed_into_the_console_producer_become_a_completed_order(
    system: OrderSystem, tools: Tools, order_id: str
) -> None:
    created = json.dumps({"order_id": order_id, "payment_id": f"p-{order_id}", "amount": 1250, "currency": "EUR"})
    await system.type_into_console_producer(tools, system.topic_of(EventType.ORDER_CREATED), created)
    await system.wait_until_states(order_id, "RECEIVED", "VALIDATED")
    approved = f'{order_id}:{{"order_id": "{order_id}", "approved_by": "a person"}}'
    topic = system.topic_of(EventType.ORDER_APPROVED)
    await system.type_into_console_producer(tools, topic, approved, with_keys=True)
    await system.wait_until_states(order_id, *COMPLETED_PATH)
    await system.wait_until_idle()

    evidence = await system.evidence()
    row = evidence.order(order_id)
    assert row is not None
    assert (row.state, row.amount, row.currency, row.last_sequence) == ("COMPLETED", 1250, "EUR", 8)
    assert [body["sequence"] for body in evidence.published_of(order_id)] == list(range(1, 9))
    assert [
        (audit.sequence, json.loads(audit.payload_json)) for audit in evidence.audit if audit.order_id == order_id
    ] == [(body["sequence"], body) for body in evidence.published_of(order_id)]
    assert [run.status for run in evidence.runs_of(order_id)] == ["COMPLETED"]
    result = await system.client.get_workflow_handle(order_workflow_id(order_id)).result()
    assert (result["state"], result["last_sequence"]) == ("COMPLETED", 8)
    assert [(entry.kind, entry.amount) for entry in evidence.ledger if entry.payment_id == f"p-{order_id}"] == [
        ("charge", 1250)
    ]
    assert_no_violations(evidence)


async def test_an_approval_that_comes_before_its_order_counts(system: OrderSystem, order_id: str) -> None:
    await send(system, EventType.ORDER_APPROVED, {"order_id": order_id})
    await system.wait_until_drained()
    await system.wait_until(
        lambda: _runs_is(system, order_id, ["RUNNING"]), 30.0, lambda: "a run that holds the approval"
    )
    await send(system, EventType.ORDER_CREATED, {"order_id": order_id, "payment_id": f"p-{order_id}"})
    await system.wait_until_states(order_id, *COMPLETED_PATH)


async def _runs_is(system: OrderSystem, order_id: str, statuses: list[str]) -> bool:
    return [run.status for run in await system.runs(f'WorkflowId = "{order_workflow_id(order_id)}"')] == statuses


async def test_the_same_message_twice_has_its_effect_once(system: OrderSystem, tools: Tools, order_id: str) -> None:
    created = json.dumps({"order_id": order_id, "payment_id": f"p-{order_id}", "event_id": f"{order_id}-created"})
    approved = json.dumps({"order_id": order_id, "event_id": f"{order_id}-approved"})
    for _ in range(2):
        await system.type_into_console_producer(tools, system.topic_of(EventType.ORDER_CREATED), created, created)
        await system.type_into_console_producer(tools, system.topic_of(EventType.ORDER_APPROVED), approved, approved)
        await system.wait_until_states(order_id, *COMPLETED_PATH)
        await system.wait_until_idle()

    evidence = await system.evidence()
    assert len([record for record in evidence.inputs if order_id.encode() in (record.value or b"")]) == 8
    assert len(evidence.published_of(order_id)) == 8
    assert [row.outcome for row in evidence.inbound if row.order_id == order_id] == ["applied", "applied"]
    assert [run.status for run in evidence.runs_of(order_id)] == ["COMPLETED"]
    assert len([entry for entry in evidence.ledger if entry.payment_id == f"p-{order_id}"]) == 1


async def test_an_event_after_the_end_is_refused_and_starts_nothing(system: OrderSystem, order_id: str) -> None:
    await complete(system, order_id)
    late = await send(system, EventType.ORDER_CANCELLED, {"order_id": order_id})
    await system.wait_until_idle()
    await system.wait_until(lambda: _was_refused(system, order_id), 30.0, lambda: "an order.event_rejected")

    evidence = await system.evidence()
    last = evidence.published_of(order_id)[-1]
    assert (last["sequence"], last["state"]) == (9, "COMPLETED")
    assert last["cause"]["event_id"].rpartition(":")[0] == ":".join(map(str, late))
    assert rejections_of(evidence, order_id) == [("order.cancelled", "order_closed")]
    assert [run.status for run in evidence.runs_of(order_id)] == ["COMPLETED"]
    assert_no_violations(evidence)


async def _was_refused(system: OrderSystem, order_id: str) -> bool:
    published = Evidence(input_topics={}, published=tuple(await system.published()))
    return bool(rejections_of(published, order_id))


async def test_each_bad_record_is_set_aside_with_its_bytes_and_delays_no_other(
    system: OrderSystem, order_id: str
) -> None:
    topic = system.topic_of(EventType.ORDER_CREATED)
    messages = {kind: MALFORMATIONS[kind].make(f"{order_id}-bad") for kind in MALFORMATIONS}
    coordinates = await system.produce(
        Outgoing(topic, message.value, message.key, message.headers, partition=0) for message in messages.values()
    )
    await complete(system, order_id)

    evidence = await system.evidence()
    sources = {record.coordinates: record for record in evidence.inputs}
    letters = {source_of(letter): letter for letter in evidence.dead_letters}
    for kind, where in zip(messages, coordinates, strict=True):
        letter, source = letters[where], sources[where]
        assert letter.header("dlq_error_code") == MALFORMATIONS[kind].error_code, kind
        assert (letter.key, letter.value) == (source.key, source.value), kind
    assert evidence.order(f"{order_id}-bad") is None
    assert_no_violations(evidence)


async def test_an_address_may_change_until_shipping_and_is_where_the_package_goes(
    system: OrderSystem, order_id: str
) -> None:
    await send(
        system,
        EventType.ORDER_CREATED,
        {"order_id": order_id, "payment_id": f"p-{order_id}", "shipping_address": {"city": "Lier", "country": "BE"}},
    )
    await system.wait_until_states(order_id, "RECEIVED", "VALIDATED")
    await send(system, EventType.ORDER_ADDRESS_UPDATED, {"order_id": order_id, "address": {"city": "Ghent"}})
    await system.wait_until(lambda: _address_changed(system, order_id), 30.0, lambda: "an order.address_changed")
    await send(system, EventType.ORDER_APPROVED, {"order_id": order_id})
    await system.wait_until_states(order_id, *COMPLETED_PATH)
    await system.wait_until_idle()

    evidence = await system.evidence()
    assert [one.address for one in evidence.shipments if one.order_id == order_id] == [
        {"city": "Ghent", "country": "BE"}
    ]


async def _address_changed(system: OrderSystem, order_id: str) -> bool:
    published = Evidence(input_topics={}, published=tuple(await system.published()))
    return any(body["type"] == "order.address_changed" for body in published.published_of(order_id))


async def test_an_order_that_nobody_approves_expires(system: OrderSystem, order_id: str) -> None:
    await send(system, EventType.ORDER_CREATED, {"order_id": order_id, "payment_id": f"p-{order_id}"})
    await system.wait_until_states(order_id, "RECEIVED", "VALIDATED", "EXPIRED", within_seconds=120.0)
    await system.wait_until_idle()
    assert [entry for entry in (await system.evidence()).ledger if entry.payment_id == f"p-{order_id}"] == []
