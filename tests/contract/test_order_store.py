"""What every `OrderStore` does: the one in memory and the one on Postgres."""

import asyncio
import secrets
from datetime import timedelta
from functools import partial

import pytest

from activities.ports import OrderStore, RecordedEarlierError, SequenceConflictError
from schemas.activity_io import OrderProjection, OrderSnapshot, PublishEvents
from schemas.event_types import EventType
from schemas.order import Address
from schemas.outbound import Cause, OrderAddressChanged
from schemas.states import InboundOutcome, OrderState, ReasonCode
from tests.helpers.messages.journal_entries import (
    DETAILS,
    NOON,
    batch,
    ended,
    outcome_of,
    reached,
    received_and_validated,
)
from tests.helpers.patience import patiently
from tests.helpers.system.waiting import assert_eventually


async def test_an_unknown_order_has_an_empty_snapshot(store: OrderStore, order_id: str) -> None:
    assert await store.look_up(order_id) == OrderSnapshot()


async def test_an_interrupted_order_is_remembered_with_all_that_its_next_run_needs(
    store: OrderStore, order_id: str
) -> None:
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
        outcomes=(outcome_of("e-1"), outcome_of("e-2")),
        projection=OrderProjection(
            state=OrderState.RECEIVED,
            details=moved,
            address_updated_at=NOON,
            tracking_id="t-1",
            reason=ReasonCode.CANCELLED_BY_REQUEST,
            approval_deadline=NOON,
            decided_by="Zoë",
        ),
    )
    await store.record(recorded)

    snapshot = await store.look_up(order_id)

    assert snapshot.model_copy(update={"decided_events": ()}) == OrderSnapshot(
        details=moved,
        state=OrderState.RECEIVED,
        last_sequence=2,
        address_updated_at=NOON,
        tracking_id="t-1",
        reason=ReasonCode.CANCELLED_BY_REQUEST,
        approval_deadline=NOON,
        decided_by="Zoë",
        is_published=False,
    )
    assert {one.event_id for one in snapshot.decided_events} == {"e-1", "e-2"}


async def test_a_finished_order_does_not_carry_its_decided_events(store: OrderStore, order_id: str) -> None:
    await ended(store, order_id)

    snapshot = await store.look_up(order_id)

    assert (snapshot.state, snapshot.last_sequence) == (OrderState.CANCELLED, 3)
    assert snapshot.decided_events == ()


async def test_a_snapshot_says_whether_all_that_is_recorded_is_published(store: OrderStore, order_id: str) -> None:
    assert (await store.look_up(order_id)).is_published
    await received_and_validated(store, order_id)
    assert not (await store.look_up(order_id)).is_published
    await store.mark_published(order_id, 2)

    async def is_published() -> bool:
        return (await store.look_up(order_id)).is_published

    await assert_eventually(is_published, message="how far the publishing came is written down")


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
        await store.record(batch(order_id, reached(order_id, sequence, state), outcomes=(outcome_of("e-9"),)))

    assert await store.record(PublishEvents(order_id=order_id)) == before
    assert await store.look_up(order_id) == known


async def test_an_orders_first_batch_makes_its_row_and_says_whether_it_is_published(
    store: OrderStore, order_id: str
) -> None:
    await received_and_validated(store, order_id)
    snapshot = await store.look_up(order_id)
    assert (snapshot.details, snapshot.state, snapshot.is_published) == (DETAILS, OrderState.VALIDATED, False)

    await store.mark_published(order_id, 2)

    async def is_published() -> bool:
        return (await store.look_up(order_id)).is_published

    await assert_eventually(is_published)


async def test_the_same_decisions_made_at_another_time_are_returned_as_they_are_recorded(
    store: OrderStore, order_id: str
) -> None:
    """As of an ended run, whose last record was still on its way when the next one looked the order up."""
    before = await received_and_validated(store, order_id)
    known = await store.look_up(order_id)
    again = [
        reached(order_id, number, state, previous).model_copy(update={"occurred_at": NOON + timedelta(hours=1)})
        for number, state, previous in (
            (1, OrderState.RECEIVED, None),
            (2, OrderState.VALIDATED, OrderState.RECEIVED),
            (3, OrderState.APPROVED, OrderState.VALIDATED),
        )
    ]

    with pytest.raises(RecordedEarlierError) as recorded:
        await store.record(batch(order_id, *again, outcomes=(outcome_of("e-9"),)))

    assert [event.model_dump_json() for event in recorded.value.events] == [event.payload_json for event in before]
    assert await store.look_up(order_id) == known, "nothing of the batch was recorded"


async def test_the_same_decision_with_others_behind_it_is_a_conflict(store: OrderStore, order_id: str) -> None:
    """Whoever took it for its own would not know of what another run has decided since."""
    await received_and_validated(store, order_id)
    again = reached(order_id, 1, OrderState.RECEIVED).model_copy(update={"occurred_at": NOON + timedelta(hours=1)})

    with pytest.raises(SequenceConflictError, match="stands behind 1"):
        await store.record(batch(order_id, again))


async def test_a_deadline_counted_from_another_time_is_the_same_decision_and_a_deadline_more_is_not(
    store: OrderStore, order_id: str
) -> None:
    validated = reached(order_id, 1, OrderState.VALIDATED)
    deadline = validated.model_copy(update={"approval_deadline": NOON})
    await store.record(batch(order_id, deadline))

    with pytest.raises(RecordedEarlierError) as recorded:
        await store.record(
            batch(order_id, validated.model_copy(update={"approval_deadline": NOON + timedelta(hours=1)}))
        )
    with pytest.raises(SequenceConflictError):
        await store.record(batch(order_id, validated))

    assert recorded.value.events == (deadline,)


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


async def test_the_first_outcome_of_an_event_stays_and_a_duplicate_is_none(store: OrderStore, order_id: str) -> None:
    # The duplicate may be answered while the first is still held.
    await store.record(batch(order_id, outcomes=(outcome_of("e-1", InboundOutcome.DUPLICATE),)))
    assert (await store.look_up(order_id)).decided_events == ()

    await store.record(batch(order_id, outcomes=(outcome_of("e-1"), outcome_of("e-1", InboundOutcome.REJECTED))))

    assert [one.event_id for one in (await store.look_up(order_id)).decided_events] == ["e-1"]


async def test_an_event_id_of_four_thousand_bytes_is_kept(store: OrderStore, order_id: str) -> None:
    # Random, since Postgres compresses what it can before it measures.
    event_id = "".join(chr(0x10000 + secrets.randbelow(0x8000)) for _ in range(1000))

    await store.record(batch(order_id, outcomes=(outcome_of(event_id),)))

    assert [one.event_id for one in (await store.look_up(order_id)).decided_events] == [event_id]


async def test_overlapping_batches_at_once_leave_each_event_once(store: OrderStore, order_id: str) -> None:
    events = [reached(order_id, sequence, OrderState.RECEIVED) for sequence in range(1, 8)]
    batches = [batch(order_id, *events[:length], outcomes=(outcome_of("e-1"),)) for length in range(1, 8)] * 3

    outcomes = await asyncio.gather(*(patiently(partial(store.record, one)) for one in batches[:20]))

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

    batches = [batch(order_id, reached(order_id, 3, state)) for state in states]
    outcomes = await asyncio.gather(*(patiently(partial(store.record, one)) for one in batches), return_exceptions=True)

    conflicts = [outcome for outcome in outcomes if isinstance(outcome, SequenceConflictError)]
    assert len(conflicts) == 5
    assert (await store.look_up(order_id)).last_sequence == 3
