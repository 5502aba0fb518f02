"""What every `OrderStore` does: the one in memory and the one on Postgres."""

import asyncio
import secrets
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.adapters.postgres import PostgresOrderStore
from activities.ports import OrderStore, SequenceConflictError, StoredEvent
from schemas.inbound import Address, InboundEvent, Item
from schemas.orchestration import (
    OrderDetails,
    OrderProjection,
    OrderSnapshot,
    PublishEvents,
    SettledEvent,
)
from schemas.outbound import (
    OUTBOUND_EVENT,
    Cause,
    OrderAddressChanged,
    OrderEventRejected,
    OrderStateChanged,
    OutboundEvent,
)
from schemas.states import EventType, InboundOutcome, OrderState, ReasonCode
from tests.helpers.fakes import InMemoryOrderStore

NOON = datetime(2026, 1, 31, 12, 0, 0, 123456, tzinfo=UTC)
DETAILS = OrderDetails(
    payment_id="p-1",
    customer_id="Zoë O'Brien",
    currency="EUR",
    amount=1250,
    items=(Item(sku="a", quantity=2, unit_amount=500), Item(sku="b", quantity=1, unit_amount=250)),
    address=Address(street="1 Long Road", zip_code="12345"),
)


@pytest.fixture(params=["memory", "postgres"])
def store(request: pytest.FixtureRequest) -> OrderStore:
    if request.param == "memory":
        return InMemoryOrderStore()
    engine: AsyncEngine = request.getfixturevalue("engine")
    return PostgresOrderStore(engine)


@pytest.fixture
def order_id() -> str:
    return f"o-{secrets.token_hex(6)}"


def reached(order_id: str, sequence: int, state: OrderState, previous: OrderState | None = None) -> OrderStateChanged:
    return OrderStateChanged(
        order_id=order_id,
        sequence=sequence,
        previous_state=previous,
        state=state,
        occurred_at=NOON + timedelta(seconds=sequence),
        payment_id="p-1",
        amount=1250,
        currency="EUR",
    )


def settled(event_id: str, outcome: InboundOutcome = InboundOutcome.APPLIED) -> SettledEvent:
    return SettledEvent(event_id=event_id, type=EventType.ORDER_APPROVED, outcome=outcome, at=NOON)


def batch(order_id: str, *events: OutboundEvent, settled: tuple[SettledEvent, ...] = ()) -> PublishEvents:
    states = [event.state for event in events if isinstance(event, OrderStateChanged)]
    projection = OrderProjection(state=states[-1], details=DETAILS) if states else None
    return PublishEvents(order_id=order_id, events=events, settled=settled, projection=projection)


async def received_and_validated(store: OrderStore, order_id: str) -> tuple[StoredEvent, ...]:
    await store.receive(order_id, DETAILS)
    return await store.record(
        batch(
            order_id,
            reached(order_id, 1, OrderState.RECEIVED),
            reached(order_id, 2, OrderState.VALIDATED, OrderState.RECEIVED),
            settled=(settled("e-1"),),
        )
    )


async def ended(store: OrderStore, order_id: str) -> None:
    await received_and_validated(store, order_id)
    await store.record(batch(order_id, reached(order_id, 3, OrderState.CANCELLED, OrderState.VALIDATED)))
    await store.mark_published(order_id, 3)


async def test_an_unknown_order_has_an_empty_snapshot(store: OrderStore, order_id: str) -> None:
    assert await store.look_up(order_id) == OrderSnapshot()


async def test_a_received_order_is_known_but_has_no_recorded_state_yet(store: OrderStore, order_id: str) -> None:
    await store.receive(order_id, DETAILS)

    assert await store.look_up(order_id) == OrderSnapshot(details=DETAILS)


async def test_receiving_twice_keeps_the_first(store: OrderStore, order_id: str) -> None:
    await store.receive(order_id, DETAILS)
    await store.receive(order_id, DETAILS.model_copy(update={"amount": 1}))

    assert (await store.look_up(order_id)).details == DETAILS


