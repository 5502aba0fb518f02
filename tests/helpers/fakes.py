"""The ports of `activities`, in memory: held to the same contract suite as the real adapters.

Each fake can be told to fail its next calls, or to hold one until a test lets it go on.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime

from activities import journal
from activities.ports import (
    CarrierGateway,
    DatabaseUnavailableError,
    EventPublisher,
    GatewayPayment,
    GatewayUnavailableError,
    KafkaUnavailableError,
    OrderStore,
    PaymentClaim,
    PaymentGateway,
    PaymentStore,
    ShipmentRefusedError,
    StoredEvent,
)
from schemas.activity_io import ChargePayment, DecidedEvent, EventOutcome, OrderProjection, OrderSnapshot, PublishEvents
from schemas.inbound import InboundEvent
from schemas.order import Address, OrderDetails
from schemas.outbound import OUTBOUND_EVENT, OutboundEvent, OutboundType
from schemas.states import OrderState, PaymentStatus, ReasonCode

NEVER_SHIPS_ZIP_CODE = "FAIL0"
FLAKY_ZIP_CODE = "FLAKY"
FLAKY_SUCCEEDS_AT_ATTEMPT = 3


class Unreliable:
    """What every fake can be told to do instead of its work."""

    default_failure: Callable[[], Exception]

    def __init__(self) -> None:
        self._failures: defaultdict[str, list[Exception | None]] = defaultdict(list)
        self._lost_answers: defaultdict[str, list[Exception]] = defaultdict(list)
        self._held: dict[str, asyncio.Event] = {}
        self.reached: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        """For each method: set when a call has come to it, also one that is held or fails."""
        self.calls: Counter[str] = Counter()
        """How often each method was called, failures included."""

    def fail_next(self, calls: int, method: str, error: Exception | None = None, *, after: int = 0) -> None:
        """The next calls of a method, after so many that succeed, fail before they have any effect."""
        self._failures[method].extend([None] * after + [error or self.default_failure()] * calls)

    def lose_next_answers(self, calls: int, method: str, error: Exception | None = None) -> None:
        """The next calls of a method have their effect, and fail all the same."""
        self._lost_answers[method].extend([error or self.default_failure()] * calls)

    def hold(self, method: str) -> asyncio.Event:
        """Calls of a method wait, before they have any effect, until the returned event is set."""
        return self._held.setdefault(method, asyncio.Event())

    async def _enter(self, method: str) -> None:
        self.calls[method] += 1
        self.reached[method].set()
        if method in self._held:
            await self._held[method].wait()
        failure = self._failures[method].pop(0) if self._failures[method] else None
        if failure is not None:
            raise failure

    def _leave(self, method: str) -> None:
        if self._lost_answers[method]:
            raise self._lost_answers[method].pop(0)


@dataclass
class _Order:
    """One order in memory: what Postgres keeps in four tables."""

    details: OrderDetails | None = None
    state: OrderState | None = None
    projection: OrderProjection | None = None
    projected_sequence: int = 0
    last_published_sequence: int = 0
    events: list[StoredEvent] = field(default_factory=list)
    outcomes: dict[tuple[str, str], EventOutcome] = field(default_factory=dict)

    @property
    def last_sequence(self) -> int:
        return len(self.events)

    @property
    def recorded_state(self) -> OrderState | None:
        states = [event for event in self.events if event.type == OutboundType.STATE_CHANGED]
        return OUTBOUND_EVENT.validate_json(states[-1].payload_json).state if states else None

    @property
    def unpublished(self) -> tuple[StoredEvent, ...]:
        return tuple(self.events[self.last_published_sequence :])


class InMemoryOrderStore(Unreliable, OrderStore):
    """Orders in a dictionary. `orders`, `events_of` and `outcomes_of` show what is kept."""

    default_failure = staticmethod(lambda: DatabaseUnavailableError("the database does not answer"))

    def __init__(self) -> None:
        super().__init__()
        self.orders: defaultdict[str, _Order] = defaultdict(_Order)

    def events_of(self, order_id: str) -> tuple[OutboundEvent, ...]:
        """The order's audit rows, parsed."""
        return tuple(OUTBOUND_EVENT.validate_json(event.payload_json) for event in self.orders[order_id].events)

    def states_of(self, order_id: str) -> list[OrderState | None]:
        """The states that the order's transitions led to, in order."""
        return [event.state for event in self.events_of(order_id) if event.type is OutboundType.STATE_CHANGED]

    def outcomes_of(self, order_id: str) -> dict[str, EventOutcome]:
        """What became of each inbound event, by id; the first, where events of several types have one."""
        found: dict[str, EventOutcome] = {}
        for one in self.orders[order_id].outcomes.values():
            found.setdefault(one.event_id, one)
        return found

    async def look_up(self, order_id: str) -> OrderSnapshot:
        await self._enter("look_up")
        order = self.orders[order_id]
        projection, state = order.projection, order.recorded_state
        over = state is not None and state.is_final
        self._leave("look_up")
        return OrderSnapshot(
            details=order.details,
            state=state,
            last_sequence=order.last_sequence,
            decided_events=() if over else tuple(_decided(one) for one in order.outcomes.values()),
            address_updated_at=projection.address_updated_at if projection else None,
            tracking_id=projection.tracking_id if projection else None,
            reason=projection.reason if projection else None,
            approval_deadline=projection.approval_deadline if projection else None,
            decided_by=projection.decided_by if projection else None,
            is_published=not order.unpublished,
        )

    async def record(self, batch: PublishEvents) -> tuple[StoredEvent, ...]:
        await self._enter("record")
        order = self.orders[batch.order_id]
        recorded = {event.sequence: event.payload_json for event in order.events}
        fresh = journal.unrecorded(batch.order_id, batch.events, recorded, order.last_sequence)
        order.events.extend(journal.stored(event) for event in fresh)
        for outcome in journal.outcomes_kept(batch.outcomes):
            order.outcomes.setdefault((outcome.event_id, outcome.type), outcome)
        if batch.projection is not None and batch.events:
            self._project(order, batch.projection, batch.events[-1].sequence)
        self._leave("record")
        return order.unpublished

    def _project(self, order: _Order, projection: OrderProjection, sequence: int) -> None:
        if sequence <= order.projected_sequence:
            return
        order.projected_sequence, order.projection, order.details = sequence, projection, projection.details
        order.state = projection.state or order.state or OrderState.RECEIVED

    async def answer_late(
        self, order_id: str, events: tuple[InboundEvent, ...], at: datetime
    ) -> tuple[tuple[EventOutcome, ...], tuple[StoredEvent, ...]]:
        await self._enter("answer_late")
        order = self.orders[order_id]
        outcomes, rejections = journal.answer_late(
            order_id,
            events,
            decided=set(order.outcomes),
            state=order.recorded_state,
            last_sequence=order.last_sequence,
            at=at,
        )
        order.events.extend(journal.stored(event) for event in rejections)
        order.outcomes.update({(one.event_id, one.type): one for one in journal.outcomes_kept(outcomes)})
        self._leave("answer_late")
        return outcomes, order.unpublished

    async def mark_published(self, order_id: str, sequence: int) -> None:
        await self._enter("mark_published")
        order = self.orders[order_id]
        order.last_published_sequence = max(order.last_published_sequence, min(sequence, order.last_sequence))
        self._leave("mark_published")


