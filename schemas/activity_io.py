"""What workflows and activities hand each other: one parameter and one result model for each.

These models are in the histories of running orders: a new field has a default, and no field is renamed or removed.
"""

from datetime import timedelta
from typing import Annotated, Self

from pydantic import Field, model_validator

from schemas.base import Currency, Identifier, MinorUnits, Model, Timestamp
from schemas.inbound import Address, InboundEvent, Item
from schemas.outbound import OutboundEvent
from schemas.states import InboundOutcome, OrderState, OrderStep, PaymentStatus, ReasonCode

Span = Annotated[timedelta, Field(gt=timedelta(0), le=timedelta(days=3_650))]
"""A positive length of time; the bound keeps every deadline within what Temporal and datetime can hold."""


class OrderPolicy(Model):
    """How long and how often.

    Taken from the settings by whoever starts a workflow, so that the workflow never reads the environment.
    """

    approval_timeout: Span = timedelta(seconds=30)
    """How long approval is awaited before the order is EXPIRED."""
    early_event_time_to_live: Span = timedelta(minutes=15)
    """How long events wait for their ``order.created``."""
    shipping_attempts: Annotated[int, Field(ge=1, le=100)] = 3
    shipping_retry_delay: Span = timedelta(seconds=2)
    """Between the end of a failed shipping attempt and the start of the next."""
    activity_start_to_close: Span = timedelta(seconds=4)
    """One attempt of one activity."""
    activity_schedule_to_close: Span = timedelta(minutes=10)
    """All attempts of one activity: an outage shorter than this delays an order and does not fail it."""
    retry_initial_interval: Span = timedelta(milliseconds=200)
    """Before an activity's second attempt; doubled each time."""
    retry_maximum_interval: Span = timedelta(seconds=10)
    """Longest pause between two attempts: what bounds how fast work goes on after an outage (I12)."""
    search_attributes: bool = False
    """Whether the run shows itself to Temporal's search. Off unless asked for: on a namespace that lacks the attributes
    every workflow task would fail, and runs of versions that knew none replay as they ran."""

    @model_validator(mode="after")
    def _attempt_fits_within_all_attempts(self) -> Self:
        if self.activity_schedule_to_close < self.activity_start_to_close:
            raise ValueError("activity_schedule_to_close is shorter than activity_start_to_close")
        return self


class OrderDetails(Model):
    """What an order is, as accepted."""

    payment_id: Identifier
    customer_id: str | None = None
    currency: Currency = "USD"
    amount: MinorUnits = 0
    items: Annotated[tuple[Item, ...], Field(strict=False)] = ()
    address: Address = Address()


class OrderWorkflowInput(Model):
    """Starts `OrderWorkflow`."""

    order_id: Identifier
    policy: OrderPolicy = OrderPolicy()
    shipping_task_queue: Annotated[str, Field(min_length=1)] | None = None
    """Where the workers of `ShippingWorkflow` listen; None for the queue `shipping-tq`."""


class OrderResult(Model):
    """What an order came to."""

    order_id: Identifier
    state: OrderState
    reason: ReasonCode | None = None
    address: Address | None = None
    tracking_id: str | None = None
    last_sequence: int = 0


class OrderStatus(Model):
    """Answer to the ``status`` query."""

    order_id: Identifier
    state: OrderStep
    """Where the workflow is."""
    order_state: OrderState | None = None
    """The last state recorded and published, or waiting to be."""
    reason: ReasonCode | None = None
    waits_for: str | None = None
    """What has to happen next, in a few words for a person; None once over."""
    approved: bool = False
    payment_id: str | None = None
    amount: int | None = None
    currency: str | None = None
    address: Address | None = None
    tracking_id: str | None = None
    shipping_attempt: int = 0
    """1 for the first; 0 before it."""
    last_sequence: int = 0
    held_events: int = 0
    """Events in the inbox that are not yet decided."""


# Activities ---------------------------------------------------------------------------------------------------------


class LookUpOrder(Model):
    """Parameter of ``look_up_order``, every run's first activity."""

    order_id: Identifier


