"""Measures what goes through the ports to the world: how long it takes, and what becomes of it."""

import json
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Final

from prometheus_client import Counter, Histogram
from temporalio import activity

from activities.ports import (
    CarrierGateway,
    EventPublisher,
    GatewayContractError,
    GatewayNotAskedError,
    GatewayPayment,
    GatewayUnavailableError,
    InboundBacklog,
    KafkaUnavailableError,
    PaymentGateway,
    ShipmentRefusedError,
    StoredEvent,
)
from schemas.activity_io import Backlog, ChargePayment
from schemas.event_types import EventType
from schemas.order import Address
from schemas.outbound import OutboundType
from schemas.states import OrderState, ReasonCode

_GATEWAY_BUCKETS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_PUBLISH_BUCKETS: Final = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)

GATEWAY_SECONDS: Final = Histogram(
    "orders_gateway_request_duration_seconds",
    "How long one request to a provider took, by what it came to: an outcome of the contract, or why there is none.",
    ("gateway", "operation", "outcome"),
    buckets=_GATEWAY_BUCKETS,
)
PUBLISH_SECONDS: Final = Histogram(
    "orders_event_publish_duration_seconds",
    "How long it took until Kafka had acknowledged the events of one order that were published together.",
    ("outcome",),
    buckets=_PUBLISH_BUCKETS,
)
EVENTS_PUBLISHED: Final = Counter(
    "orders_events_published",
    "Events that were published, by type, the order's state after it, and its reason, which may be none; one that is "
    "published again counts again.",
    ("type", "state", "reason"),
)
EXPIRY_QUESTIONS: Final = Counter(
    "orders_expiry_questions",
    "Questions whether all that was in Kafka at an order's deadline is handed over, by the answer: nothing is left, "
    "something is, or Kafka does not say. A wait asks again and again.",
    ("outcome",),
)
EXPIRY_WAIT_SECONDS: Final = Histogram(
    "orders_expiry_wait_seconds",
    "How long orders whose time was over waited until what was in Kafka by then had been handed over.",
    buckets=(1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3_600.0, 14_400.0),
)

_OUTCOMES: Final[dict[type[Exception], str]] = {
    GatewayUnavailableError: "unavailable",
    GatewayNotAskedError: "not_asked",
    GatewayContractError: "not_understood",
    ShipmentRefusedError: "refused",
}
_IN_VAIN: Final = ("unavailable", "not_asked", "not_understood")
"""What any request may come to."""


class _Request:
    """One request to a provider, and what it has come to."""

    outcome = "answered"


@contextmanager
def _measured(gateway: str, operation: str) -> Iterator[_Request]:
    request, begun_at = _Request(), time.perf_counter()
    try:
        yield request
    except Exception as error:
        request.outcome = _OUTCOMES.get(type(error), "failed")
        raise
    finally:
        GATEWAY_SECONDS.labels(gateway, operation, request.outcome).observe(time.perf_counter() - begun_at)


def _begin(gateway: str, operation: str, *outcomes: str) -> None:
    """Begins to count at 0: else the first of a kind would be no increase to Prometheus, but a count that is there."""
    for outcome in (*outcomes, *_IN_VAIN):
        GATEWAY_SECONDS.labels(gateway, operation, outcome)


class MeasuredPaymentGateway(PaymentGateway):
    """A payment provider whose requests are measured."""

    def __init__(self, gateway: PaymentGateway) -> None:
        self._gateway = gateway
        _begin("payment", "charge", "charged", "declined")
        _begin("payment", "refund", "refunded", "voided")
        _begin("payment", "look_up", "unknown", "charged", "declined")

    async def charge(self, charge: ChargePayment) -> GatewayPayment:
        """See the port."""
        with _measured("payment", "charge") as request:
            payment = await self._gateway.charge(charge)
            request.outcome = payment.status.lower()
            return payment

    async def refund(self, payment_id: str) -> GatewayPayment:
        """See the port."""
        with _measured("payment", "refund") as request:
            payment = await self._gateway.refund(payment_id)
            request.outcome = payment.status.lower()
            return payment

    async def look_up(self, payment_id: str) -> GatewayPayment | None:
        """See the port."""
        with _measured("payment", "look_up") as request:
            payment = await self._gateway.look_up(payment_id)
            request.outcome = "unknown" if payment is None else payment.status.lower()
            return payment


class MeasuredCarrierGateway(CarrierGateway):
    """A carrier whose requests are measured."""

    def __init__(self, gateway: CarrierGateway) -> None:
        self._gateway = gateway
        _begin("carrier", "prepare", "answered", "refused")
        _begin("carrier", "dispatch", "answered", "refused")

    async def prepare(self, order_id: str, address: Address, attempt: int) -> str:
        """See the port."""
        with _measured("carrier", "prepare"):
            return await self._gateway.prepare(order_id, address, attempt)

    async def dispatch(self, order_id: str, address: Address, attempt: int) -> str:
        """See the port."""
        with _measured("carrier", "dispatch"):
            return await self._gateway.dispatch(order_id, address, attempt)


class MeasuredPublisher(EventPublisher):
    """A way out whose events are counted."""

    def __init__(self, publisher: EventPublisher) -> None:
        self._publisher = publisher
        for state in OrderState:
            # From 0 on: else the first of a kind would be no increase to Prometheus.
            EVENTS_PUBLISHED.labels(OutboundType.STATE_CHANGED, state, "")
        EVENTS_PUBLISHED.labels(OutboundType.STATE_CHANGED, OrderState.EXPIRED, ReasonCode.APPROVAL_TIMED_OUT)

    async def publish(self, events: tuple[StoredEvent, ...]) -> None:
        """See the port."""
        begun_at, outcome = time.perf_counter(), "failed"
        try:
            await self._publisher.publish(events)
            outcome = "acknowledged"
        except KafkaUnavailableError:
            outcome = "unavailable"
            raise
        finally:
            PUBLISH_SECONDS.labels(outcome).observe(time.perf_counter() - begun_at)
        for event in events:
            _count(event)


class MeasuredBacklog(InboundBacklog):
    """A backlog whose questions are counted, and whose waits are measured."""

    def __init__(self, backlog: InboundBacklog) -> None:
        self._backlog = backlog
        for outcome in ("nothing", "something", "unknown"):
            # From 0 on: else the first of a kind would be no increase to Prometheus.
            EXPIRY_QUESTIONS.labels(outcome)

    async def find(self, order_id: str, event_types: Collection[EventType]) -> tuple[Backlog, ...]:
        """See the port."""
        with _asked() as question:
            found = await self._backlog.find(order_id, event_types)
            question.outcome = "something" if found else "nothing"
            return found

    async def left_of(self, order_id: str, backlog: tuple[Backlog, ...]) -> tuple[Backlog, ...]:
        """See the port. An activity that asks has waited since it was scheduled, attempts before this one included."""
        with _asked() as question:
            left = await self._backlog.left_of(order_id, backlog)
            question.outcome = "something" if left else "nothing"
        if not left and activity.in_activity():
            EXPIRY_WAIT_SECONDS.observe(max(0.0, time.time() - activity.info().scheduled_time.timestamp()))
        return left


class _Question:
    outcome = "unknown"


@contextmanager
def _asked() -> Iterator[_Question]:
    question = _Question()
    try:
        yield question
    finally:
        EXPIRY_QUESTIONS.labels(question.outcome).inc()


def _count(event: StoredEvent) -> None:
    body = json.loads(event.payload_json)
    EVENTS_PUBLISHED.labels(event.type, body.get("state") or "", body.get("reason") or "").inc()