async def test_an_interrupted_order_is_remembered_with_all_that_its_next_run_needs(
    store: OrderStore, order_id: str
) -> None:
    await store.receive(order_id, DETAILS)
    moved = DETAILS.model_copy(update={"address": Address(street="2 Short Lane")})
    recorded = PublishEvents(
        order_id=order_id,
        events=(
            reached(order_id, 1, OrderState.RECEIVED),
            OrderAddressChanged(
                order_id=order_id,
                sequence=2,
                previous_state=OrderState.RECEIVED,
                state=OrderState.RECEIVED,
                occurred_at=NOON,
                cause=Cause(event_id="e-2", type=EventType.ORDER_ADDRESS_UPDATED),
                address=moved.address,
            ),
        ),
        settled=(settled("e-1"), settled("e-2")),
        projection=OrderProjection(
            state=OrderState.RECEIVED,
            details=moved,
            address_updated_at=NOON,
            tracking_id="t-1",
            reason=ReasonCode.CANCELLED_BY_REQUEST,
        ),
    )
    await store.record(recorded)

    snapshot = await store.look_up(order_id)

    assert snapshot.model_copy(update={"settled_event_ids": ()}) == OrderSnapshot(
        details=moved,
        state=OrderState.RECEIVED,
        last_sequence=2,
        address_updated_at=NOON,
        tracking_id="t-1",
        reason=ReasonCode.CANCELLED_BY_REQUEST,
    )
    assert set(snapshot.settled_event_ids) == {"e-1", "e-2"}


async def test_a_finished_order_does_not_carry_its_settled_events(store: OrderStore, order_id: str) -> None:
    await ended(store, order_id)

    snapshot = await store.look_up(order_id)

    assert (snapshot.state, snapshot.last_sequence) == (OrderState.CANCELLED, 3)
    assert snapshot.settled_event_ids == ()


async def test_what_is_recorded_is_returned_to_the_byte_until_it_is_published(store: OrderStore, order_id: str) -> None:
    first = await received_and_validated(store, order_id)
    again = await received_and_validated(store, order_id)

    assert first == again
    assert [event.sequence for event in first] == [1, 2]
    assert first[0].payload_json == reached(order_id, 1, OrderState.RECEIVED).model_dump_json()
    await store.mark_published(order_id, 1)
    assert await received_and_validated(store, order_id) == first[1:]
    await store.mark_published(order_id, 2)
    assert await received_and_validated(store, order_id) == ()


async def test_a_batch_returns_what_an_earlier_one_left_unpublished(store: OrderStore, order_id: str) -> None:
    await received_and_validated(store, order_id)

    stored = await store.record(batch(order_id, reached(order_id, 3, OrderState.APPROVED)))

    assert [event.sequence for event in stored] == [1, 2, 3]
    assert await store.record(PublishEvents(order_id=order_id)) == stored


async def test_published_never_goes_back_nor_beyond_what_is_recorded(store: OrderStore, order_id: str) -> None:
    await received_and_validated(store, order_id)
    await store.mark_published(order_id, 99)
    await store.mark_published(order_id, 1)

    stored = await store.record(batch(order_id, reached(order_id, 3, OrderState.APPROVED)))

    assert [event.sequence for event in stored] == [3]


async def test_a_batch_that_overlaps_adds_only_what_is_new(store: OrderStore, order_id: str) -> None:
    first, second, third = (
        reached(order_id, 1, OrderState.RECEIVED),
        reached(order_id, 2, OrderState.VALIDATED),
        reached(order_id, 3, OrderState.APPROVED),
    )
    await store.record(batch(order_id, first, second))

    stored = await store.record(batch(order_id, second, third))

    assert [event.sequence for event in stored] == [1, 2, 3]


@pytest.mark.parametrize(
    ("sequence", "state"),
    [(2, OrderState.REJECTED), (1, OrderState.REJECTED), (4, OrderState.APPROVED)],
    ids=["another at the end", "another before", "a gap"],
)
async def test_another_event_under_a_sequence_or_a_gap_is_a_conflict_and_changes_nothing(
    store: OrderStore, order_id: str, sequence: int, state: OrderState
) -> None:
    before = await received_and_validated(store, order_id)
    known = await store.look_up(order_id)

    with pytest.raises(SequenceConflictError, match=f"sequence {sequence}"):
        await store.record(batch(order_id, reached(order_id, sequence, state), settled=(settled("e-9"),)))

    assert await store.record(PublishEvents(order_id=order_id)) == before
    assert await store.look_up(order_id) == known


async def test_an_event_of_another_order_is_a_conflict(store: OrderStore, order_id: str) -> None:
    with pytest.raises(SequenceConflictError, match="another order"):
        await store.record(batch(order_id, reached("o-other", 1, OrderState.RECEIVED)))


