"""What activities need of the world, as protocols.

`activities.adapters` implements them; tests hold fakes to the same suite.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from schemas.activity_io import Backlog, ChargePayment, EventOutcome, OrderSnapshot, PublishEvents
from schemas.event_types import EventType
from schemas.inbound import InboundEvent
from schemas.order import Address
from schemas.outbound import OutboundEvent
from schemas.states import PaymentStatus, ReasonCode


class OrderStore(Protocol):
    """The application's database: orders, audit table, inbound events.

    Every method raises `DatabaseUnavailableError` where the database did not answer. Whether the call had its effect
    is then unknown, and it may be repeated.
    """

    async def look_up(self, order_id: str) -> OrderSnapshot:
        """What is known of the order; an empty snapshot where nothing is."""
        ...

    async def record(self, batch: PublishEvents) -> "tuple[StoredEvent, ...]":
        """In one transaction: inserts the audit rows, moves the projection, records the inbound outcomes.

        The call may be repeated, also side by side with itself: rows that are there stay as they are. A batch without
        events leaves the projection as it is. An order's first batch makes its row.

        Returns:
            The order's audit rows that are not known to be published, in order of sequence, this batch's among them.
            Their payloads are to be published next, to the byte.

        Raises:
            RecordedEarlierError: the same decisions end the journal, made at another time.
            SequenceConflictError: another event stands under one of the sequences or behind them, or the batch would
                leave a gap.
        """
        ...

    async def answer_late(
        self, order_id: str, events: tuple[InboundEvent, ...], at: datetime
    ) -> "tuple[tuple[EventOutcome, ...], tuple[StoredEvent, ...]]":
        """Decides events for an order whose life is over, in one transaction, one order at a time.

        Args:
            order_id: the order.
            events: each with its id; one whose id and type are recorded already is a duplicate, any other is rejected.
            at: when the events are decided; the same for every attempt.

        Returns:
            How each event was decided, and the order's audit rows that are not known to be published, in order.
        """
        ...

    async def mark_published(self, order_id: str, sequence: int) -> None:
        """Notes that Kafka has acknowledged all the order's events up to this sequence; never goes back."""
        ...


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event as the audit table holds it."""

    order_id: str
    sequence: int
    type: str
    payload_json: str
    traceparent: str | None = None
    """The trace that it belongs to, as W3C Trace Context writes it; kept, so that a repeat is the same to the byte."""


class SequenceConflictError(Exception):
    """Two different events claim one sequence of an order: two runs write at once. Nothing was recorded."""


class RecordedEarlierError(Exception):
    """The same decisions are recorded already, made at another time. Nothing was recorded now.

    An earlier attempt has recorded them, whose answer was lost, or an ended run of the same order, whose last batch was
    still on its way. The journal ends with them: whoever asks may take them for its own decisions.
    """

    def __init__(self, events: tuple[OutboundEvent, ...]) -> None:
        super().__init__(f"{len(events)} events were recorded earlier")
        self.events = events
        """These events, as they are recorded."""


class DatabaseUnavailableError(Exception):
    """The database did not answer, or did not do what it was asked; the call may be repeated."""

    def __init__(self, message: str, *, sqlstate: str | None = None) -> None:
        super().__init__(message)
        self.sqlstate = sqlstate
        """The code by which the server itself said why; None where the server said nothing."""


class EventPublisher(Protocol):
    """The way out to ``order.events``."""

    async def publish(self, events: tuple[StoredEvent, ...]) -> None:
        """Produces one order's events in this order and returns when every one is acknowledged by all replicas.

        No event reaches the topic before the one that stands before it here.

        Raises:
            KafkaUnavailableError: not everything was acknowledged in time; the call may be repeated.
        """
        ...


class KafkaUnavailableError(Exception):
    """Kafka did not answer, or not in time; the call may be repeated."""


class InboundBacklog(Protocol):
    """What Kafka holds for orders and the bridge has not handed over to Temporal yet.

    A record is handed over once Temporal has acknowledged its call: the event is then in its workflow's history. So is
    a record that was set aside, as it will never be an event.

    Every method raises `KafkaUnavailableError` where Kafka does not say; the call may be repeated.
    """

    async def find(self, order_id: str, event_types: Collection[EventType]) -> tuple[Backlog, ...]:
        """The partitions with records that may concern the order and are not handed over.

        Every record that was acknowledged to its producer before this call is looked at. One of a transaction that is
        still open counts as well: whether it ever becomes an event is not known yet.

        Args:
            order_id: the order.
            event_types: of the events that are looked for.

        Returns:
            For each such partition, where it ended at that moment and how much of it is left.
        """
        ...

    async def left_of(self, order_id: str, backlog: tuple[Backlog, ...]) -> tuple[Backlog, ...]:
        """What is left by now of a backlog that was found earlier; what came to Kafka after it is not counted.

        Args:
            order_id: the order.
            backlog: as `find` returned it.
        """
        ...


class PaymentStore(Protocol):
    """The payments table: one row for each payment id, ever.

    Every method raises `DatabaseUnavailableError` where the database did not answer.
    """

    async def claim(self, charge: ChargePayment) -> "PaymentClaim":
        """Claims the payment id for this order, amount and currency before the gateway is asked.

        Returns:
            The payment's row: this claim, or an earlier one, perhaps of another order.
        """
        ...

    async def record_outcome(self, payment_id: str, status: PaymentStatus, reason: ReasonCode | None) -> "PaymentClaim":
        """Records the gateway's answer, unless a later one is recorded: a refund is never undone by a charge.

        Returns:
            The payment's row afterwards.

        Raises:
            LookupError: the payment id was never claimed.
        """
        ...

    async def claim_void(self, payment_id: str, order_id: str) -> "PaymentClaim":
        """The payment's row; where the id was never claimed, claims it as VOIDED, so that it never will be."""
        ...

    async def find(self, payment_id: str) -> "PaymentClaim | None":
        """The payment's row; None where the id was never claimed."""
        ...


