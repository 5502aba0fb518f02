"""What workflows and activities hand each other: one parameter and one result model for each.

These models are in the histories of running orders: a new field has a default, and no field is renamed or removed.
"""

from typing import Annotated

from pydantic import Field

from schemas.base import Currency, Identifier, MinorUnits, Model, Timestamp
from schemas.event_types import EventType
from schemas.inbound import InboundEvent
from schemas.order import Address, OrderDetails, Patience
from schemas.outbound import OutboundEvent
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


class ReceiveOrder(Model):
    """Parameter of ``receive_order``, which keeps the order before anything is done for it."""

    order_id: Identifier
    details: OrderDetails


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


class MarkOrderShipped(Model):
    """Parameter of ``mark_order_shipped``."""

    order_id: Identifier
    tracking_id: str | None = None


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
    """Parameter of ``publish_events``: consecutive events of one order, and the outcomes recorded with them."""

    order_id: Identifier
    events: Annotated[tuple[OutboundEvent, ...], Field(strict=False)] = ()
    outcomes: Annotated[tuple[EventOutcome, ...], Field(strict=False)] = ()
    projection: OrderProjection | None = None
    """None where the order was never accepted."""


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
