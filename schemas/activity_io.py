"""What workflows and activities hand each other: one parameter and one result model for each.

These models are in the histories of running orders: a new field has a default, and no field is renamed or removed.
"""

from datetime import datetime, timedelta
from typing import Annotated

from pydantic import Field

from schemas.base import Currency, Identifier, MinorUnits, Model, Timestamp
from schemas.event_types import EventType
from schemas.inbound import InboundEvent
from schemas.order import Address, OrderDetails, Patience
from schemas.outbound import OrderStateChanged, OutboundEvent
from schemas.states import InboundOutcome, OrderState, PaymentStatus, ReasonCode


class LookUpOrder(Model):
    """Parameter of ``look_up_order``, every run's first activity."""

    order_id: Identifier


class DecidedEvent(Model):
    """An inbound event that was decided, as far as a later one is a repeat of it."""

    event_id: str
    type: str
    reused: bool = False
    """Whether it was refused because its id had been used for an event of another type."""


class OrderSnapshot(Model):
    """What Postgres knows of an order. Every field has its default where the order is new."""

    details: OrderDetails | None = None
    """None where no ``order.created`` was ever accepted."""
    state: OrderState | None = None
    """State that the last recorded transition led to; None where no transition is recorded."""
    last_sequence: int = 0
    """Last number in the audit table. The order's next event has the next one."""
    decided_events: tuple[DecidedEvent, ...] = Field(default=(), strict=False)
    """The inbound events that are decided; empty once the order is over, as the database answers then."""
    address_updated_at: Timestamp | None = None
    """Event time of the last address update that was applied."""
    tracking_id: str | None = None
    reason: ReasonCode | None = None
    """Of the last state."""
    approval_deadline: Timestamp | None = None
    """Until when approval is awaited, as it was recorded and published with VALIDATED."""
    decided_by: str | None = None
    """Who approved or cancelled the order, where the event said so."""
    is_published: bool = True
    """Whether all that is recorded is known to be published."""


class ValidateOrder(Model):
    """Parameter of ``validate_order``."""

    order_id: Identifier
    details: OrderDetails


class ValidationResult(Model):
    """Result of ``validate_order``: whether the order may go on."""

    valid: bool
    reason: ReasonCode | None = None


class ChargePayment(Model):
    """Parameter of ``charge_payment``, which is idempotent on `payment_id`."""

    order_id: Identifier
    payment_id: Identifier
    amount: MinorUnits
    currency: Currency
    patience: Patience = Patience()


class ChargeResult(Model):
    """Result of ``charge_payment``."""

    status: PaymentStatus
    """CHARGED or DECLINED."""
    reason: ReasonCode | None = None
    """Why it was declined."""


class RefundPayment(Model):
    """Parameter of ``refund_payment``, which is idempotent and does nothing without a charge."""

    order_id: Identifier
    payment_id: Identifier
    patience: Patience = Patience(time_allowed=None)


class RefundResult(Model):
    """Result of ``refund_payment``."""

    status: PaymentStatus
    """REFUNDED after a charge; VOIDED where nothing had been charged and now nothing can be."""


class Shipment(Model):
    """Parameter of ``prepare_package`` and ``dispatch_carrier``, which are idempotent by order."""

    order_id: Identifier
    address: Address
    attempt: Annotated[int, Field(ge=1)] = 1
    patience: Patience = Patience()


class PreparedPackage(Model):
    """Result of ``prepare_package``."""

    package_id: str


class DispatchedCarrier(Model):
    """Result of ``dispatch_carrier``."""

    tracking_id: str


class EventOutcome(Model):
    """How one inbound event was decided, as the table `inbound_events` keeps it."""

    event_id: str
    type: str
    outcome: InboundOutcome
    reason: ReasonCode | None = None
    at: Timestamp
    body_digest: str | None = None
    """`schemas.event_types.fingerprint_of` the event; None where it is not kept: of a duplicate, and of old rows."""
    sequence: int | None = None
    """The number of the order's event that says so, which names this one as its cause; None as above."""


class OrderProjection(Model):
    """The order's row in `orders` after the events of a batch. It never overwrites a row of a later sequence."""

    state: OrderState | None = None
    details: OrderDetails
    address_updated_at: Timestamp | None = None
    tracking_id: str | None = None
    reason: ReasonCode | None = None
    approval_deadline: Timestamp | None = None
    """Until when approval was awaited; None before VALIDATED."""
    decided_by: str | None = None
    """Who approved or cancelled the order, where the event said so."""