def _decided(outcome: EventOutcome) -> DecidedEvent:
    reused = outcome.reason is ReasonCode.EVENT_ID_REUSED
    return DecidedEvent(event_id=outcome.event_id, type=outcome.type, reused=reused)


class RecordingPublisher(Unreliable, EventPublisher):
    """Keeps what is published, repeats included, in `published`."""

    default_failure = staticmethod(lambda: KafkaUnavailableError("Kafka does not answer"))

    def __init__(self) -> None:
        super().__init__()
        self.published: list[StoredEvent] = []

    def events_of(self, order_id: str) -> tuple[OutboundEvent, ...]:
        """The order's published events, parsed, each at its first occurrence."""
        first = {event.sequence: event for event in reversed(self.published) if event.order_id == order_id}
        in_order = dict.fromkeys(event.sequence for event in self.published if event.order_id == order_id)
        return tuple(OUTBOUND_EVENT.validate_json(first[sequence].payload_json) for sequence in in_order)

    async def publish(self, events: tuple[StoredEvent, ...]) -> None:
        await self._enter("publish")
        self.published.extend(events)
        self._leave("publish")


_MAY_FOLLOW: dict[PaymentStatus, frozenset[PaymentStatus]] = {
    PaymentStatus.PENDING: frozenset(PaymentStatus) - {PaymentStatus.PENDING},
    PaymentStatus.CHARGED: frozenset({PaymentStatus.REFUNDED, PaymentStatus.VOIDED}),
}


