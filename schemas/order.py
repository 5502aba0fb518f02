"""What an order is: its items, its address, and how long and how often for its workflow."""

from datetime import timedelta
from typing import Annotated, Any, Final, Self

from pydantic import BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from schemas.base import (
    BLANK_PATTERN,
    Currency,
    Identifier,
    MinorUnits,
    Model,
    NeededShortText,
    NeededText,
    OptionalShortText,
    OptionalText,
    Sent,
    SignedMinorUnits,
    whole,
)


class Address(Sent):
    """Where an order goes. All fields are optional: an order may be created before its address is known.

    A field that is null or blank is not given.
    """

    street: OptionalText = None
    city: OptionalText = None
    state: OptionalText = None
    zip_code: OptionalText = None
    country: OptionalText = None

    def merged_with(self, update: "Address") -> "Address":
        """This address with each field that the update gives put over it."""
        return self.model_copy(update=update.model_dump(exclude_none=True))


_NOT_GIVEN: Final[dict[str, Any]] = {"anyOf": [{"type": "null"}, {"type": "string", "pattern": BLANK_PATTERN}]}


class AddressUpdate(Address):
    """A partial address: at least one field is given, the others stay as they are."""

    model_config = ConfigDict(
        json_schema_extra={"not": {"properties": dict.fromkeys(Address.model_fields, _NOT_GIVEN)}},
    )

    @model_validator(mode="after")
    def _gives_something(self) -> Self:
        if not self.model_dump(exclude_none=True):
            raise PydanticCustomError(
                "address_empty",
                "gives nothing that is not blank: send at least one of street, city, state, zip_code, country",
            )
        return self


class Item(Sent):
    """One line of an order."""

    sku: NeededText
    quantity: Annotated[int, Field(ge=1, le=1_000_000), BeforeValidator(whole)]
    unit_amount: MinorUnits
    """Price of one, in minor units of the order's currency."""


class Adjustment(Sent):
    """What is added to the sum of an order's items, or taken off it: a discount, shipping, tax."""

    kind: NeededShortText
    """What it is: ``discount``, ``shipping``, ``tax``, or another word of yours."""
    amount: SignedMinorUnits
    """In minor units of the order's currency; below zero where it is taken off."""
    description: OptionalShortText = None


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
    expiry_wait_max: Span | None = timedelta(hours=24)
    """Longest that either of these deadlines waits until what was in Kafka by then has been handed over by the bridge.
    None where there is no bridge: nothing is waited for."""
    shipping_attempts: Annotated[int, Field(ge=1, le=100)] = 3
    shipping_retry_delay: Span = timedelta(seconds=2)
    """Between the end of a failed shipping attempt and the start of the next."""
    activity_start_to_close: Span = timedelta(seconds=4)
    """One attempt of one activity."""
    provider_time_allowed: Span = timedelta(minutes=10)
    """How long calls of a provider may go on without a known outcome before the order gives up on it."""
    retry_initial_interval: Span = timedelta(milliseconds=200)
    """Before an activity's second attempt; doubled each time."""
    retry_maximum_interval: Span = timedelta(seconds=10)
    """Longest pause between two attempts: what bounds how fast work goes on after an outage (I12)."""
    search_attributes: bool = False
    """Whether the run shows itself to Temporal's search. Off unless asked for: on a namespace that lacks the attributes
    every workflow task would fail, and runs of versions that knew none replay as they ran."""

    prepared_told_after: Span | None = None
    """How long the carrier may take to take a package before the order is told that the package is prepared; until then
    both are told at once, by the attempt's result. None for always, before the carrier is asked: runs of versions that
    knew nothing else replay as they ran."""

    @model_validator(mode="after")
    def _attempt_fits_into_the_time_allowed(self) -> Self:
        if self.provider_time_allowed < self.activity_start_to_close:
            raise ValueError("provider_time_allowed is shorter than activity_start_to_close")
        return self

    @property
    def patience(self) -> "Patience":
        """What an activity is told whose calls the order may give up on."""
        return Patience(time_allowed=self.provider_time_allowed, longest_pause=self.retry_maximum_interval)

    @property
    def endless_patience(self) -> "Patience":
        """What an activity is told whose calls are repeated until they have worked."""
        return Patience(time_allowed=None, longest_pause=self.retry_maximum_interval)


class Patience(Model):
    """How long an activity asks a provider whose calls have no known outcome."""

    time_allowed: Span | None = OrderPolicy.model_fields["provider_time_allowed"].default
    """For all calls of one activity together; None for no limit."""
    longest_pause: Span = OrderPolicy.model_fields["retry_maximum_interval"].default
    """Between two attempts, where the provider asks for no longer one."""


class OrderDetails(Model):
    """What an order is, as accepted."""

    payment_id: Identifier
    customer_id: str | None = None
    currency: Currency = "USD"
    amount: MinorUnits = 0
    is_priced: bool = True
    """Whether the order said what it costs; without that `amount` is 0, and production refuses the order."""
    items: Annotated[tuple[Item, ...], Field(strict=False)] = ()
    adjustments: Annotated[tuple[Adjustment, ...], Field(strict=False)] = ()
    address: Address = Address()
