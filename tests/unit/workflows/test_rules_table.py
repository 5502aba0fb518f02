"""The rules as a table, written out a second time, and the page that is made from them."""

from datetime import UTC, datetime, timedelta
from inspect import iscoroutinefunction
from pathlib import Path

import pytest

from schemas.event_types import EventType
from schemas.inbound import InboundEvent
from schemas.states import FINAL_STATES, OrderState, OrderStep, ReasonCode
from workflows.life.event_table import render, state_at, valid_event
from workflows.life.ledger import answer, reject_held
from workflows.life.rules import HELD_EVENTS_MAX, decide
from workflows.life.state import OrderRunState
from workflows.life.steps import STEPS, Verdict
from workflows.walk import Walk

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
PAGE = Path(__file__).parents[3] / "docs" / "contract" / "state-event-table.md"
OPEN_TABLE = """
AWAITING_ORDER            apply            hold              hold             hold
RECEIVING                 hold             hold              hold             hold
VALIDATING                duplicate_order  hold              apply            apply
AWAITING_MANUAL_APPROVAL  duplicate_order  apply             apply            apply
CHARGING_PAYMENT          duplicate_order  already_approved  already_charged  apply
SHIPPING                  duplicate_order  already_approved  already_charged  already_shipping
REFUNDING_PAYMENT         duplicate_order  already_approved  already_charged  already_shipping
MARKING_SHIPPED           duplicate_order  already_approved  already_charged  already_shipping
ORPHANED                  apply            unknown_order     unknown_order    unknown_order
"""
EXPECTED = {line.split()[0]: line.split()[1:] for line in OPEN_TABLE.strip().splitlines()}


@pytest.mark.parametrize("step", list(OrderStep))
def test_each_step_decides_each_event_as_written(step: OrderStep) -> None:
    decisions = [decide(state_at(step), valid_event(event_type), NOW) for event_type in EventType]
    found = [str(decision.reason) if decision.reason else decision.verdict.name.lower() for decision in decisions]
    assert found == EXPECTED.get(step, ["order_closed"] * len(EventType))


def test_the_page_in_docs_is_made_from_the_rules() -> None:
    assert PAGE.read_text() == render(), "renew it: make contract"


def test_every_step_has_its_row_and_every_row_a_rule_for_each_type_of_event() -> None:
    assert set(STEPS) == set(OrderStep)
    assert all(set(row.rules) == set(EventType) for row in STEPS.values())


def test_the_ends_are_the_final_states_and_the_orphan() -> None:
    ends = {step for step, row in STEPS.items() if row.is_end}
    assert ends == {OrderStep(state.value) for state in FINAL_STATES} | {OrderStep.ORPHANED}


def test_every_step_but_an_end_says_what_it_waits_for() -> None:
    assert {step for step, row in STEPS.items() if row.waits_for is None} == {
        step for step, row in STEPS.items() if row.is_end
    }


def test_a_step_that_moves_money_or_goods_publishes_first() -> None:
    """I6: what led to the effect is in the records before the effect, or a later run could decide otherwise."""
    assert {step for step, row in STEPS.items() if row.publishes_first} == {
        OrderStep.CHARGING_PAYMENT,
        OrderStep.SHIPPING,
        OrderStep.REFUNDING_PAYMENT,
    }


def test_each_step_with_work_has_a_method_of_the_walk_and_the_walk_no_other() -> None:
    named = [row.method for row in STEPS.values() if row.method is not None]
    of_no_step = {"look_up", "answer_as_late"}
    public = {name for name, member in vars(Walk).items() if iscoroutinefunction(member) and not name.startswith("_")}
    assert len(named) == len(set(named))
    assert set(named) == public - of_no_step


def test_a_step_waits_until_the_time_that_its_row_names() -> None:
    times = {"order_deadline": NOW, "approval_deadline": NOW + timedelta(days=1)}
    found = {step: OrderRunState(order_id="o-1", step=step, **times).deadline for step in OrderStep}
    assert found == dict.fromkeys(OrderStep) | {
        OrderStep.AWAITING_ORDER: times["order_deadline"],
        OrderStep.AWAITING_MANUAL_APPROVAL: times["approval_deadline"],
    }


