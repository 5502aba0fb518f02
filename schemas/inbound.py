"""What upstream systems publish: the bodies of the four topics, and the envelope that Temporal carries."""

from typing import Annotated, Any, Final, Literal, Self

from pydantic import FailFast, Field, ValidationError, model_validator
from pydantic.functional_validators import ModelWrapValidatorHandler
from pydantic_core import PydanticCustomError

from schemas.base import (
    AMOUNT_MAX,
    EventId,
    Identifier,
    KnownCurrency,
    MinorUnits,
    Model,
    NullIsAbsent,
    OptionalEventId,
    OptionalText,
    OptionalTimestamp,
    Sent,
    Text,
    Timestamp,
)
from schemas.order import Address, AddressUpdate, Adjustment, Item

ITEMS_MAX = 1_000
"""Most lines of one order: bounds the work and the size of one message."""

ADJUSTMENTS_MAX = 50
"""Most adjustments of one order: every event that names its amount lists them."""


class InboundBody(Sent):
    """What every inbound message has.

    An optional field that is null is not given; nor is one that is a text, and blank.
    """

    order_id: Identifier
    event_id: OptionalEventId = None
    """The event's identity where no CloudEvents id is given; the same id and type again is a duplicate."""
    occurred_at: OptionalTimestamp = None
    """When it happened upstream, where no ``ce_time`` is given: RFC 3339, within the years 1 to 9999 in UTC."""

    @property
    def decided_by(self) -> str | None:
        """Who decided, where the message is somebody's decision and says whose."""
        return None

    @property
    def remark(self) -> str | None:
        """What was given as the reason of a decision, or beside it."""
        return None


class OrderCreated(InboundBody):
    """An order was placed. ``{"order_id": "o-1", "payment_id": "p-1"}`` is a whole one, where amounts are not required.

    Beside this schema: with items, amount is the sum of quantity x unit_amount over the items and of amount over the
    adjustments; the order's total is neither below 0 nor above 10^15 minor units.
    """

    payment_id: Identifier
    customer_id: OptionalText = None
    currency: KnownCurrency = "USD"
    # FailFast: a message of 512 KiB has room for 500,000 mistakes, and they would all be collected, for over a second.
    items: Annotated[tuple[Item, ...], FailFast(), Field(strict=False, max_length=ITEMS_MAX), NullIsAbsent()] = ()
    adjustments: Annotated[
        tuple[Adjustment, ...], FailFast(), Field(strict=False, max_length=ADJUSTMENTS_MAX), NullIsAbsent()
    ] = ()
    """What is added to the sum of the items or taken off it: discounts, shipping, tax."""
    amount: MinorUnits | None = None
    """Total in minor units, adjustments included; absent, it is the sum of items and adjustments."""
    shipping_address: Address | None = None

    @model_validator(mode="after")
    def _amount_is_the_sum(self) -> Self:
        if self.items and self.amount is not None and self.amount != self._sum():
            raise PydanticCustomError(
                "amount_mismatch",
                "has an amount that is not the sum of quantity x unit_amount over the "
                "items and of amount over the adjustments: "
                "correct either, or leave amount out",
            )
        if self.total < 0:
            raise PydanticCustomError(
                "amount_negative", "has a total below 0: adjustments take off no more than the items cost"
            )
        if self.total > AMOUNT_MAX:
            raise PydanticCustomError(
                "amount_too_large",
                "has a total above {limit} minor units: amounts are in minor units, such as cents",
                {"limit": AMOUNT_MAX},
            )
        return self

    def _sum(self) -> int:
        return sum(item.quantity * item.unit_amount for item in self.items) + sum(
            one.amount for one in self.adjustments
        )

    @property
    def total(self) -> int:
        """What the order costs, in minor units of its currency."""
        return self._sum() if self.amount is None else self.amount

    @property
    def is_priced(self) -> bool:
        """Whether it says what it costs: 0 where it says so, and not where nobody said anything."""
        return self.amount is not None or bool(self.items or self.adjustments)


class OrderApproved(InboundBody):
    """A person or a system approved the order."""

    approved_by: OptionalText = None
    note: OptionalText = None

    @property
    def decided_by(self) -> str | None:
        """Who approved."""
        return self.approved_by

    @property
    def remark(self) -> str | None:
        """The note."""
        return self.note


class OrderCancelled(InboundBody):
    """The order is no longer wanted."""

    cancelled_by: OptionalText = None
    reason: OptionalText = None

    @property
    def decided_by(self) -> str | None:
        """Who cancelled."""
        return self.cancelled_by

    @property
    def remark(self) -> str | None:
        """Why, in the words of who cancelled."""
        return self.reason


class OrderAddressUpdated(InboundBody):
    """The order goes elsewhere."""

    address: AddressUpdate
    updated_by: OptionalText = None

    @property
    def decided_by(self) -> str | None:
        """Who sent it elsewhere."""
        return self.updated_by


VERIFIED_BY_API: Final = "api"
"""The REST API or the console knew its caller, and named them."""
_SIGNATURE: Final = "signature"


def verified_by_key(key_id: str) -> str:
    """`InboundEvent.verified_by` of an event that was signed with the key of this id."""
    return f"{_SIGNATURE}:{key_id}"


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
    verified_by: Annotated[Text, Field(max_length=128)] | None = None
    """What vouches for who decided: `VERIFIED_BY_API`, or `verified_by_key`; None where nobody checked it."""
    expected_sequence: Annotated[int, Field(ge=0)] | None = None
    """The order's last sequence as its sender saw it: where the order has another by the time that the event would be
    applied, it is refused as ``order_changed``. None where the sender takes the order as it is."""

    @property
    def signed_with(self) -> str | None:
        """The id of the key that the event was signed with; None where it was not."""
        kind, found, key_id = (self.verified_by or "").partition(":")
        return key_id if found and kind == _SIGNATURE else None

    @model_validator(mode="wrap")
    @classmethod
    def _never_fails(cls, value: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        if value is None:
            return cls()
        try:
            return handler(value)
        except ValidationError:
            return cls(malformed=True)