async def test_an_older_batch_that_comes_late_does_not_move_the_order_back(store: OrderStore, order_id: str) -> None:
    await received_and_validated(store, order_id)
    moved = DETAILS.model_copy(update={"address": Address(street="2 Short Lane")})
    newer = PublishEvents(
        order_id=order_id,
        events=(reached(order_id, 3, OrderState.CANCELLED),),
        projection=OrderProjection(state=OrderState.CANCELLED, details=moved, tracking_id="t-1"),
    )
    await store.record(newer)
    known = await store.look_up(order_id)

    await received_and_validated(store, order_id)

    assert await store.look_up(order_id) == known
    assert (known.details, known.tracking_id) == (moved, "t-1")


async def test_a_projection_without_events_changes_nothing(store: OrderStore, order_id: str) -> None:
    await received_and_validated(store, order_id)
    known = await store.look_up(order_id)
    other = OrderProjection(state=OrderState.PAID, details=DETAILS, tracking_id="t-9")

    await store.record(PublishEvents(order_id=order_id, projection=other))

    assert await store.look_up(order_id) == known


async def test_marking_shipped_records_no_transition(store: OrderStore, order_id: str) -> None:
    await received_and_validated(store, order_id)
    await store.mark_shipped(order_id)
    await store.mark_shipped(order_id)

    assert (await store.look_up(order_id)).state is OrderState.VALIDATED


async def test_marking_an_unknown_order_shipped_does_nothing(store: OrderStore, order_id: str) -> None:
    await store.mark_shipped(order_id)

    assert await store.look_up(order_id) == OrderSnapshot()


async def test_the_first_outcome_of_an_event_stays_and_a_duplicate_is_none(store: OrderStore, order_id: str) -> None:
    # The duplicate may be answered while the first is still held.
    await store.record(batch(order_id, settled=(settled("e-1", InboundOutcome.DUPLICATE),)))
    assert (await store.look_up(order_id)).settled_event_ids == ()

    await store.record(batch(order_id, settled=(settled("e-1"), settled("e-1", InboundOutcome.REJECTED))))

    assert (await store.look_up(order_id)).settled_event_ids == ("e-1",)


async def test_an_event_id_of_four_thousand_bytes_is_kept(store: OrderStore, order_id: str) -> None:
    # Random, since Postgres compresses what it can before it measures.
    event_id = "".join(chr(0x10000 + secrets.randbelow(0x8000)) for _ in range(1000))

    await store.record(batch(order_id, settled=(settled(event_id),)))

    assert (await store.look_up(order_id)).settled_event_ids == (event_id,)


def late(event_id: str, event_type: str = EventType.ORDER_CANCELLED) -> InboundEvent:
    return InboundEvent(event_id=event_id, type=event_type, body={})


async def test_a_late_event_is_rejected_once_and_then_a_duplicate(store: OrderStore, order_id: str) -> None:
    await ended(store, order_id)

    first, stored = await store.settle_late(order_id, (late("e-9"),), NOON)
    await store.mark_published(order_id, 4)
    again = await store.settle_late(order_id, (late("e-9"),), NOON)

    assert [(one.outcome, one.reason) for one in first] == [(InboundOutcome.REJECTED, ReasonCode.ORDER_CLOSED)]
    assert [OUTBOUND_EVENT.validate_json(event.payload_json) for event in stored] == [
        OrderEventRejected(
            order_id=order_id,
            sequence=4,
            previous_state=OrderState.CANCELLED,
            state=OrderState.CANCELLED,
            occurred_at=NOON,
            cause=Cause(event_id="e-9", type=EventType.ORDER_CANCELLED),
            reason=ReasonCode.ORDER_CLOSED,
        )
    ]
    assert [one.outcome for one in again[0]] == [InboundOutcome.DUPLICATE]
    assert again[1] == ()
    assert (await store.look_up(order_id)).last_sequence == 4


async def test_a_late_repeat_of_an_event_that_was_applied_is_a_duplicate(store: OrderStore, order_id: str) -> None:
    await ended(store, order_id)

    decided, stored = await store.settle_late(order_id, (late("e-1"), late("e-2"), late("e-2")), NOON)

    outcomes = [one.outcome for one in decided]
    assert outcomes == [InboundOutcome.DUPLICATE, InboundOutcome.REJECTED, InboundOutcome.DUPLICATE]
    assert [event.sequence for event in stored] == [4]