@pytest.mark.parametrize("step", [step for step in OrderStep if step is not OrderStep.RECEIVING])
@pytest.mark.parametrize("event_type", list(EventType))
def test_an_event_that_was_decided_before_is_a_duplicate_at_every_step(step: OrderStep, event_type: EventType) -> None:
    state = state_at(step)
    state.remember("e-1", event_type)
    assert decide(state, valid_event(event_type), NOW).verdict is Verdict.DUPLICATE
    malformed = InboundEvent(event_id="e-1", type=event_type.value, malformed=True)
    assert decide(state, malformed, NOW).verdict is Verdict.DUPLICATE, "the same id with another body is the same event"


@pytest.mark.parametrize("step", [step for step in OrderStep if step is not OrderStep.RECEIVING])
@pytest.mark.parametrize("event_type", list(EventType))
def test_an_id_that_was_decided_for_another_type_is_refused_at_every_step(
    step: OrderStep, event_type: EventType
) -> None:
    state = state_at(step)
    state.remember("e-1", next(other for other in EventType if other is not event_type))
    event = valid_event(event_type)
    decision = decide(state, event, NOW)
    assert (decision.verdict, decision.reason) == (Verdict.REJECT, ReasonCode.EVENT_ID_REUSED)
    state.remember("e-1", event_type, reused=True)
    assert decide(state, event, NOW).verdict is Verdict.DUPLICATE, "it is refused once"


def test_of_an_id_on_two_types_the_first_counts_also_while_it_is_held_and_there_is_room_for_no_more() -> None:
    state = state_at(OrderStep.AWAITING_ORDER)
    approval, cancel = valid_event(EventType.ORDER_APPROVED), valid_event(EventType.ORDER_CANCELLED)
    answer(state, approval, NOW)
    answer(state, cancel, NOW)
    assert state.held == [approval, cancel]
    state.held = [approval, *[valid_event(EventType.ORDER_CANCELLED, "e-2")] * HELD_EVENTS_MAX]
    answer(state, cancel, NOW)
    assert [one.outcome.reason for one in state.unpublished if one.outcome] == [ReasonCode.EVENT_ID_REUSED]
    reject_held(state, ReasonCode.UNKNOWN_ORDER, NOW)
    reasons = [one.outcome.reason for one in state.unpublished if one.outcome]
    assert reasons[:2] == [ReasonCode.EVENT_ID_REUSED, ReasonCode.UNKNOWN_ORDER], "the first is not taken for a reuse"


@pytest.mark.parametrize("step", [step for step in OrderStep if step is not OrderStep.RECEIVING])
@pytest.mark.parametrize(
    "event",
    [
        InboundEvent(event_id="e", type="order.created", body={"order_id": "o-1"}),
        InboundEvent(event_id="e", type="order.created", body={"payment_id": "p-1", "amount": -1}),
        InboundEvent(event_id="e", type="order.approved", body={"order_id": "o-2"}),
        InboundEvent(event_id="e", type="order.approved", body={"note": 1}),
        InboundEvent(event_id="e", type="order.cancelled", malformed=True),
        InboundEvent(event_id="e", type="order.address_updated", body={"address": {}}),
        InboundEvent(event_id="e", type="order.address_updated", body={"address": {"country": None}}),
        InboundEvent(event_id="e", type="no.such.type", body={"order_id": "o-1"}),
    ],
    ids=lambda event: f"{event.type} {event.body}",
)
def test_an_event_that_is_not_valid_is_refused_at_every_step(step: OrderStep, event: InboundEvent) -> None:
    assert decide(state_at(step), event, NOW).reason is ReasonCode.INVALID


def test_a_whole_order_is_read_from_a_signal() -> None:
    body = {
        "payment_id": "p-1",
        "items": [{"sku": "a", "quantity": 2, "unit_amount": 50}],
        "occurred_at": "2026-01-01T00:00:00Z",
        "shipping_address": {"city": "Oslo"},
    }
    event = InboundEvent(event_id="e", type="order.created", body=body)
    assert decide(state_at(OrderStep.AWAITING_ORDER), event, NOW).verdict is Verdict.APPLY


