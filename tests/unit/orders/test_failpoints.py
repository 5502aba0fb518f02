"""Failpoints: off by default, refused in production, and reached by the activities where a crash would hurt most."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.failpoints import ORDER_WORKER_FAILPOINTS, SHIPPING_WORKER_FAILPOINTS, Failpoint
from activities.orders import OrderActivities, OrderRules
from activities.payments import PaymentActivities
from activities.shipping import ShippingActivities
from bridge.failpoints import Failpoint as BridgeFailpoint
from orders.failpoints import FAILPOINTS, FailpointError, Failpoints
from schemas.activity_io import ChargePayment, PublishEvents, RefundPayment, Shipment
from schemas.order import Address
from schemas.outbound import OrderStateChanged
from schemas.states import OrderState
from tests.helpers.fakes import (
    FakeCarrierGateway,
    FakePaymentGateway,
    InMemoryOrderStore,
    InMemoryPaymentStore,
    RecordingPublisher,
)


def parsed(text: str) -> Failpoints:
    failpoints = Failpoints.parse(text, production=False)
    assert failpoints is not None
    return failpoints


def test_no_failpoint_is_set_by_default() -> None:
    assert Failpoints.parse("", production=True) is None
    assert Failpoints.parse(" , ", production=False) is None


def test_a_failpoint_strikes_at_its_hit_only() -> None:
    failpoints = parsed("after_call:raise@2, before_commit:raise")
    failpoints.hit(BridgeFailpoint.AFTER_CALL)
    with pytest.raises(FailpointError, match="after_call"):
        failpoints.hit(BridgeFailpoint.AFTER_CALL)
    failpoints.hit(BridgeFailpoint.AFTER_CALL)
    failpoints.hit(BridgeFailpoint.AFTER_POLL)
    for _ in range(2):
        with pytest.raises(FailpointError):
            failpoints.hit(BridgeFailpoint.BEFORE_COMMIT)


async def test_a_failpoint_can_hold_the_code_up() -> None:
    failpoints = parsed("before_call:pause=0.01")
    await failpoints.reach(BridgeFailpoint.BEFORE_CALL)
    await failpoints.reach(BridgeFailpoint.AFTER_CALL)


@pytest.mark.parametrize(
    "text", ["after_call", "after_call:explode", "after_lunch:kill", "after_call:kill=3", "x:pause"]
)
def test_what_does_not_read_as_a_failpoint_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="FAILPOINTS"):
        Failpoints.parse(text, production=False)


def test_failpoints_are_refused_in_production() -> None:
    with pytest.raises(ValueError, match="production"):
        Failpoints.parse("after_call:kill", production=True)


def test_every_failpoint_is_of_one_kind_of_process() -> None:
    points = [*BridgeFailpoint, *ORDER_WORKER_FAILPOINTS, *SHIPPING_WORKER_FAILPOINTS]
    assert sorted(FAILPOINTS) == sorted(point.value for point in points)
    assert len(set(points)) == len(points)


# The activities -------------------------------------------------------------------------------------------------------

CHARGE = ChargePayment(order_id="o-1", payment_id="p-1", amount=1250, currency="EUR")
REFUND = RefundPayment(order_id="o-1", payment_id="p-1")
SHIPMENT = Shipment(order_id="o-1", address=Address(zip_code="12345"), attempt=1)
RECEIVED = OrderStateChanged(
    order_id="o-1", sequence=1, state=OrderState.RECEIVED, occurred_at=datetime(2026, 1, 31, 12, tzinfo=UTC)
)


class Room:
    """The activities on ports in memory, struck at one point, once."""

    def __init__(self, point: Failpoint) -> None:
        failpoints = parsed(f"{point}:raise@1")
        self.store, self.publisher = InMemoryOrderStore(), RecordingPublisher()
        self.claims, self.gateway, self.carrier = InMemoryPaymentStore(), FakePaymentGateway(), FakeCarrierGateway()
        self.orders = OrderActivities(self.store, self.publisher, OrderRules(), failpoints)
        self.payments = PaymentActivities(self.claims, self.gateway, failpoints)
        self.shipping = ShippingActivities(self.carrier, failpoints)

    async def publish(self) -> None:
        await ActivityEnvironment().run(self.orders.publish_events, PublishEvents(order_id="o-1", events=(RECEIVED,)))

    async def charge(self) -> None:
        await ActivityEnvironment().run(self.payments.charge_payment, CHARGE)

    async def refund(self) -> None:
        await self.gateway.charge(CHARGE)
        await self.claims.claim(CHARGE)
        await ActivityEnvironment().run(self.payments.refund_payment, REFUND)

    async def prepare(self) -> None:
        await ActivityEnvironment().run(self.shipping.prepare_package, SHIPMENT)

    async def dispatch(self) -> None:
        await ActivityEnvironment().run(self.shipping.dispatch_carrier, SHIPMENT)


Done = Callable[[Room], bool]
REACHED: dict[Failpoint, tuple[Callable[[Room], Any], Done, Done]] = {
    # The activity, what has happened when it is struck, and what has not.
    Failpoint.AFTER_CHARGE: (
        Room.charge,
        lambda room: room.gateway.ledger["charge", "p-1"] == 1,
        lambda room: room.claims.claims["p-1"].status == "charged",
    ),
    Failpoint.AFTER_PAYMENT_RECORDED: (
        Room.charge,
        lambda room: room.claims.claims["p-1"].status == "charged",
        lambda _: False,
    ),
    Failpoint.AFTER_REFUND: (
        Room.refund,
        lambda room: room.gateway.ledger["refund", "p-1"] == 1,
        lambda room: room.claims.claims["p-1"].status == "refunded",
    ),
    Failpoint.AFTER_PREPARATION: (Room.prepare, lambda room: "o-1" in room.carrier.packages, lambda _: False),
    Failpoint.AFTER_DISPATCH: (Room.dispatch, lambda room: "o-1" in room.carrier.shipments, lambda _: False),
    Failpoint.AFTER_RECORD: (
        Room.publish,
        lambda room: room.store.orders["o-1"].last_sequence == 1,
        lambda room: bool(room.publisher.published),
    ),
    Failpoint.AFTER_PUBLISH: (
        Room.publish,
        lambda room: bool(room.publisher.published),
        lambda room: room.store.orders["o-1"].last_published_sequence == 1,
    ),
}


@pytest.mark.parametrize("point", [*ORDER_WORKER_FAILPOINTS, *SHIPPING_WORKER_FAILPOINTS])
async def test_a_worker_is_struck_between_an_effect_and_what_follows_it(point: Failpoint) -> None:
    activity, has_happened, has_followed = REACHED[point]
    room = Room(point)

    with pytest.raises(ApplicationError, match="FailpointError"):
        await activity(room)

    assert has_happened(room)
    assert not has_followed(room)
    await activity(room)
    assert room.gateway.ledger.total() <= 2
