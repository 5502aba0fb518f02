"""The order activities on the ports in memory: what is published, and in which order, wherever they are interrupted."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.errors import DATABASE_UNAVAILABLE, KAFKA_UNAVAILABLE, SEQUENCE_CONFLICT
from activities.orders import PUBLISHED_AT_ONCE_MAX, OrderActivities, OrderRules
from schemas.activity_io import (
    AnswerLateEvents,
    LookUpOrder,
    OrderProjection,
    OrderSnapshot,
    PublishEvents,
    ReceivedOrder,
    ReceiveOrder,
    ValidateOrder,
    ValidationResult,
)
from schemas.inbound import InboundEvent
from schemas.order import OrderDetails
from schemas.outbound import OrderStateChanged
from schemas.states import InboundOutcome, OrderState, ReasonCode
from tests.helpers.fakes import InMemoryOrderStore, RecordingPublisher

ORDER_ID = "o-1"
DETAILS = OrderDetails(payment_id="p-1", amount=1250)
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.fixture
def store() -> InMemoryOrderStore:
    return InMemoryOrderStore()


@pytest.fixture
def publisher() -> RecordingPublisher:
    return RecordingPublisher()


@pytest.fixture
def activities(store: InMemoryOrderStore, publisher: RecordingPublisher) -> OrderActivities:
    return OrderActivities(store, publisher, OrderRules(amount_max=2000))


def batch(*sequences: int, state: OrderState = OrderState.RECEIVED) -> PublishEvents:
    events = tuple(
        OrderStateChanged(
            order_id=ORDER_ID, sequence=sequence, state=state, occurred_at=NOON + timedelta(seconds=sequence)
        )
        for sequence in sequences
    )
    return PublishEvents(
        order_id=ORDER_ID, events=events, projection=OrderProjection(state=state, details=DETAILS)
    )  # fmt: skip


async def run(activity: Any, argument: Any, environment: ActivityEnvironment | None = None) -> Any:
    return await (environment or ActivityEnvironment()).run(activity, argument)


def published(publisher: RecordingPublisher) -> list[int]:
    return [event.sequence for event in publisher.published]


async def test_what_is_recorded_is_published_in_order(
    activities: OrderActivities, store: InMemoryOrderStore, publisher: RecordingPublisher
) -> None:
    await run(activities.publish_events, batch(1, 2))

    assert publisher.published == store.orders[ORDER_ID].events
    assert published(publisher) == [1, 2]


async def test_nothing_is_published_that_was_not_recorded(
    activities: OrderActivities, store: InMemoryOrderStore, publisher: RecordingPublisher
) -> None:
    store.fail_next(1, "record")

    with pytest.raises(ApplicationError) as failed:
        await run(activities.publish_events, batch(1))

    assert (failed.value.type, failed.value.non_retryable) == (DATABASE_UNAVAILABLE, False)
    assert published(publisher) == []


async def test_a_lost_answer_of_the_database_doubles_nothing(
    activities: OrderActivities, store: InMemoryOrderStore, publisher: RecordingPublisher
) -> None:
    store.lose_next_answers(1, "record")

    with pytest.raises(ApplicationError):
        await run(activities.publish_events, batch(1, 2))
    await run(activities.publish_events, batch(1, 2))

    assert published(publisher) == [1, 2]
    assert len(store.orders[ORDER_ID].events) == 2


@pytest.mark.parametrize("port", ["publish lost", "publish refused", "mark_published"])
async def test_a_failure_between_commit_and_acknowledgement_is_made_good_byte_by_byte(
    activities: OrderActivities, store: InMemoryOrderStore, publisher: RecordingPublisher, port: str
) -> None:
    if port == "publish lost":
        publisher.lose_next_answers(1, "publish")
    elif port == "publish refused":
        publisher.fail_next(1, "publish")
    else:
        store.fail_next(1, "mark_published")

    with pytest.raises(ApplicationError) as failed:
        await run(activities.publish_events, batch(1, 2))
    # A later batch of the same order repairs it as well as a repeat would.
    await run(activities.publish_events, batch(3))

    assert failed.value.type == (DATABASE_UNAVAILABLE if port == "mark_published" else KAFKA_UNAVAILABLE)
    assert list(dict.fromkeys(published(publisher))) == [1, 2, 3]
    assert len(set(publisher.published)) == 3, "repeats are the same to the byte"


async def test_a_long_backlog_progresses_in_spite_of_failures(
    activities: OrderActivities, store: InMemoryOrderStore, publisher: RecordingPublisher
) -> None:
    size = PUBLISHED_AT_ONCE_MAX
    await store.record(batch(*range(1, 3 * size + 1)))
    for attempt in (1, 2):
        publisher.fail_next(1, "publish", after=1)
        with pytest.raises(ApplicationError):
            await run(activities.publish_events, PublishEvents(order_id=ORDER_ID))
        assert store.orders[ORDER_ID].last_published_sequence == attempt * size

    await run(activities.publish_events, PublishEvents(order_id=ORDER_ID))

    assert published(publisher) == list(range(1, 3 * size + 1))


async def test_a_conflict_is_told_by_its_type_and_is_not_retried(
    activities: OrderActivities, publisher: RecordingPublisher
) -> None:
    await run(activities.publish_events, batch(1))

    with pytest.raises(ApplicationError) as failed:
        await run(activities.publish_events, batch(1, state=OrderState.CANCELLED))

    assert (failed.value.type, failed.value.non_retryable) == (SEQUENCE_CONFLICT, True)
    assert published(publisher) == [1]


def opening(**changes: object) -> ReceiveOrder:
    first = batch(1)
    projection = OrderProjection(state=OrderState.RECEIVED, details=DETAILS.model_copy(update=changes))
    return ReceiveOrder(order_id=ORDER_ID, events=first.events, projection=projection)


def begun(at: datetime) -> ActivityEnvironment:
    """An attempt that has begun at a time."""
    environment = ActivityEnvironment()
    environment.info = replace(environment.info, started_time=at)
    return environment


async def test_a_new_order_is_received_at_once_kept_and_published(
    activities: OrderActivities, store: InMemoryOrderStore, publisher: RecordingPublisher
) -> None:
    received = await run(activities.receive_order, opening())

    assert received.opened_at == opening().events[0].occurred_at
    assert published(publisher) == [1]
    assert store.calls["look_up"] == 0
    snapshot = await run(activities.look_up_order, LookUpOrder(order_id=ORDER_ID))
    assert (snapshot.details, snapshot.state) == (DETAILS, OrderState.RECEIVED)


async def test_a_new_orders_time_begins_with_the_attempt_that_keeps_it(
    activities: OrderActivities, store: InMemoryOrderStore
) -> None:
    """Its run has asked long ago: the database was away since, or no worker was there."""
    told = opening()
    deadline = told.events[0].occurred_at + timedelta(seconds=30)
    validated = told.events[0].model_copy(update={"approval_deadline": deadline})
    projection = told.projection.model_copy(update={"approval_deadline": deadline})
    told = told.model_copy(update={"events": (validated,), "projection": projection})

    received = await run(activities.receive_order, told, begun(NOON + timedelta(hours=5)))

    assert received.opened_at == NOON + timedelta(hours=5)
    (event,) = store.events_of(ORDER_ID)
    assert isinstance(event, OrderStateChanged)
    assert (event.occurred_at, event.approval_deadline) == (
        NOON + timedelta(hours=5),
        NOON + timedelta(hours=5, seconds=30),
    )
    snapshot = await run(activities.look_up_order, LookUpOrder(order_id=ORDER_ID))
    assert snapshot.approval_deadline == event.approval_deadline


@pytest.mark.parametrize("lost", ["answer", "publication"])
async def test_what_an_earlier_attempt_has_kept_stands_and_is_looked_up(
    activities: OrderActivities, store: InMemoryOrderStore, publisher: RecordingPublisher, lost: str
) -> None:
    if lost == "answer":
        store.lose_next_answers(1, "record")
    else:
        publisher.fail_next(1, "publish")
    with pytest.raises(ApplicationError):
        await run(activities.receive_order, opening(), begun(NOON + timedelta(hours=1)))

    received = await run(activities.receive_order, opening(), begun(NOON + timedelta(hours=2)))

    assert received.opened_at is None
    assert (received.snapshot.state, received.snapshot.is_published) == (OrderState.RECEIVED, False)
    (event,) = store.events_of(ORDER_ID)
    assert event.occurred_at == NOON + timedelta(hours=1)
    assert published(publisher) == []


async def test_an_order_that_is_known_is_looked_up_and_not_received_again(
    activities: OrderActivities, store: InMemoryOrderStore, publisher: RecordingPublisher
) -> None:
    await run(activities.publish_events, batch(1, state=OrderState.CANCELLED))

    received = await run(activities.receive_order, opening())

    assert (received.opened_at, received.snapshot.state) == (None, OrderState.CANCELLED)
    assert len(store.orders[ORDER_ID].events) == 1
    assert published(publisher) == [1]


async def test_an_order_that_the_rules_refuse_is_looked_up_and_nothing_is_written(
    activities: OrderActivities, store: InMemoryOrderStore
) -> None:
    received = await run(activities.receive_order, opening(amount=2001))

    assert received == ReceivedOrder(
        snapshot=OrderSnapshot(), validation=ValidationResult(valid=False, reason=ReasonCode.AMOUNT_OVER_LIMIT)
    )
    assert not store.orders[ORDER_ID].events


async def test_what_is_recorded_already_is_said_and_nothing_is_published_with_it(
    activities: OrderActivities, store: InMemoryOrderStore, publisher: RecordingPublisher
) -> None:
    await store.record(batch(1))
    later = batch(1, 2)
    moved = tuple(event.model_copy(update={"occurred_at": NOON + timedelta(days=1)}) for event in later.events)

    answer = await run(activities.publish_events, later.model_copy(update={"events": moved}))

    assert answer.recorded_earlier == batch(1).events
    assert published(publisher) == []
    assert len(store.orders[ORDER_ID].events) == 1


async def test_an_order_is_marked_as_shipped_by_its_record(
    activities: OrderActivities, store: InMemoryOrderStore, publisher: RecordingPublisher
) -> None:
    await run(activities.mark_order_shipped, batch(1, 2, state=OrderState.SHIPPED))

    assert store.orders[ORDER_ID].state is OrderState.SHIPPED
    assert published(publisher) == [1, 2]


@pytest.mark.parametrize("required", [False, True])
@pytest.mark.parametrize("is_priced", [False, True])
async def test_an_order_without_an_amount_is_refused_where_one_is_required(is_priced: bool, required: bool) -> None:
    rules = OrderRules(amount_required=required)
    activities = OrderActivities(InMemoryOrderStore(), RecordingPublisher(), rules)
    details = DETAILS.model_copy(update={"amount": 0, "is_priced": is_priced})

    result = await run(activities.validate_order, ValidateOrder(order_id=ORDER_ID, details=details))

    refused = required and not is_priced
    assert (result.valid, result.reason) == (not refused, ReasonCode.AMOUNT_MISSING if refused else None)


@pytest.mark.parametrize(("amount", "valid"), [(0, True), (2000, True), (2001, False)])
async def test_an_amount_above_the_limit_is_not_valid(activities: OrderActivities, amount: int, *, valid: bool) -> None:
    details = DETAILS.model_copy(update={"amount": amount})

    result = await run(activities.validate_order, ValidateOrder(order_id=ORDER_ID, details=details))

    assert result.valid is valid
    assert result.reason == (None if valid else ReasonCode.AMOUNT_OVER_LIMIT)


def late(*event_ids: str) -> AnswerLateEvents:
    events = tuple(InboundEvent(event_id=event_id, type="order.cancelled") for event_id in event_ids)
    return AnswerLateEvents(order_id=ORDER_ID, events=events)


async def test_a_late_event_is_answered_and_published_once(
    activities: OrderActivities, store: InMemoryOrderStore, publisher: RecordingPublisher
) -> None:
    first = await run(activities.answer_late_events, late("e-1"))
    again = await run(activities.answer_late_events, late("e-1"))

    assert [one.outcome for one in first.outcomes] == [InboundOutcome.REJECTED]
    assert [one.outcome for one in again.outcomes] == [InboundOutcome.DUPLICATE]
    assert published(publisher) == [1]
    assert set(store.outcomes_of(ORDER_ID)) == {"e-1"}


async def test_a_repeated_attempt_at_a_late_event_publishes_what_the_first_recorded(
    activities: OrderActivities, publisher: RecordingPublisher
) -> None:
    publisher.fail_next(1, "publish")
    environment = ActivityEnvironment()

    with pytest.raises(ApplicationError):
        await run(activities.answer_late_events, late("e-1"), environment)
    await run(activities.answer_late_events, late("e-1"), environment)

    assert published(publisher) == [1]


async def test_signals_sent_by_hand_get_an_id_that_is_the_same_in_every_attempt(
    activities: OrderActivities, store: InMemoryOrderStore, publisher: RecordingPublisher
) -> None:
    publisher.fail_next(1, "publish")
    environment = ActivityEnvironment()

    with pytest.raises(ApplicationError):
        await run(activities.answer_late_events, late("", ""), environment)
    await run(activities.answer_late_events, late("", ""), environment)

    assert published(publisher) == [1, 2], "two events without an id are two"
    assert len(store.outcomes_of(ORDER_ID)) == 2