@pytest.mark.parametrize(("seconds", "reason"), [(-1, ReasonCode.STALE), (0, None), (1, None), (None, None)], ids=str)
@pytest.mark.parametrize("where", ["envelope", "body"])
def test_an_address_is_stale_by_its_event_time(seconds: int | None, reason: ReasonCode | None, where: str) -> None:
    state = state_at(OrderStep.AWAITING_MANUAL_APPROVAL)
    state.address_updated_at = NOW - timedelta(hours=1)
    time = None if seconds is None else state.address_updated_at + timedelta(seconds=seconds)
    event = valid_event(EventType.ORDER_ADDRESS_UPDATED)
    if where == "envelope":
        event = event.model_copy(update={"occurred_at": time})
    elif time is not None:
        event = event.model_copy(update={"body": {**event.body, "occurred_at": time.isoformat()}})
    assert decide(state, event, NOW).reason is reason


def test_a_second_approval_in_the_same_moment_is_refused_and_a_cancel_is_not() -> None:
    state = state_at(OrderStep.AWAITING_MANUAL_APPROVAL)
    state.state = OrderState.APPROVED
    assert decide(state, valid_event(EventType.ORDER_APPROVED), NOW).reason is ReasonCode.ALREADY_APPROVED
    assert decide(state, valid_event(EventType.ORDER_CANCELLED), NOW).verdict is Verdict.APPLY


def test_the_events_that_wait_for_an_order_are_bounded() -> None:
    state = state_at(OrderStep.AWAITING_ORDER)
    state.held = [valid_event(EventType.ORDER_APPROVED, f"e-{number}") for number in range(HELD_EVENTS_MAX)]
    late = valid_event(EventType.ORDER_APPROVED, "one too many")
    assert decide(state, late, NOW).reason is ReasonCode.UNKNOWN_ORDER
    assert decide(state, valid_event(EventType.ORDER_CREATED, "the order"), NOW).verdict is Verdict.APPLY


SENT_FOR_ANOTHER = [(step, event_type) for step in OrderStep for event_type in EventType]


@pytest.mark.parametrize(("step", "event_type"), SENT_FOR_ANOTHER)
def test_an_event_that_was_sent_for_the_order_as_it_was_is_refused_only_where_it_would_be_applied(
    step: OrderStep, event_type: EventType
) -> None:
    state = state_at(step)
    state.last_sequence = 4
    as_it_is = valid_event(event_type).model_copy(update={"expected_sequence": 4})
    as_it_was = valid_event(event_type).model_copy(update={"expected_sequence": 3})
    without = decide(state, valid_event(event_type), NOW)
    assert decide(state, as_it_is, NOW) == without
    changed = decide(state, as_it_was, NOW)
    if without.verdict is Verdict.APPLY:
        assert (changed.verdict, changed.reason) == (Verdict.REJECT, ReasonCode.ORDER_CHANGED)
    else:
        assert changed == without


def test_an_early_event_is_judged_by_the_sequence_that_the_order_has_when_its_turn_comes() -> None:
    state = state_at(OrderStep.AWAITING_ORDER)
    early = valid_event(EventType.ORDER_APPROVED).model_copy(update={"expected_sequence": 2})
    answer(state, early, NOW)
    assert state.held == [early]
    for last_sequence, reason in ((2, None), (3, ReasonCode.ORDER_CHANGED)):
        waiting = state_at(OrderStep.AWAITING_MANUAL_APPROVAL)
        waiting.last_sequence = last_sequence
        assert decide(waiting, early, NOW).reason is reason


def test_an_event_that_was_decided_before_is_a_duplicate_whatever_sequence_it_was_sent_for() -> None:
    state = state_at(OrderStep.AWAITING_MANUAL_APPROVAL)
    state.remember("e-1", EventType.ORDER_APPROVED)
    again = valid_event(EventType.ORDER_APPROVED).model_copy(update={"expected_sequence": 99})
    assert decide(state, again, NOW).verdict is Verdict.DUPLICATE
