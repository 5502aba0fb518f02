"""The state of a run under any sequence of events and steps: numbers, batches, and what continue-as-new carries."""

from datetime import UTC, datetime, timedelta
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.activity_io import AnswerLateEvents, DecidedEvent, OrderProjection, OrderSnapshot
from schemas.event_types import EventType, fingerprint_of
from schemas.inbound import InboundEvent
from schemas.outbound import Cause, OrderStateChanged, OutboundEvent
from schemas.states import FINAL_STATES, InboundOutcome, OrderState, OrderStep, ReasonCode
from workflows.life.batches import BATCH_BYTES_MAX, BATCH_MAX, next_fitting
from workflows.life.event_table import state_at, valid_event
from workflows.life.ledger import (
    EFFECTS,
    Effect,
    answer_inbox,
    batch_was_published,
    change_state,
    next_batch,
    reach_milestone,
    reject_held,
)
from workflows.life.recovery import recover
from workflows.life.state import (
    SEEN_EVENTS_MAX,
    DefectError,
    OrderRunInput,
    OrderRunState,
    Unpublished,
    with_undecided_only,
)
from workflows.life.steps import NEXT_STEPS, STEPS

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
STEP_FORWARD = "step forward"
arrivals = st.tuples(st.sampled_from(EventType), st.integers(0, 9).map("e-{}".format))
plays = st.lists(st.one_of(arrivals, st.just(STEP_FORWARD)), max_size=40)


def step_forward(state: OrderRunState) -> None:
    """What the run does next on the straight road."""
    following = {
        OrderState.RECEIVED: OrderState.VALIDATED,
        OrderState.APPROVED: OrderState.PAID,
        OrderState.CARRIER_DISPATCHED: OrderState.SHIPPED,
        OrderState.SHIPPED: OrderState.COMPLETED,
    }
    if state.step is OrderStep.RECEIVING:
        change_state(state, OrderState.RECEIVED, NOW, cause=state.created_by)
        state.step = OrderStep.VALIDATING
        state.release_held()
    elif state.state is OrderState.APPROVED and state.step is OrderStep.AWAITING_MANUAL_APPROVAL:
        state.step = OrderStep.CHARGING_PAYMENT
    elif state.step is OrderStep.SHIPPING:
        reach_milestone(state, OrderState.CARRIER_DISPATCHED, "track", NOW)
        state.step = OrderStep.MARKING_SHIPPED
    elif state.state in following:
        change_state(state, following[state.state], NOW)
        if not state.is_ended:
            state.step = NEXT_STEPS[state.state]
            state.release_held()


def played(play: list[tuple[EventType, str] | str]) -> OrderRunState:
    state = OrderRunState(order_id="o-1", is_looked_up=True)
    for number, move in enumerate(play):
        if isinstance(move, str):
            step_forward(state)
        else:
            event_type, event_id = move
            state.inbox.append(valid_event(event_type, event_id))
        answer_inbox(state, NOW + timedelta(seconds=number))
    return state


@given(plays)
def test_numbers_have_no_gap_and_each_event_starts_where_the_one_before_ended(
    play: list[tuple[EventType, str] | str],
) -> None:
    state = played(play)
    events = [entry.event for entry in state.unpublished if entry.event is not None]
    assert [event.sequence for event in events] == list(range(1, state.last_sequence + 1))
    previous = None
    for event in events:
        assert event.previous_state == previous
        previous = event.state
    assert previous == state.state


@given(plays)
def test_every_event_is_held_or_decided_and_takes_effect_once(play: list[tuple[EventType, str] | str]) -> None:
    state = played(play)
    outcomes = [entry.outcome for entry in state.unpublished if entry.outcome is not None]
    waiting = len(state.held) + (state.step is OrderStep.RECEIVING)
    assert len(outcomes) + waiting == sum(not isinstance(move, str) for move in play)
    effects = [(one.event_id, one.type) for one in outcomes if one.outcome is not InboundOutcome.DUPLICATE]
    assert len(effects) == len(set(effects))


@given(plays, st.integers(1, 7))
def test_batches_of_any_size_lead_to_the_row_of_the_whole(play: list[tuple[EventType, str] | str], size: int) -> None:
    state = played(play)
    whole = next_batch(state, len(state.unpublished))
    events: list[OutboundEvent] = []
    last = None
    while state.unpublished:
        batch = next_batch(state, size)
        events += batch.events
        if batch.projection is not None and batch.events:
            assert batch.projection.state == batch.events[-1].state, "the row is never ahead of its last event"
        batch_was_published(state, batch, min(size, len(state.unpublished)))
        last = batch.projection or last
    assert tuple(events) == whole.events
    assert (last or whole.projection) == whole.projection


