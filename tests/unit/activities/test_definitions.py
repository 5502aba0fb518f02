"""A worker registers every activity of the objects that it is given, and nothing else of them."""

from temporalio import activity

from activities.definitions import activities_of
from activities.orders import OrderActivities, OrderRules
from activities.payments import PaymentActivities
from activities.shipping import ShippingActivities
from tests.helpers.fakes import (
    FakeCarrierGateway,
    FakePaymentGateway,
    InMemoryOrderStore,
    InMemoryPaymentStore,
    RecordingPublisher,
)


def test_each_definition_is_found() -> None:
    orders = OrderActivities(InMemoryOrderStore(), RecordingPublisher(), OrderRules())
    payments = PaymentActivities(InMemoryPaymentStore(), FakePaymentGateway())
    shipping = ShippingActivities(FakeCarrierGateway())
    assert {method.__name__ for method in activities_of(orders, payments)} == {
        "look_up_order",
        "receive_order",
        "validate_order",
        "mark_order_shipped",
        "publish_events",
        "answer_late_events",
        "charge_payment",
        "refund_payment",
    }
    assert {method.__name__ for method in activities_of(shipping)} == {"prepare_package", "dispatch_carrier"}


def test_an_inherited_definition_is_found_and_a_plain_method_is_not() -> None:
    class Base:
        @activity.defn
        async def inherited(self) -> None:
            """Does nothing."""

    class Derived(Base):
        async def plain(self) -> None:
            """Does nothing."""

    found = activities_of(Derived())
    assert [method.__name__ for method in found] == ["inherited"]
