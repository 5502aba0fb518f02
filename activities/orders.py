"""Activities on the application's own records of an order, and the way out to ``order.events``."""

from dataclasses import dataclass
from typing import Final

from temporalio import activity

from activities.errors import as_application_errors
from activities.failpoints import Failpoint, Failpoints, NoFailpoints
from activities.ports import (
    EventPublisher,
    OrderStore,
    RecordedEarlierError,
    SequenceConflictError,
    StoredEvent,
)
from schemas.activity_io import (
    AnswerLateEvents,
    LateAnswers,
    LookUpOrder,
    OrderSnapshot,
    PublishedEvents,
    PublishEvents,
    ReceivedOrder,
    ReceiveOrder,
    ValidateOrder,
    ValidationResult,
)
from schemas.base import AMOUNT_MAX
from schemas.inbound import InboundEvent
from schemas.order import OrderDetails
from schemas.states import ReasonCode

PUBLISHED_AT_ONCE_MAX: Final = 20
"""Events published between two notes of how far the publishing came.

So many fit into an attempt's 4 s even where each waits for an acknowledgement of its own, as large ones do, and one
takes 100 ms; so a long backlog gets shorter with every attempt.
"""


@dataclass(frozen=True, slots=True)
class OrderRules:
    """The rules of the house, which an order must satisfy beyond its form."""

    amount_max: int = AMOUNT_MAX
    """Highest total, in minor units of the order's currency."""
    amount_required: bool = False
    """Whether an order must say what it costs."""


class OrderActivities:
    """Reads and writes orders and their events."""

    def __init__(
        self, store: OrderStore, publisher: EventPublisher, rules: OrderRules, failpoints: Failpoints | None = None
    ) -> None:
        self._store = store
        self._publisher = publisher
        self._rules = rules
        self._failpoints: Failpoints = failpoints or NoFailpoints()

    @activity.defn
    async def look_up_order(self, request: LookUpOrder) -> OrderSnapshot:
        """What the database knows of the order: nothing, an interrupted life, or a finished one."""
        with as_application_errors():
            return await self._store.look_up(request.order_id)

    @activity.defn
    async def receive_order(self, request: ReceiveOrder) -> ReceivedOrder:
        """Finds, checks and keeps a new order at once: where nothing is known of it, its first events are recorded.

        They are recorded as what they begin with, the order's first number, so that the journal itself says whether
        the order is new. Of an order that is known nothing is written, nor of one that the rules of the house refuse.

        An outage may keep the order waiting for long, and the time for its approval must not pass before it is known.
        So its events are made when this attempt has begun, by Temporal's clock. What an earlier attempt has recorded
        stands, and is found by the look-up.
        """
        with as_application_errors():
            validation = self._validated(request.projection.details)
            if not validation.valid:
                return ReceivedOrder(snapshot=await self._store.look_up(request.order_id), validation=validation)
            opening = request.made_at(max(activity.info().started_time, request.events[0].occurred_at))
            try:
                unpublished = await self._store.record(opening)
            except (SequenceConflictError, RecordedEarlierError):
                return ReceivedOrder(snapshot=await self._store.look_up(request.order_id))
            await self._publish(request.order_id, unpublished)
            return ReceivedOrder(opened_at=opening.events[0].occurred_at)

    @activity.defn
    async def validate_order(self, request: ValidateOrder) -> ValidationResult:
        """Checks the order against the rules of the house."""
        return self._validated(request.details)

    def _validated(self, details: OrderDetails) -> ValidationResult:
        if self._rules.amount_required and not details.is_priced:
            return ValidationResult(valid=False, reason=ReasonCode.AMOUNT_MISSING)
        if details.amount > self._rules.amount_max:
            return ValidationResult(valid=False, reason=ReasonCode.AMOUNT_OVER_LIMIT)
        return ValidationResult(valid=True)

    @activity.defn
    async def mark_order_shipped(self, batch: PublishEvents) -> PublishedEvents:
        """Records and publishes that the order has left: ``publish_events`` of the batch that has SHIPPED in it."""
        with as_application_errors():
            return await self._record_and_publish(batch)

    @activity.defn
    async def publish_events(self, batch: PublishEvents) -> PublishedEvents:
        """Records a batch of events, then publishes all of the order's that are not known to be published.

        It may run twice, also side by side with itself: rows and ids are derived from order and sequence, so the
        database ignores the repeat and consumers can. A batch without events publishes what an interrupted run left
        unpublished.
        """
        with as_application_errors():
            return await self._record_and_publish(batch)

    async def _record_and_publish(self, batch: PublishEvents) -> PublishedEvents:
        try:
            unpublished = await self._store.record(batch)
        except RecordedEarlierError as earlier:
            return PublishedEvents(recorded_earlier=earlier.events)
        await self._publish(batch.order_id, unpublished)
        return PublishedEvents()

    @activity.defn
    async def answer_late_events(self, request: AnswerLateEvents) -> LateAnswers:
        """Answers events for an order whose life is over: a duplicate changes nothing, any other is rejected."""
        info = activity.info()
        # Not the clock: every attempt of this activity writes the same rows.
        at, origin = info.scheduled_time, f"signal:{info.workflow_run_id}:{info.activity_id}"
        with as_application_errors():
            events = _identified(request.events, origin)
            outcomes, stored = await self._store.answer_late(request.order_id, events, at)
            await self._publish(request.order_id, stored)
        return LateAnswers(outcomes=outcomes)

    async def _publish(self, order_id: str, stored: tuple[StoredEvent, ...]) -> None:
        """Publishes consecutive events that begin at the first one not known to be published.

        Whoever publishes a sequence has published all before it, or knows them to be published. So first occurrences
        are in order, however many publish an order's events at once and wherever they are interrupted (I7).
        """
        await self._failpoints.reach(Failpoint.AFTER_RECORD)
        for start in range(0, len(stored), PUBLISHED_AT_ONCE_MAX):
            chunk = stored[start : start + PUBLISHED_AT_ONCE_MAX]
            await self._publisher.publish(chunk)
            await self._failpoints.reach(Failpoint.AFTER_PUBLISH)
            await self._store.mark_published(order_id, chunk[-1].sequence)


def _identified(events: tuple[InboundEvent, ...], origin: str) -> tuple[InboundEvent, ...]:
    """Gives an id to each event without one, which a person signalled by hand: the same id in every attempt."""
    return tuple(
        event if event.event_id else event.model_copy(update={"event_id": f"{origin}:{position}"})
        for position, event in enumerate(events)
    )