class InMemoryPaymentStore(Unreliable, PaymentStore):
    """Payments in a dictionary, `claims`."""

    default_failure = staticmethod(lambda: DatabaseUnavailableError("the database does not answer"))

    def __init__(self) -> None:
        super().__init__()
        self.claims: dict[str, PaymentClaim] = {}

    async def claim(self, charge: ChargePayment) -> PaymentClaim:
        await self._enter("claim")
        new = PaymentClaim(
            payment_id=charge.payment_id,
            order_id=charge.order_id,
            amount=charge.amount,
            currency=charge.currency,
            status=PaymentStatus.PENDING,
        )
        is_new = charge.payment_id not in self.claims
        claim = self.claims.setdefault(charge.payment_id, new)
        self._leave("claim")
        return replace(claim, is_new=is_new)

    async def record_outcome(self, payment_id: str, status: PaymentStatus, reason: ReasonCode | None) -> PaymentClaim:
        await self._enter("record_outcome")
        if payment_id not in self.claims:
            raise LookupError("the payment id was never claimed")
        claim = self.claims[payment_id]
        if status in _MAY_FOLLOW.get(claim.status, frozenset()):
            self.claims[payment_id] = replace(claim, status=status, reason=reason)
        self._leave("record_outcome")
        return self.claims[payment_id]

    async def claim_void(self, payment_id: str, order_id: str) -> PaymentClaim:
        await self._enter("claim_void")
        new = PaymentClaim(
            payment_id=payment_id, order_id=order_id, amount=0, currency="XXX", status=PaymentStatus.VOIDED
        )
        claim = self.claims.setdefault(payment_id, new)
        self._leave("claim_void")
        return claim

    async def find(self, payment_id: str) -> PaymentClaim | None:
        await self._enter("find")
        self._leave("find")
        return self.claims.get(payment_id)


class FakePaymentGateway(Unreliable, PaymentGateway):
    """A provider in memory, with the sandbox's magic ids. `ledger` counts what was really moved."""

    default_failure = staticmethod(lambda: GatewayUnavailableError("the provider does not answer"))

    def __init__(self) -> None:
        super().__init__()
        self.payments: dict[str, GatewayPayment] = {}
        self.ledger: Counter[tuple[str, str]] = Counter()
        """How often money was moved: (``charge`` or ``refund``, payment id)."""

    async def charge(self, charge: ChargePayment) -> GatewayPayment:
        await self._enter("charge")
        payment = self.payments.get(charge.payment_id)
        if payment is None:
            declined = charge.payment_id.startswith("decline-")
            payment = self.payments[charge.payment_id] = GatewayPayment(
                payment_id=charge.payment_id,
                status=PaymentStatus.DECLINED if declined else PaymentStatus.CHARGED,
                amount=charge.amount,
                currency=charge.currency,
                reason=ReasonCode.CARD_DECLINED if declined else None,
            )
            if not declined:
                self.ledger["charge", charge.payment_id] += 1
            if charge.payment_id.startswith("slow-"):
                raise GatewayUnavailableError("the provider did not answer in time; the charge may have happened")
        self._leave("charge")
        return payment

    async def refund(self, payment_id: str) -> GatewayPayment:
        await self._enter("refund")
        payment = self.payments.get(payment_id) or GatewayPayment(
            payment_id=payment_id, status=PaymentStatus.VOIDED, amount=0, currency="XXX"
        )
        if payment.status is PaymentStatus.CHARGED:
            payment = replace(payment, status=PaymentStatus.REFUNDED)
            self.ledger["refund", payment_id] += 1
        elif payment.status is PaymentStatus.DECLINED:
            payment = replace(payment, status=PaymentStatus.VOIDED)
        self.payments[payment_id] = payment
        self._leave("refund")
        return payment

    async def look_up(self, payment_id: str) -> GatewayPayment | None:
        await self._enter("look_up")
        self._leave("look_up")
        return self.payments.get(payment_id)


class FakeCarrierGateway(Unreliable, CarrierGateway):
    """A carrier in memory, with the sandbox's magic zip codes. `shipments` has the tracking id of what was shipped."""

    default_failure = staticmethod(lambda: GatewayUnavailableError("the carrier does not answer"))

    def __init__(self) -> None:
        super().__init__()
        self.packages: dict[str, str] = {}
        self.shipments: dict[str, str] = {}
        self.addresses: dict[str, Address] = {}

    async def prepare(self, order_id: str, address: Address, attempt: int) -> str:  # noqa: ARG002 # The port's.
        await self._enter("prepare")
        package_id = self.packages.setdefault(order_id, f"package-{order_id}")
        self._leave("prepare")
        return package_id

    async def dispatch(self, order_id: str, address: Address, attempt: int) -> str:
        await self._enter("dispatch")
        if order_id not in self.shipments:
            never = address.zip_code == NEVER_SHIPS_ZIP_CODE
            if never or (address.zip_code == FLAKY_ZIP_CODE and attempt < FLAKY_SUCCEEDS_AT_ATTEMPT):
                raise ShipmentRefusedError("the carrier does not take the shipment")
            self.shipments[order_id] = f"track-{order_id}"
            self.addresses[order_id] = address
        self._leave("dispatch")
        return self.shipments[order_id]
