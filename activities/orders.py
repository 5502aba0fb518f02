"""Activities on the application's own records of an order, and the way out to ``order.events``."""

from dataclasses import dataclass

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.errors import SEQUENCE_CONFLICT
from activities.ports import EventPublisher, OrderStore, SequenceConflictError
from schemas.base import AMOUNT_MAX
from schemas.orchestration import (
    LookUpOrder,
    MarkOrderShipped,
    OrderSnapshot,
    PublishEvents,
    ReceiveOrder,
    SettledLateEvents,
    SettleLateEvents,
    ValidateOrder,
    ValidationResult,
)
from schemas.states import ReasonCode


@dataclass(frozen=True, slots=True)
class OrderRules:
    """What an order must satisfy beyond its form."""

    amount_max: int = AMOUNT_MAX
    """Highest total, in minor units of the order's currency."""


class OrderActivities:
    """Reads and writes orders and their events."""

    def __init__(self, store: OrderStore, publisher: EventPublisher, rules: OrderRules) -> None:
        self._store = store
        self._publisher = publisher
        self._rules = rules

    @activity.defn
    async def look_up_order(self, request: LookUpOrder) -> OrderSnapshot:
        """What the database knows of the order: nothing, an interrupted life, or a finished one."""
        return await self._store.look_up(request.order_id)

    @activity.defn
    async def receive_order(self, request: ReceiveOrder) -> None:
        """Keeps the order before anything is done for it."""
        await self._store.receive(request.order_id, request.details)

    @activity.defn
    async def validate_order(self, request: ValidateOrder) -> ValidationResult:
        """Checks the order against the rules of the house."""
        if request.details.amount > self._rules.amount_max:
            return ValidationResult(valid=False, reason=ReasonCode.AMOUNT_OVER_LIMIT)
        return ValidationResult(valid=True)

    @activity.defn
    async def mark_order_shipped(self, request: MarkOrderShipped) -> None:
        """Marks the order's row as shipped."""
        await self._store.mark_shipped(request.order_id)

    @activity.defn
    async def publish_events(self, batch: PublishEvents) -> None:
        """Records a batch of events, then publishes it.

        It may run twice, at any point: rows and ids are derived from order and sequence, so the database ignores the
        repeat and consumers can.
        """
        try:
            stored = await self._store.record(batch)
        except SequenceConflictError as error:
            raise ApplicationError(str(error), type=SEQUENCE_CONFLICT, non_retryable=True) from error
        if stored:
            await self._publisher.publish(stored)
            await self._store.mark_published(batch.order_id, stored[-1].sequence)

    @activity.defn
    async def settle_late_events(self, request: SettleLateEvents) -> SettledLateEvents:
        """Answers events for an order whose life is over: a duplicate changes nothing, any other is rejected.

        Publishes what is recorded and not yet known to be published, so that a crash between the two loses nothing and
        keeps the order of first occurrences.
        """
        settled, stored = await self._store.settle_late(request.order_id, request.events)
        if stored:
            await self._publisher.publish(stored)
            await self._store.mark_published(request.order_id, stored[-1].sequence)
        return SettledLateEvents(settled=settled)
