"""The generator: one seed is one plan, and what it calls good or bad the contract calls so too."""

import json
from dataclasses import replace

import pytest

from bridge import Record, RefusedError
from orders.mapping import DecodedRecord, OrderMapping
from schemas.event_types import EventType
from schemas.states import FINAL_STATES, InboundOutcome, ReasonCode
from tests.helpers.checker.evidence import Evidence, InboundRow, OrderRow, identity_of
from tests.helpers.checker.sample_evidence import letter_of
from tests.helpers.messages.generator import SCENARIOS, make_plan
from tests.helpers.messages.kafka_io import Outgoing, StoredRecord
from tests.helpers.messages.messages import MALFORMATIONS, Message
from tests.helpers.messages.plan import PlannedRecord
from tests.helpers.messages.raw_batches import as_consumed
from tests.helpers.system.campaign import differences_from_plan

TOPICS = {str(event_type): event_type for event_type in EventType}
MAPPING = OrderMapping(TOPICS)


def record_of(planned: PlannedRecord, offset: int) -> Record:
    return delivered(planned.message, str(planned.event_type), offset)


def delivered(message: Message, topic: str = "order.created", offset: int = 0) -> Record:
    return Record.from_consumed(as_consumed(Outgoing(topic, message.value, message.key, message.headers), offset))


def decode_as_the_bridge(record: Record) -> DecodedRecord:
    if record.defect is not None:
        raise RefusedError(record.defect)
    return MAPPING.read(record)


def test_one_seed_is_one_plan() -> None:
    assert make_plan(7, 60) == make_plan(7, 60)
    assert make_plan(7, 60) != make_plan(8, 60)


def test_a_large_enough_plan_has_every_scenario() -> None:
    plan = make_plan(1, len(SCENARIOS))
    assert {order.scenario for order in plan.orders} == set(SCENARIOS)


@pytest.mark.parametrize("seed", range(20))
def test_a_record_is_decodable_exactly_where_the_plan_says_so(seed: int) -> None:
    for offset, planned in enumerate(make_plan(seed, 60).records):
        record = record_of(planned, offset)
        dead = [fate.removeprefix("dead ") for fate in planned.fates if fate.startswith("dead ")]
        if dead:
            with pytest.raises(RefusedError) as caught:
                decode_as_the_bridge(record)
            assert [str(caught.value.refusal.code)] == dead
            continue
        decoded = decode_as_the_bridge(record)
        stored = StoredRecord(
            record.topic, record.partition, offset, record.value, record.key, record.headers, record.timestamp_ms
        )
        assert identity_of(stored) == (decoded.order_id, decoded.event.event_id)
        assert decoded.order_id == planned.order_id


@pytest.mark.parametrize("kind", MALFORMATIONS)
def test_each_kind_of_bad_message_has_its_own_error_code(kind: str) -> None:
    message = MALFORMATIONS[kind].make("o-1")
    record = delivered(message)
    with pytest.raises(RefusedError) as caught:
        decode_as_the_bridge(record)
    assert str(caught.value.refusal.code) == MALFORMATIONS[kind].error_code


@pytest.mark.parametrize("seed", range(5))
def test_plans_speak_of_states_and_reasons_that_exist(seed: int) -> None:
    plan = make_plan(seed, 100)
    assert {state for order in plan.orders for state in order.states} <= {None, *FINAL_STATES}
    fates = {fate for record in plan.records for fate in record.fates if not fate.startswith("dead ")}
    reasons = {fate.split()[1] for fate in fates if " " in fate}
    assert {fate.split()[0] for fate in fates} <= set(InboundOutcome)
    assert reasons <= set(ReasonCode)


@pytest.mark.parametrize("seed", range(5))
def test_records_that_come_again_are_byte_for_byte_the_same(seed: int) -> None:
    repeated = [order.order_id for order in make_plan(seed, 60).orders if order.scenario == "repeated"]
    records = [one for one in make_plan(seed, 60).records if one.order_id in repeated]
    assert repeated
    assert len({(one.event_type, one.message) for one in records}) * 2 <= len(records)


def test_a_difference_from_the_plan_is_told() -> None:
    plan = make_plan(3, 1)
    (order,) = plan.orders
    inputs = tuple(
        StoredRecord(str(one.event_type), 0, offset, one.message.value, one.message.key, one.message.headers)
        for offset, one in enumerate(plan.records)
    )
    produced = dict(zip([record.coordinates for record in inputs], plan.records, strict=True))
    decided = tuple(
        InboundRow(identity[1], identity[0], record.topic, "applied")
        for record in inputs
        if (identity := identity_of(record)) is not None
    )
    as_planned = Evidence(
        input_topics=TOPICS, inputs=inputs, inbound=decided, orders=(OrderRow(order.order_id, "COMPLETED", 8),)
    )
    assert differences_from_plan(plan, produced, as_planned) == []

    expired = replace(as_planned, orders=(OrderRow(order.order_id, "EXPIRED", 3),))
    assert "is EXPIRED" in "".join(differences_from_plan(plan, produced, expired))
    lost = replace(as_planned, inbound=decided[1:])
    assert "is 'lost'" in "".join(differences_from_plan(plan, produced, lost))
    dead = replace(as_planned, dead_letters=(letter_of(inputs[0]),))
    assert "is 'dead not_json'" in "".join(differences_from_plan(plan, produced, dead))
    gone = replace(as_planned, inputs=inputs[1:])
    assert "is not in Kafka" in "".join(differences_from_plan(plan, produced, gone))


def test_messages_are_written_in_all_encodings() -> None:
    records = make_plan(5, 100).records
    binary = [one for one in records if any(name == "ce_id" for name, _ in one.message.headers)]
    structured = [one for one in records if b"cloudevents+json" in repr(one.message.headers).encode()]
    bare = [one for one in records if not one.message.headers and one.message.value]
    assert binary
    assert structured
    assert any(b"event_id" in json.dumps(str(one.message.value)).encode() for one in bare)
    assert any(one.message.key is None for one in records)