class OrderSnapshot(Model):
    """What Postgres knows of an order; nothing of it where the order is new."""

    details: OrderDetails | None = None
    """None where no ``order.created`` was ever accepted."""
    state: OrderState | None = None
    """Where the last recorded transition led; None where `details` were kept and no transition was recorded yet."""
    last_sequence: int = 0
    """Of the audit table: numbers go on from here."""
    settled_event_ids: tuple[str, ...] = Field(default=(), strict=False)
    """Inbound events of this order that are already decided, of an order that is not over yet."""
    address_updated_at: Timestamp | None = None
    """Event time of the last address update that was applied."""
    tracking_id: str | None = None
    reason: ReasonCode | None = None
    """Of the last state."""


class ReceiveOrder(Model):
    """Parameter of ``receive_order``: the order is kept before anything is done for it."""

    order_id: Identifier
    details: OrderDetails


class ValidateOrder(Model):
    """Parameter of ``validate_order``."""

    order_id: Identifier
    details: OrderDetails


class ValidationResult(Model):
    """Whether the order may go on."""

    valid: bool
    reason: ReasonCode | None = None


class ChargePayment(Model):
    """Parameter of ``charge_payment``, which is idempotent on `payment_id`."""

    order_id: Identifier
    payment_id: Identifier
    amount: MinorUnits
    currency: Currency


class ChargeResult(Model):
    """What came of a charge."""

    status: PaymentStatus
    """CHARGED or DECLINED."""
    reason: ReasonCode | None = None
    """Why it was declined."""


class RefundPayment(Model):
    """Parameter of ``refund_payment``, which is idempotent and does nothing without a charge."""

    order_id: Identifier
    payment_id: Identifier


class RefundResult(Model):
    """What came of a refund."""

    status: PaymentStatus
    """REFUNDED after a charge; VOIDED where nothing had been charged and now nothing can be."""


class Shipment(Model):
    """Parameter of ``prepare_package`` and ``dispatch_carrier``, which are idempotent by order."""

    order_id: Identifier
    address: Address
    attempt: Annotated[int, Field(ge=1)] = 1


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


class SettledEvent(Model):
    """What became of one inbound event, for `inbound_events`."""

    event_id: str
    type: str
    outcome: InboundOutcome
    reason: ReasonCode | None = None
    at: Timestamp


class OrderProjection(Model):
    """The order's row after the events of a batch; guarded by the batch's last sequence."""

    state: OrderState | None = None
    details: OrderDetails
    address_updated_at: Timestamp | None = None
    tracking_id: str | None = None
    reason: ReasonCode | None = None


class PublishEvents(Model):
    """Parameter of ``publish_events``: consecutive events of one order, and what is recorded with them."""

    order_id: Identifier
    events: Annotated[tuple[OutboundEvent, ...], Field(strict=False)] = ()
    settled: Annotated[tuple[SettledEvent, ...], Field(strict=False)] = ()
    projection: OrderProjection | None = None
    """None where the order was never accepted."""


class SettleLateEvents(Model):
    """Parameter of ``settle_late_events``: events for an order whose life is over, decided from Postgres.

    Each is a duplicate (nothing happens) or is recorded and published as an ``order.event_rejected``.
    """

    order_id: Identifier
    events: Annotated[tuple[InboundEvent, ...], Field(strict=False)]


class LateEventInput(Model):
    """Starts `LateEventWorkflow`."""

    order_id: Identifier
    event: InboundEvent
    policy: OrderPolicy = OrderPolicy()


class SettledLateEvents(Model):
    """What became of late events, in their order."""

    settled: Annotated[tuple[SettledEvent, ...], Field(strict=False)] = ()


# Shipping -----------------------------------------------------------------------------------------------------------


class ShippingInput(Model):
    """Starts `ShippingWorkflow`, one attempt to ship an order."""

    order_id: Identifier
    address: Address
    attempt: Annotated[int, Field(ge=1)]
    policy: OrderPolicy = OrderPolicy()


class ShippingMilestone(Model):
    """Argument of the signal by which a shipping attempt tells its order how far it is."""

    state: OrderState
    """PACKAGE_PREPARED or CARRIER_DISPATCHED."""
    attempt: Annotated[int, Field(ge=1)]
    tracking_id: str | None = None


class ShippingResult(Model):
    """What a shipping attempt came to; an attempt that fails fails its workflow."""

    package_id: str
    tracking_id: str