async def test_the_same_event_id_of_another_order_is_another_event(store: OrderStore, order_id: str) -> None:
    await ended(store, order_id)
    await ended(store, f"{order_id}-2")
    await store.settle_late(order_id, (late("e-9"),), NOON)

    decided, _ = await store.settle_late(f"{order_id}-2", (late("e-9"),), NOON)

    assert [one.outcome for one in decided] == [InboundOutcome.REJECTED]


async def test_a_crash_after_the_commit_leaves_nothing_unpublished(store: OrderStore, order_id: str) -> None:
    await ended(store, order_id)
    await store.settle_late(order_id, (late("e-8"),), NOON)  # And no mark_published follows.

    _, stored = await store.settle_late(order_id, (late("e-9"),), NOON)

    assert [event.sequence for event in stored] == [4, 5]


async def test_a_late_event_of_an_unknown_order_is_rejected_as_such(store: OrderStore, order_id: str) -> None:
    decided, stored = await store.settle_late(order_id, (late("e-1"),), NOON)

    assert [one.reason for one in decided] == [ReasonCode.UNKNOWN_ORDER]
    assert [event.sequence for event in stored] == [1]
    snapshot = await store.look_up(order_id)
    assert (snapshot.details, snapshot.state, snapshot.last_sequence) == (None, None, 1)
    assert snapshot.settled_event_ids == ("e-1",)


async def test_an_order_may_begin_after_answers_to_its_orphans(store: OrderStore, order_id: str) -> None:
    await store.settle_late(order_id, (late("e-1"), late("e-2")), NOON)
    await store.receive(order_id, DETAILS)

    stored = await store.record(batch(order_id, reached(order_id, 3, OrderState.RECEIVED)))

    assert [event.sequence for event in stored] == [1, 2, 3]
    assert (await store.look_up(order_id)).state is OrderState.RECEIVED


async def test_a_malformed_late_event_is_rejected_as_invalid(store: OrderStore, order_id: str) -> None:
    await ended(store, order_id)

    decided, _ = await store.settle_late(order_id, (InboundEvent(event_id="e-9", malformed=True),), NOON)

    assert [one.reason for one in decided] == [ReasonCode.INVALID]


async def test_overlapping_batches_at_once_leave_each_event_once(store: OrderStore, order_id: str) -> None:
    events = [reached(order_id, sequence, OrderState.RECEIVED) for sequence in range(1, 8)]
    batches = [batch(order_id, *events[:length], settled=(settled("e-1"),)) for length in range(1, 8)] * 3

    outcomes = await asyncio.gather(*(store.record(one) for one in batches[:20]))

    stored = await store.record(PublishEvents(order_id=order_id))
    assert [event.sequence for event in stored] == list(range(1, 8))
    # Each attempt saw all that it recorded, without a gap.
    for one, outcome in zip(batches, outcomes, strict=False):
        sequences = [event.sequence for event in outcome]
        assert sequences == list(range(1, len(sequences) + 1))
        assert len(sequences) >= len(one.events)


async def test_two_runs_that_write_different_events_at_once_end_with_one_of_them(
    store: OrderStore, order_id: str
) -> None:
    states = [OrderState.APPROVED, OrderState.CANCELLED] * 5
    await received_and_validated(store, order_id)

    outcomes = await asyncio.gather(
        *(store.record(batch(order_id, reached(order_id, 3, state))) for state in states), return_exceptions=True
    )

    conflicts = [outcome for outcome in outcomes if isinstance(outcome, SequenceConflictError)]
    assert len(conflicts) == 5
    assert (await store.look_up(order_id)).last_sequence == 3


async def test_thirty_late_events_at_once_are_numbered_without_gaps(store: OrderStore, order_id: str) -> None:
    await ended(store, order_id)

    outcomes = await asyncio.gather(
        *(store.settle_late(order_id, (late(f"e-{number % 25}"),), NOON) for number in range(100, 130))
    )

    decided = [one for settled, _ in outcomes for one in settled]
    # Five ids came twice, and e-1 was decided before, in both its comings.
    assert [one.outcome for one in decided].count(InboundOutcome.REJECTED) == 24
    assert [one.outcome for one in decided].count(InboundOutcome.DUPLICATE) == 6
    stored = await store.record(PublishEvents(order_id=order_id))
    assert [event.sequence for event in stored] == list(range(4, 28))
    for _, unpublished in outcomes:
        sequences = [event.sequence for event in unpublished]
        assert sequences == list(range(4, 4 + len(sequences)))
