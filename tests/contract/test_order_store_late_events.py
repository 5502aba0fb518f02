"""What every `OrderStore` does with events for an order whose life is over."""

import asyncio

from activities.ports import OrderStore, StoredEvent
from schemas.activity_io import EventOutcome, PublishEvents
from schemas.event_types import EventType, fingerprint_of
from schemas.inbound import InboundEvent
from schemas.outbound import OUTBOUND_EVENT, Cause, OrderEventRejected
from schemas.states import InboundOutcome, OrderState, ReasonCode
from tests.helpers.messages.journal_entries import NOON, batch, ended, late, reached
from tests.helpers.patience import patiently


async def test_a_late_event_is_rejected_once_and_then_a_duplicate(store: OrderStore, order_id: str) -> None:
    await ended(store, order_id)

    first, stored = await store.answer_late(order_id, (late("e-9"),), NOON)
    await store.mark_published(order_id, 4)
    again = await store.answer_late(order_id, (late("e-9"),), NOON)

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
    repeated = late("e-1", EventType.ORDER_APPROVED)

    decided, stored = await store.answer_late(order_id, (repeated, late("e-2"), late("e-2")), NOON)

    outcomes = [one.outcome for one in decided]
    assert outcomes == [InboundOutcome.DUPLICATE, InboundOutcome.REJECTED, InboundOutcome.DUPLICATE]
    assert [event.sequence for event in stored] == [4]


async def test_an_event_id_that_was_used_for_another_type_is_refused_as_such_once(
    store: OrderStore, order_id: str
) -> None:
    await ended(store, order_id)
    cancel, approval = late("e-1"), late("e-1", EventType.ORDER_APPROVED)
    decided = [(await store.answer_late(order_id, (event,), NOON))[0][0] for event in (cancel, approval, cancel)]

    assert [(one.type, one.outcome, one.reason) for one in decided] == [
        (EventType.ORDER_CANCELLED, InboundOutcome.REJECTED, ReasonCode.EVENT_ID_REUSED),
        (EventType.ORDER_APPROVED, InboundOutcome.DUPLICATE, None),
        (EventType.ORDER_CANCELLED, InboundOutcome.DUPLICATE, None),
    ]


async def test_a_snapshot_tells_which_ids_were_reused(store: OrderStore, order_id: str) -> None:
    first = late("e-1")
    await store.answer_late(order_id, (first, first.model_copy(update={"type": "order.approved"})), NOON)

    snapshot = await store.look_up(order_id)

    assert {(one.event_id, one.type, one.reused) for one in snapshot.decided_events} == {
        ("e-1", "order.cancelled", False),
        ("e-1", "order.approved", True),
    }


async def test_the_same_event_id_of_another_order_is_another_event(store: OrderStore, order_id: str) -> None:
    await ended(store, order_id)
    await ended(store, f"{order_id}-2")
    await store.answer_late(order_id, (late("e-9"),), NOON)

    decided, _ = await store.answer_late(f"{order_id}-2", (late("e-9"),), NOON)

    assert [one.outcome for one in decided] == [InboundOutcome.REJECTED]


async def test_a_crash_after_the_commit_leaves_nothing_unpublished(store: OrderStore, order_id: str) -> None:
    await ended(store, order_id)
    await store.answer_late(order_id, (late("e-8"),), NOON)  # And no mark_published follows.

    _, stored = await store.answer_late(order_id, (late("e-9"),), NOON)

    assert [event.sequence for event in stored] == [4, 5]


async def test_a_late_event_of_an_unknown_order_is_rejected_as_such(store: OrderStore, order_id: str) -> None:
    decided, stored = await store.answer_late(order_id, (late("e-1"),), NOON)

    assert [one.reason for one in decided] == [ReasonCode.UNKNOWN_ORDER]
    assert [event.sequence for event in stored] == [1]
    snapshot = await store.look_up(order_id)
    assert (snapshot.details, snapshot.state, snapshot.last_sequence) == (None, None, 1)
    assert [one.event_id for one in snapshot.decided_events] == ["e-1"]


async def test_an_order_may_begin_after_answers_to_its_orphans(store: OrderStore, order_id: str) -> None:
    await store.answer_late(order_id, (late("e-1"), late("e-2")), NOON)

    stored = await store.record(batch(order_id, reached(order_id, 3, OrderState.RECEIVED)))

    assert [event.sequence for event in stored] == [1, 2, 3]
    assert (await store.look_up(order_id)).state is OrderState.RECEIVED


async def test_a_malformed_late_event_is_rejected_as_invalid(store: OrderStore, order_id: str) -> None:
    await ended(store, order_id)

    decided, _ = await store.answer_late(order_id, (InboundEvent(event_id="e-9", malformed=True),), NOON)

    assert [one.reason for one in decided] == [ReasonCode.INVALID]


async def test_thirty_late_events_at_once_are_numbered_without_gaps(store: OrderStore, order_id: str) -> None:
    await ended(store, order_id)
    unanswered: list[Exception] = []

    async def answer(number: int) -> tuple[tuple[EventOutcome, ...], tuple[StoredEvent, ...]]:
        event = late(f"e-{number % 25}", EventType.ORDER_APPROVED)
        return await patiently(lambda: store.answer_late(order_id, (event,), NOON), unanswered)

    outcomes = await asyncio.gather(*map(answer, range(100, 130)))

    decided = [one for answers, _ in outcomes for one in answers]
    rejected = [one for one in decided if one.outcome is InboundOutcome.REJECTED]
    # Five ids came twice, and e-1 was decided before, in both its comings. One that got no answer may be recorded.
    assert 24 - len(unanswered) <= len(rejected) <= 24
    assert len(decided) == 30
    assert {one.outcome for one in decided if one not in rejected} == {InboundOutcome.DUPLICATE}
    assert len({one.sequence for one in rejected}) == len(rejected)
    stored = await store.record(PublishEvents(order_id=order_id))
    assert [event.sequence for event in stored] == list(range(4, 28))
    for _, unpublished in outcomes:
        sequences = [event.sequence for event in unpublished]
        assert sequences == list(range(4, 4 + len(sequences)))


async def test_a_late_decision_is_refused_with_who_made_it_and_what_it_said(store: OrderStore, order_id: str) -> None:
    await ended(store, order_id)
    body = {"cancelled_by": "Zoë", "reason": "too late"}
    event = InboundEvent(event_id="e-9", type=EventType.ORDER_CANCELLED, body=body)
    broken = event.model_copy(update={"event_id": "e-10", "body": {"cancelled_by": 7}})

    outcomes, stored = await store.answer_late(order_id, (event, broken, event), NOON)

    causes = [OUTBOUND_EVENT.validate_json(one.payload_json).cause for one in stored]
    assert causes[-2:] == [
        Cause(event_id="e-9", type=EventType.ORDER_CANCELLED, by="Zoë", note="too late"),
        Cause(event_id="e-10", type=EventType.ORDER_CANCELLED),
    ]
    digests = [fingerprint_of(event, order_id), fingerprint_of(broken, order_id), None]
    assert [one.body_digest for one in outcomes] == digests
    assert [one.sequence for one in outcomes] == [4, 5, None]