@dataclass(frozen=True, slots=True)
class PaymentClaim:
    """A row of the payments table."""

    payment_id: str
    order_id: str
    amount: int
    currency: str
    status: PaymentStatus
    reason: ReasonCode | None = None
    is_new: bool = field(default=False, compare=False)
    """Whether this very call made the claim. Of any other PENDING claim the provider may know more than we do."""


class PaymentGateway(Protocol):
    """The provider that moves money. Every call is idempotent by payment id.

    Every method raises `GatewayUnavailableError` where the outcome is unknown or the provider asks to come back later,
    `GatewayNotAskedError` where something of ours keeps the provider from being asked at all, and
    `GatewayContractError` where its answer cannot be understood or is about another payment.
    """

    async def charge(self, charge: ChargePayment) -> "GatewayPayment":
        """Charges at most once per payment id; a repeat returns what the payment has come to since, never PENDING."""
        ...

    async def refund(self, payment_id: str) -> "GatewayPayment":
        """Gives back what was charged, or makes sure that nothing can be charged any more.

        Also for an id that the provider never heard of: a charge that arrives later is then declined.

        Returns:
            REFUNDED after a charge, also on a repeat; VOIDED where nothing had been charged.
        """
        ...

    async def look_up(self, payment_id: str) -> "GatewayPayment | None":
        """What the provider knows of the payment; PENDING while it works on it, None where it never heard of it."""
        ...


@dataclass(frozen=True, slots=True)
class GatewayPayment:
    """A payment as the provider sees it."""

    payment_id: str
    status: PaymentStatus
    amount: int
    currency: str
    reason: ReasonCode | None = None


class CarrierGateway(Protocol):
    """The company that ships. Every call is idempotent by order id.

    Every method raises `ShipmentRefusedError` where this attempt is lost, and the errors of `PaymentGateway` where that
    does.
    """

    async def prepare(self, order_id: str, address: Address, attempt: int) -> str:
        """Prepares the package; returns its id."""
        ...

    async def dispatch(self, order_id: str, address: Address, attempt: int) -> str:
        """Hands the package to the carrier; returns the tracking id."""
        ...


class GatewayContractError(Exception):
    """The provider's answer cannot be understood, or contradicts what was asked; a person has to look."""


class GatewayNotAskedError(Exception):
    """Something of ours keeps the provider from being asked: a wrong key or address, or our network.

    Nothing was done, and nothing will be until somebody mends it. The message names the setting and the remedy. No
    order is given up for it.

    Attributes:
        retry_after: when to try again; None for the usual pause.
    """

    def __init__(self, message: str, retry_after: timedelta | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class GatewayUnavailableError(Exception):
    """The provider did not answer, or asks to come back later. The outcome is unknown, and the call may be repeated.

    Only these calls count towards the time after which an order gives up on a provider.

    Attributes:
        retry_after: how long the provider asks to be left alone; None where it does not say.
    """

    def __init__(self, message: str, retry_after: timedelta | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class ShipmentRefusedError(Exception):
    """The carrier does not take the shipment; this attempt is lost and another may be made later."""