@given(plays)
def test_continue_as_new_carries_everything(play: list[tuple[EventType, str] | str]) -> None:
    request = OrderRunInput(order_id="o-1", continued=played(play))
    assert OrderRunInput.model_validate_json(request.model_dump_json()) == request


@given(plays, st.integers(0, 8))
def test_who_begins_again_has_every_event_that_is_not_recorded(
    play: list[tuple[EventType, str] | str], published: int
) -> None:
    state = played(play)
    size = min(published, len(state.unpublished))
    batch = next_batch(state, size)
    batch_was_published(state, batch, size)
    again = with_undecided_only(state)
    assert (again.step, again.is_looked_up, again.unpublished) == (OrderStep.AWAITING_ORDER, False, [])
    recorded = {(one.event_id, one.type) for one in batch.outcomes if one.outcome is not InboundOutcome.DUPLICATE}
    sent = {(move[1], move[0].value) for move in play if not isinstance(move, str)}
    assert {(event.event_id, event.type) for event in again.inbox} == sent - recorded
    assert len(again.inbox) <= len(play)


def test_a_batch_of_the_largest_texts_fits_into_what_temporal_takes() -> None:
    """Control characters are the texts that grow most on the way: six bytes each."""
    state = OrderRunState(order_id="o-1", is_looked_up=True)
    items = [{"sku": "s" * 470, "quantity": 1, "unit_amount": 1}] * 1_000
    state.inbox.append(InboundEvent(event_id="c", type="order.created", body={"payment_id": "p", "items": items}))
    answer_inbox(state, NOW)
    step_forward(state)
    for number in range(BATCH_MAX):
        address = dict.fromkeys(("street", "city", "state", "zip_code", "country"), "\x01" * 1_000)
        event_id = f"{number:03}" + "\x01" * 509
        state.inbox.append(InboundEvent(event_id=event_id, type="order.address_updated", body={"address": address}))
    answer_inbox(state, NOW)
    sizes = []
    while state.unpublished:
        batch, size = next_fitting(len(state.unpublished), lambda count: next_batch(state, count))
        assert len(batch.model_dump_json().encode()) <= BATCH_BYTES_MAX
        batch_was_published(state, batch, size)
        sizes.append(size)
    assert (sum(sizes), sizes[0]) == (BATCH_MAX + 1, BATCH_MAX // 2)


def test_what_is_too_large_for_any_batch_goes_alone() -> None:
    large = InboundEvent(event_id="e", type="order.created", body={"note": "n" * BATCH_BYTES_MAX})
    batch, size = next_fitting(7, lambda count: AnswerLateEvents(order_id="o-1", events=(large,) * count))
    assert (len(batch.events), size) == (1, 1)


@pytest.mark.parametrize("state", list(OrderState))
def test_a_run_recovers_an_order_at_every_recorded_state(state: OrderState) -> None:
    details = played([(EventType.ORDER_CREATED, "e")]).details
    run = OrderRunState(order_id="o-1")
    recover(
        run,
        OrderSnapshot(
            details=details,
            state=state,
            last_sequence=4,
            decided_events=(DecidedEvent(event_id="e", type="order.approved"),),
        ),
    )
    assert (run.last_sequence, run.state, list(run.seen)) == (4, state, ["e"])
    assert run.is_late is state.is_final
    assert run.row == OrderProjection(state=state, details=run.details) if run.details else False


def test_every_state_that_is_not_final_has_a_step_to_go_on_at() -> None:
    assert set(NEXT_STEPS) == set(OrderState) - FINAL_STATES


@pytest.mark.parametrize("state", [None, OrderState.RECEIVED])
def test_an_order_of_which_nothing_is_recorded_is_not_recovered(state: OrderState | None) -> None:
    details = played([(EventType.ORDER_CREATED, "e")]).details
    run = OrderRunState(order_id="o-1")
    recover(run, OrderSnapshot(details=details, state=state, last_sequence=0))
    assert (run.step, run.state) == (OrderStep.AWAITING_ORDER, None)


def test_a_milestone_reached_twice_is_one_transition() -> None:
    state = OrderRunState(order_id="o-1", step=OrderStep.SHIPPING, state=OrderState.PAID)
    for _ in range(2):
        reach_milestone(state, OrderState.PACKAGE_PREPARED, None, NOW)
    for _ in range(2):
        reach_milestone(state, OrderState.CARRIER_DISPATCHED, "track", NOW)
    reach_milestone(state, OrderState.PACKAGE_PREPARED, None, NOW)
    assert [entry.event.state for entry in state.unpublished if entry.event] == [
        "PACKAGE_PREPARED",
        "CARRIER_DISPATCHED",
    ]
    assert state.tracking_id == "track"


@pytest.mark.parametrize("milestone", [state for state in OrderState if state not in NEXT_STEPS or "SHIP" in state])
def test_a_state_that_is_no_milestone_is_ignored(milestone: OrderState) -> None:
    state = OrderRunState(order_id="o-1", step=OrderStep.SHIPPING, state=OrderState.PAID)
    reach_milestone(state, milestone, "forged", NOW)
    assert (state.state, state.unpublished) == (OrderState.PAID, [])


def named(event_id: str) -> InboundEvent:
    return InboundEvent(event_id=event_id, type="order.approved")


def test_the_events_remembered_are_bounded_and_the_newest() -> None:
    state = OrderRunState(order_id="o-1")
    for number in range(SEEN_EVENTS_MAX + 3):
        state.remember(str(number), "order.approved")
    assert len(state.seen) == SEEN_EVENTS_MAX
    assert not state.has_decided(named("2"))
    assert state.has_decided(named("3"))


def test_long_event_ids_are_told_apart_by_their_hash() -> None:
    state = OrderRunState(order_id="o-1")
    state.remember("x" * 500 + "a", "order.approved")
    assert state.has_decided(named("x" * 500 + "a"))
    assert not state.has_decided(named("x" * 500 + "b"))
    assert all(len(key) == 64 for key in state.seen)


def test_what_was_held_is_refused_when_the_order_ends() -> None:
    state = played([(EventType.ORDER_APPROVED, "a"), (EventType.ORDER_CREATED, "c"), STEP_FORWARD])
    assert [event.event_id for event in state.held] == ["a"]
    change_state(state, OrderState.REJECTED, NOW, reason=ReasonCode.AMOUNT_OVER_LIMIT)
    answer_inbox(state, NOW)
    last = state.unpublished[-1].outcome
    assert last is not None
    assert (last.event_id, last.reason) == ("a", ReasonCode.ORDER_CLOSED)


def test_every_type_of_event_has_its_effect() -> None:
    assert set(EFFECTS) == set(EventType)


def test_an_event_that_is_applied_without_a_known_effect_is_a_defect(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not a cancel: the workflow task fails, and the order stands still until the effect is there."""
    monkeypatch.delitem(cast("dict[EventType, Effect]", EFFECTS), EventType.ORDER_APPROVED)
    state = state_at(OrderStep.AWAITING_MANUAL_APPROVAL)
    state.inbox.append(valid_event(EventType.ORDER_APPROVED))
    with pytest.raises(DefectError, match=r"apply order\.approved, and no effect"):
        answer_inbox(state, NOW)


@pytest.mark.parametrize("step", OrderStep)
@pytest.mark.parametrize("before", [None, *OrderState])
def test_only_the_transitions_of_the_table_are_made(step: OrderStep, before: OrderState | None) -> None:
    for to in OrderState:
        state = OrderRunState(order_id="o-1", step=step, state=before)
        if to in STEPS[step].transitions.get(before, ()):
            change_state(state, to, NOW)
            assert state.state is to
        else:
            with pytest.raises(DefectError, match=f"an order at {step} does not come from {before} to {to}"):
                change_state(state, to, NOW)
            assert (state.state, state.unpublished) == (before, [])


def test_every_state_is_reached_and_every_order_can_end() -> None:
    ways = {(before, to) for row in STEPS.values() for before, after in row.transitions.items() for to in after}
    assert {to for _, to in ways} == set(OrderState)
    assert {before for before, _ in ways} == {None, *OrderState} - FINAL_STATES, "a final state is the last"
    ending: set[OrderState | None] = set(FINAL_STATES)
    for _ in OrderState:
        ending |= {before for before, to in ways if to in ending}
    assert ending == {None, *OrderState}


# Who decided, what was said, and until when ---------------------------------------------------------------------------


def awaiting_approval() -> OrderRunState:
    state = played([(EventType.ORDER_CREATED, "c"), STEP_FORWARD])
    state.approval_deadline = NOW + timedelta(minutes=5)
    change_state(state, OrderState.VALIDATED, NOW)
    state.step = OrderStep.AWAITING_MANUAL_APPROVAL
    return state


def told(state: OrderRunState, event_type: EventType, event_id: str, **body: str) -> Unpublished:
    state.inbox.append(InboundEvent(event_id=event_id, type=event_type.value, body=body))
    answer_inbox(state, NOW)
    return state.unpublished[-1]


def test_who_decided_and_why_is_in_the_cause_of_applied_and_refused_events() -> None:
    state = awaiting_approval()
    told(state, EventType.ORDER_APPROVED, "a", approved_by="ada", note="as agreed")
    told(state, EventType.ORDER_APPROVED, "b", approved_by="bob")
    told(state, EventType.ORDER_CANCELLED, "c", cancelled_by="zed")  # The id of the order's creation.
    told(state, EventType.ORDER_CANCELLED, "d", cancelled_by="cyd", reason="ordered twice")
    told(state, EventType.ORDER_CANCELLED, "e", cancelled_by="dan")
    told(state, EventType.ORDER_APPROVED, "f", approved_by="eve", order_id="another")
    causes = [entry.event.cause for entry in state.unpublished if entry.event and entry.event.sequence > 2]
    assert [(one.event_id, one.by, one.note) for one in causes if one] == [
        ("a", "ada", "as agreed"),
        ("b", "bob", None),
        ("c", "zed", None),
        ("d", "cyd", "ordered twice"),
        ("e", "dan", None),
        ("f", None, None),
    ]


def test_what_was_held_and_is_refused_says_who_sent_it() -> None:
    state = OrderRunState(order_id="o-1", is_looked_up=True)
    told_early = InboundEvent(event_id="a", type="order.approved", body={"approved_by": "ada"})
    state.held = [told_early]
    reject_held(state, ReasonCode.UNKNOWN_ORDER, NOW)
    (entry,) = state.unpublished
    assert entry.event is not None
    assert entry.event.cause == Cause(event_id="a", type="order.approved", by="ada")
    assert entry.outcome is not None
    assert entry.outcome.body_digest == fingerprint_of(told_early, "o-1")


def test_the_approval_s_deadline_is_told_with_validated_and_with_no_other_state() -> None:
    state = awaiting_approval()
    told(state, EventType.ORDER_APPROVED, "a")
    changes = [entry.event for entry in state.unpublished if isinstance(entry.event, OrderStateChanged)]
    assert {one.state: one.approval_deadline for one in changes} == {
        OrderState.RECEIVED: None,
        OrderState.VALIDATED: NOW + timedelta(minutes=5),
        OrderState.APPROVED: None,
    }


def test_the_row_keeps_the_deadline_and_whose_decision_counted_last() -> None:
    state = awaiting_approval()

    def row() -> tuple[datetime | None, str | None]:
        projection = next_batch(state, len(state.unpublished)).projection
        assert projection is not None
        return projection.approval_deadline, projection.decided_by

    deadline = NOW + timedelta(minutes=5)
    assert row() == (deadline, None)
    told(state, EventType.ORDER_ADDRESS_UPDATED, "n", address="none")
    told(state, EventType.ORDER_APPROVED, "a", approved_by="ada")
    assert row() == (deadline, "ada")
    told(state, EventType.ORDER_APPROVED, "b", approved_by="bob")
    assert row() == (deadline, "ada"), "a decision that was refused is nobody's"
    told(state, EventType.ORDER_CANCELLED, "d", cancelled_by="cyd")
    assert row() == (deadline, "cyd"), "cancelled while the approval was being recorded"


def test_a_run_that_recovers_an_order_keeps_its_deadline_and_who_decided() -> None:
    run, deadline = OrderRunState(order_id="o-1"), NOW - timedelta(hours=1)
    snapshot = OrderSnapshot(
        details=awaiting_approval().details,
        state=OrderState.VALIDATED,
        last_sequence=2,
        approval_deadline=deadline,
        decided_by="ada",
    )
    recover(run, snapshot)
    assert (run.approval_deadline, run.deadline, run.seconds_left(NOW)) == (deadline, deadline, 0)
    assert run.row is not None
    assert (run.row.approval_deadline, run.row.decided_by) == (deadline, "ada")


@given(plays)
def test_every_outcome_that_is_recorded_has_the_fingerprint_of_its_event_and_the_number_of_the_one_it_caused(
    play: list[tuple[EventType, str] | str],
) -> None:
    state = played(play)
    sent = {(move[1], move[0].value): valid_event(move[0], move[1]) for move in play if not isinstance(move, str)}
    for entry in state.unpublished:
        one = entry.outcome
        if one is None:
            continue
        if one.outcome is InboundOutcome.DUPLICATE:
            assert (one.body_digest, one.sequence) == (None, None)
        else:
            assert one.body_digest == fingerprint_of(sent[one.event_id, one.type], "o-1")
            assert entry.event is not None
            assert one.sequence == entry.event.sequence