class PublishEvents(Model):
    """Parameter of ``publish_events`` and ``mark_order_shipped``.

    Consecutive events of one order, and the outcomes recorded with them.
    """

    order_id: Identifier
    events: Annotated[tuple[OutboundEvent, ...], Field(strict=False)] = ()
    outcomes: Annotated[tuple[EventOutcome, ...], Field(strict=False)] = ()
    projection: OrderProjection | None = None
    """None where the order was never accepted."""


class PublishedEvents(Model):
    """Result of ``publish_events`` and ``mark_order_shipped``: all is recorded and published, but for one case."""

    recorded_earlier: Annotated[tuple[OutboundEvent, ...], Field(strict=False)] = ()
    """Events that are recorded already under numbers of the batch: the same decisions, made at another time.

    Where there are any, nothing of the batch is recorded now. The run takes them for its own, and sends the rest.
    """


class ReceiveOrder(PublishEvents):
    """Parameter of ``receive_order``, which finds, checks and keeps a new order at once.

    Its events are the order's first ones, as they are where nothing is known of it and the rules of the house take it.
    """

    projection: OrderProjection

    def made_at(self, moment: datetime) -> "ReceiveOrder":
        """The same, decided at another moment, with the deadline counted from there.

        The activity records it so, and the run then asks the same, to know what is recorded of it.

        Args:
            moment: in place of the one at which all of the events were made.
        """
        later = moment - self.events[0].occurred_at
        outcomes = tuple(one.model_copy(update={"at": one.at + later}) for one in self.outcomes)
        row = self.projection
        if row.approval_deadline is not None:
            row = row.model_copy(update={"approval_deadline": row.approval_deadline + later})
        events = tuple(_made_later(event, later) for event in self.events)
        return self.model_copy(update={"events": events, "outcomes": outcomes, "projection": row})


def _made_later(event: OutboundEvent, later: timedelta) -> OutboundEvent:
    times = {"occurred_at": event.occurred_at + later}
    if isinstance(event, OrderStateChanged) and event.approval_deadline is not None:
        times["approval_deadline"] = event.approval_deadline + later
    return event.model_copy(update=times)


class ReceivedOrder(Model):
    """Result of ``receive_order``: the order is kept, or what stands against that."""

    opened_at: Timestamp | None = None
    """When the events were made that are recorded and published now; None where nothing was written."""
    snapshot: OrderSnapshot | None = None
    """What the database knows of the order, where nothing was written."""
    validation: ValidationResult | None = None
    """What the rules of the house say of the order, where they do not take it."""


class AnswerLateEvents(Model):
    """Parameter of ``answer_late_events``: events for an order whose life is over.

    Postgres decides them. An event is a duplicate, and nothing happens; or its refusal is recorded and published.
    """

    order_id: Identifier
    events: Annotated[tuple[InboundEvent, ...], Field(strict=False)]


class LateAnswers(Model):
    """Result of ``answer_late_events``: how each event was decided, in the order of the events."""

    outcomes: Annotated[tuple[EventOutcome, ...], Field(strict=False)] = ()


# Shipping -----------------------------------------------------------------------------------------------------------


# Expiry -------------------------------------------------------------------------------------------------------------


class Backlog(Model):
    """Records of one partition that were in Kafka at a certain moment, and were not handed over to Temporal by then."""

    topic: str
    partition: int
    end: int
    """The offset after the last of them."""
    records: int
    """How many there are at most: aborted transactions and compaction leave offsets without a record."""

    @property
    def in_words(self) -> str:
        """For a person: how much, and where."""
        counted = "1 record" if self.records == 1 else f"up to {self.records} records"
        return f"{counted} in {self.topic}:{self.partition}"


class FindBacklog(Model):
    """Parameter of ``find_backlog``: what is in Kafka by now that may decide the order otherwise."""

    order_id: Identifier
    event_types: Annotated[tuple[EventType, ...], Field(strict=False)]
    """Of the events that would."""


class FoundBacklog(Model):
    """What an order has to wait for; nothing where all of it was handed over."""

    partitions: Annotated[tuple[Backlog, ...], Field(strict=False)] = ()


class AwaitBacklog(Model):
    """Parameter of ``await_backlog``, which fails until the backlog is handed over."""

    order_id: Identifier
    partitions: Annotated[tuple[Backlog, ...], Field(strict=False)]
