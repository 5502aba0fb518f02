"""The state of a run under any sequence of events and steps: numbers, batches, and what continue-as-new carries."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.activity_io import OrderProjection, OrderSnapshot, SettleLateEvents
from schemas.event_types import EventType
from schemas.inbound import InboundEvent
from schemas.outbound import OrderStateChanged, OutboundEvent
from schemas.states import FINAL_STATES, InboundOutcome, OrderState, OrderStep, ReasonCode
from workflows.life.batches import BATCH_BYTES_MAX, BATCH_MAX, next_fitting
from workflows.life.event_table import valid_event
from workflows.life.ledger import batch_was_published, change_state, next_batch, reach_milestone, renumber, settle_inbox
from workflows.life.recovery import take_up
from workflows.life.state import SEEN_EVENTS_MAX, OrderRunInput, OrderRunState, begun_again
from workflows.life.steps import NEXT_STEPS

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
STEP_FORWARD = "step forward"
arrivals = st.tuples(st.sampled_from(EventType), st.integers(0, 9).map("e-{}".format))
plays = st.lists(st.one_of(arrivals, st.just(STEP_FORWARD)), max_size=40)


def step_forward(state: OrderRunState) -> None:
    """What the run does next on the straight road."""
    following = {
        OrderStep.RECEIVING: (OrderState.RECEIVED, OrderStep.VALIDATING),
        OrderStep.VALIDATING: (OrderState.VALIDATED, OrderStep.AWAITING_MANUAL_APPROVAL),
        OrderStep.CHARGING_PAYMENT: (OrderState.PAID, OrderStep.SHIPPING),
        OrderStep.MARKING_SHIPPED: (OrderState.COMPLETED, None),
    }
    if state.step in following:
        to, step = following[state.step]
        change_state(state, to, NOW, cause=state.created_by if to is OrderState.RECEIVED else None)
        state.step = step or state.step
        state.release_held()
    elif state.order_state is OrderState.APPROVED and state.step is OrderStep.AWAITING_MANUAL_APPROVAL:
        state.step = OrderStep.CHARGING_PAYMENT
    elif state.step is OrderStep.SHIPPING:
        reach_milestone(state, OrderState.CARRIER_DISPATCHED, "track", NOW)
        state.step = OrderStep.MARKING_SHIPPED


def played(play: list[tuple[EventType, str] | str]) -> OrderRunState:
    state = OrderRunState(order_id="o-1", is_looked_up=True)
    for number, move in enumerate(play):
        if isinstance(move, str):
            step_forward(state)
        else:
            event_type, event_id = move
            state.inbox.append(valid_event(event_type, event_id))
        settle_inbox(state, NOW + timedelta(seconds=number))
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
    assert previous == state.order_state


@given(plays)
def test_every_event_is_held_or_settled_and_takes_effect_once(play: list[tuple[EventType, str] | str]) -> None:
    state = played(play)
    settled = [entry.settled for entry in state.unpublished if entry.settled is not None]
    waiting = len(state.held) + (state.step is OrderStep.RECEIVING)
    assert len(settled) + waiting == sum(not isinstance(move, str) for move in play)
    effects = [one.event_id for one in settled if one.outcome is not InboundOutcome.DUPLICATE]
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
    request = OrderRunInput(order_id="o-1", resumed=played(play))
    assert OrderRunInput.model_validate_json(request.model_dump_json()) == request


@given(plays, st.integers(0, 8))
def test_who_begins_again_has_every_event_that_is_not_recorded(
    play: list[tuple[EventType, str] | str], published: int
) -> None:
    state = played(play)
    size = min(published, len(state.unpublished))
    batch = next_batch(state, size)
    batch_was_published(state, batch, size)
    again = begun_again(state)
    assert (again.step, again.is_looked_up, again.unpublished) == (OrderStep.AWAITING_ORDER, False, [])
    recorded = {one.event_id for one in batch.settled if one.outcome is not InboundOutcome.DUPLICATE}
    sent = {move[1] for move in play if not isinstance(move, str)}
    assert {event.event_id for event in again.inbox} == sent - recorded
    assert len(again.inbox) <= len(play)


def test_a_batch_of_the_largest_texts_fits_into_what_temporal_takes() -> None:
    """Control characters are the texts that grow most on the way: six bytes each."""
    state = OrderRunState(order_id="o-1", is_looked_up=True)
    items = [{"sku": "s" * 470, "quantity": 1, "unit_amount": 1}] * 1_000
    state.inbox.append(InboundEvent(event_id="c", type="order.created", body={"payment_id": "p", "items": items}))
    settle_inbox(state, NOW)
    step_forward(state)
    for number in range(BATCH_MAX):
        address = dict.fromkeys(("street", "city", "state", "zip_code", "country"), "\x01" * 1_000)
        event_id = f"{number:03}" + "\x01" * 509
        state.inbox.append(InboundEvent(event_id=event_id, type="order.address_updated", body={"address": address}))
    settle_inbox(state, NOW)
    sizes = []
    while state.unpublished:
        batch, size = next_fitting(len(state.unpublished), lambda count: next_batch(state, count))
        assert len(batch.model_dump_json().encode()) <= BATCH_BYTES_MAX
        batch_was_published(state, batch, size)
        sizes.append(size)
    assert (sum(sizes), sizes[0]) == (BATCH_MAX + 1, BATCH_MAX // 2)


def test_what_is_too_large_for_any_batch_goes_alone() -> None:
    large = InboundEvent(event_id="e", type="order.created", body={"note": "n" * BATCH_BYTES_MAX})
    batch, size = next_fitting(7, lambda count: SettleLateEvents(order_id="o-1", events=(large,) * count))
    assert (len(batch.events), size) == (1, 1)


@given(plays, st.integers(1, 5), st.integers(0, 8))
def test_renumbering_puts_what_is_not_recorded_behind_what_is(
    play: list[tuple[EventType, str] | str], more: int, kept: int
) -> None:
    state = played(play)
    transitions = [entry.event for entry in state.unpublished if isinstance(entry.event, OrderStateChanged)]
    recorded_state = transitions[min(kept, len(transitions) - 1)].state if transitions else None
    before = [entry.event.state for entry in state.unpublished if isinstance(entry.event, OrderStateChanged)]
    snapshot = OrderSnapshot(details=state.details, state=recorded_state, last_sequence=more)
    renumber(state, snapshot)
    events = [entry.event for entry in state.unpublished if entry.event is not None]
    assert [event.sequence for event in events] == list(range(more + 1, state.last_sequence + 1))
    after = [event.state for event in events if isinstance(event, OrderStateChanged)]
    assert after == (before[before.index(recorded_state) + 1 :] if recorded_state in before else before)


@pytest.mark.parametrize("state", list(OrderState))
def test_a_run_takes_up_an_order_at_every_recorded_state(state: OrderState) -> None:
    details = played([(EventType.ORDER_CREATED, "e")]).details
    run = OrderRunState(order_id="o-1")
    take_up(run, OrderSnapshot(details=details, state=state, last_sequence=4, settled_event_ids=("e",)))
    assert (run.last_sequence, run.order_state, list(run.seen)) == (4, state, ["e"])
    assert run.is_late is state.is_final
    assert run.recorded == OrderProjection(state=state, details=run.details) if run.details else False


def test_every_state_that_is_not_final_has_a_step_to_go_on_at() -> None:
    assert set(NEXT_STEPS) == set(OrderState) - FINAL_STATES


@pytest.mark.parametrize("state", [None, OrderState.RECEIVED])
def test_an_order_of_which_nothing_is_recorded_is_not_taken_up(state: OrderState | None) -> None:
    details = played([(EventType.ORDER_CREATED, "e")]).details
    run = OrderRunState(order_id="o-1")
    take_up(run, OrderSnapshot(details=details, state=state, last_sequence=0))
    assert (run.step, run.order_state) == (OrderStep.AWAITING_ORDER, None)


def test_a_milestone_reached_twice_is_one_transition() -> None:
    state = OrderRunState(order_id="o-1", step=OrderStep.SHIPPING, order_state=OrderState.PAID)
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
    state = OrderRunState(order_id="o-1", step=OrderStep.SHIPPING, order_state=OrderState.PAID)
    reach_milestone(state, milestone, "forged", NOW)
    assert (state.order_state, state.unpublished) == (OrderState.PAID, [])


def test_the_events_remembered_are_bounded_and_the_newest() -> None:
    state = OrderRunState(order_id="o-1")
    for number in range(SEEN_EVENTS_MAX + 3):
        state.remember(str(number))
    assert len(state.seen) == SEEN_EVENTS_MAX
    assert not state.has_decided("2")
    assert state.has_decided("3")


def test_long_event_ids_are_told_apart_by_their_hash() -> None:
    state = OrderRunState(order_id="o-1")
    state.remember("x" * 500 + "a")
    assert state.has_decided("x" * 500 + "a")
    assert not state.has_decided("x" * 500 + "b")
    assert all(len(key) == 64 for key in state.seen)


def test_what_was_held_is_refused_when_the_order_ends() -> None:
    state = played([(EventType.ORDER_APPROVED, "a"), (EventType.ORDER_CREATED, "c"), STEP_FORWARD])
    assert [event.event_id for event in state.held] == ["a"]
    change_state(state, OrderState.REJECTED, NOW, reason=ReasonCode.AMOUNT_OVER_LIMIT)
    settle_inbox(state, NOW)
    last = state.unpublished[-1].settled
    assert last is not None
    assert (last.event_id, last.reason) == ("a", ReasonCode.ORDER_CLOSED)
