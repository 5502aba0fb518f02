"""What upstream systems publish: the bodies of the four topics, and the envelope that Temporal carries."""

from typing import Annotated, Any, Literal, Self

from pydantic import FailFast, Field, ValidationError, model_validator
from pydantic.functional_validators import ModelWrapValidatorHandler
from pydantic_core import PydanticCustomError

from schemas.base import AMOUNT_MAX, Currency, EventId, Identifier, MinorUnits, Model, Text, Timestamp
from schemas.order import Address, AddressUpdate, Item

ITEMS_MAX = 1_000
"""Most lines of one order: bounds the work and the size of one message."""


class InboundBody(Model):
    """What every inbound message has."""

    order_id: Identifier
    event_id: EventId | None = None
    """The event's identity where no CloudEvents id is given; the same id again is a duplicate."""
    occurred_at: Timestamp | None = None
    """When it happened upstream, where no ``ce_time`` is given."""


class OrderCreated(InboundBody):
    """An order was placed. ``{"order_id": "o-1", "payment_id": "p-1"}`` is a whole one."""

    payment_id: Identifier
    customer_id: Text | None = None
    currency: Currency = "USD"
    # FailFast: a message of 512 KiB has room for 500,000 mistakes, and they would all be collected, for over a second.
    items: Annotated[tuple[Item, ...], FailFast(), Field(strict=False, max_length=ITEMS_MAX)] = ()
    amount: MinorUnits | None = None
    """Total in minor units; absent, it is the sum of the items."""
    shipping_address: Address | None = None

    @model_validator(mode="after")
    def _amount_is_the_sum_of_the_items(self) -> Self:
        if self.items and self.amount is not None and self.amount != self._sum_of_items():
            raise PydanticCustomError(
                "amount_mismatch", "amount is not the sum of quantity x unit_amount over the items"
            )
        if self.total > AMOUNT_MAX:
            raise PydanticCustomError(
                "amount_too_large", "the order's total is above {limit} minor units", {"limit": AMOUNT_MAX}
            )
        return self

    def _sum_of_items(self) -> int:
        return sum(item.quantity * item.unit_amount for item in self.items)

    @property
    def total(self) -> int:
        """What the order costs, in minor units of its currency."""
        return self._sum_of_items() if self.amount is None else self.amount


class OrderApproved(InboundBody):
    """A person or a system approved the order."""

    approved_by: Text | None = None
    note: Text | None = None


class OrderCancelled(InboundBody):
    """The order is no longer wanted."""

    cancelled_by: Text | None = None
    reason: Text | None = None


class OrderAddressUpdated(InboundBody):
    """The order goes elsewhere."""

    address: AddressUpdate


class InboundEvent(Model):
    """An event on its way to a workflow: the argument of every signal.

    Every field has a default and a malformed payload becomes a `malformed` envelope, so that no argument can fail
    to decode (the SDK drops a signal whose argument does; seen in temporalio 1.35). A person may therefore send a
    signal by hand from the Temporal UI, with ``{"body": {...}}`` or nothing at all.
    """

    event_id: EventId | Literal[""] = ""
    """Identity for deduplication; empty for a signal sent by hand, which counts as a new event."""
    type: Annotated[Text, Field(max_length=128)] = ""
    """An `EventType`; empty for a signal sent by hand, which has the type of its handler."""
    occurred_at: Timestamp | None = None
    """When it happened upstream; None where nobody said."""
    arrived_at: Timestamp | None = None
    """When the workflow took it. The workflow says so itself, whatever a sender says."""
    body: dict[str, Any] = Field(default_factory=dict)
    """The message's body, of the model that `schemas.event_types.INBOUND` names for the type."""
    malformed: bool = False
    """Whether the payload was not an envelope at all; it is then answered as invalid."""

    @model_validator(mode="wrap")
    @classmethod
    def _never_fails(cls, value: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        if value is None:
            return cls()
        try:
            return handler(value)
        except ValidationError:
            return cls(malformed=True)
