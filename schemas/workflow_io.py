"""What workflows take, return and answer: one parameter and one result model for each.

These models are in the histories of running orders: a new field has a default, and no field is renamed or removed.
"""

from typing import Annotated

from pydantic import Field

from schemas.base import Identifier, Model, Timestamp
from schemas.inbound import InboundEvent
from schemas.order import Address, OrderPolicy
from schemas.states import OrderState, OrderStep, ReasonCode


class OrderWorkflowInput(Model):
    """Starts `OrderWorkflow`."""

    order_id: Identifier
    policy: OrderPolicy = OrderPolicy()
    shipping_task_queue: Annotated[str, Field(min_length=1)] | None = None
    """Where the workers of `ShippingWorkflow` listen; None for the queue `shipping-tq`."""


class OrderResult(Model):
    """Result of `OrderWorkflow`: how the order ended."""

    order_id: Identifier
    state: OrderState
    reason: ReasonCode | None = None
    address: Address | None = None
    tracking_id: str | None = None
    last_sequence: int = 0


class OrderStatus(Model):
    """Answer to the ``status`` query."""

    order_id: Identifier
    step: OrderStep
    """Where the workflow is."""
    state: OrderState | None = None
    """Where the last transition led, which is recorded and published, or waits to be."""
    reason: ReasonCode | None = None
    waits_for: str | None = None
    """What has to happen next, in a few words for a person; None once the order is over."""
    waits_until: Timestamp | None = None
    """Until when the present step waits, on the order's own clock; None where it waits without limit."""
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
    """Number of events that arrived and are not decided."""


class EventQuery(Model):
    """Parameter of the ``event`` query: which inbound event is asked for."""

    event_id: str
    type: str


class EventStatus(Model):
    """Answer to the ``event`` query, for an event whose outcome is not recorded."""

    held: bool
    """Whether it came too early, and is kept until its turn comes."""
    waits_for: str | None = None
    """What the order waits for, in a few words for a person."""
    waits_until: Timestamp | None = None
    """Until when; None where it waits without limit, as for work of our own, which takes moments."""


class LateEventInput(Model):
    """Starts `LateEventWorkflow`."""

    order_id: Identifier
    event: InboundEvent
    policy: OrderPolicy = OrderPolicy()


class ShippingInput(Model):
    """Starts `ShippingWorkflow`, one attempt to ship an order."""

    order_id: Identifier
    address: Address
    attempt: Annotated[int, Field(ge=1)]
    policy: OrderPolicy = OrderPolicy()


class ShippingMilestone(Model):
    """Argument of the signal by which a shipping attempt tells its order how far the attempt is."""

    state: OrderState
    """PACKAGE_PREPARED or CARRIER_DISPATCHED."""
    attempt: Annotated[int, Field(ge=1)]
    tracking_id: str | None = None


class ShippingResult(Model):
    """Result of `ShippingWorkflow`. An attempt that fails has none: its workflow fails."""

    package_id: str
    tracking_id: str
