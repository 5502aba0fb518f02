"""Invented orders, and what strangers may write into them."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from activities.adapters.postgres.reader import OrderRecord
from activities.ports import PaymentClaim, StoredEvent
from orders.operations.explain.database_side import DatabaseSide
from schemas.order import Address, Adjustment, Item, OrderDetails
from schemas.states import OrderState, PaymentStatus, ReasonCode

NOW = datetime(2026, 11, 25, 21, 4, 5, tzinfo=UTC)

RIGHT_TO_LEFT = "abc\N{RIGHT-TO-LEFT OVERRIDE}cba\N{POP DIRECTIONAL FORMATTING}"
HOSTILE = {
    "a tag": "<script>document.title = 'taken'</script>",
    "an attribute": "\" onmouseover=\"document.title = 'taken'\" x='",
    "a right-to-left mark": RIGHT_TO_LEFT,
    "control characters": "bell\x07 escape\x1b[31m line\nend",
    "hebrew": "רחוב הרצל 5",
    "10 kB": "long " * 2_048,
    "a template": "{{ 7 * 7 }} {% raw %}",
    "an address of a script": "javascript:document.title='taken'",
}
"""Texts that stand in records, by what is bad in them."""


def an_order(order_id: str = "order-1001", **changes: Any) -> OrderRecord:
    """An order that waits for approval; the changes are of the record, or of its details."""
    details: dict[str, Any] = {
        "payment_id": f"pay-{order_id}",
        "customer_id": "c-4711",
        "currency": "EUR",
        "amount": 123_450,
        "items": (
            Item(sku="mug-blue", quantity=12, unit_amount=1_250),
            Item(sku="plate-large", quantity=4, unit_amount=27_000),
        ),
        "adjustments": (Adjustment(kind="shipping", amount=450),),
        "address": Address(street="Rua Augusta 1", city="Lisbon", zip_code="1100-048", country="PT"),
    }
    record: dict[str, Any] = {
        "state": OrderState.VALIDATED,
        "tracking_id": None,
        "reason": None,
        "last_sequence": 2,
        "created_at": NOW - timedelta(minutes=3, seconds=20),
        "updated_at": NOW - timedelta(minutes=3, seconds=19),
        "approval_deadline": NOW + timedelta(minutes=11, seconds=41),
        "decided_by": None,
    }
    for name, value in changes.items():
        (details if name in details or name == "is_priced" else record)[name] = value
    return OrderRecord(order_id=order_id, details=OrderDetails(**details), **record)


def several_orders() -> list[OrderRecord]:
    """Orders as they come: short and long, with much and with little."""
    return [
        an_order("order-1001", approval_deadline=NOW + timedelta(seconds=41)),
        an_order(
            "2026-11-25T20:58:00.000-web-checkout-7f3a",
            customer_id="customer-with-a-rather-long-name@example.org",
            amount=98_765_432_100,
            currency="JPY",
            items=tuple(Item(sku=f"sku-{n}", quantity=n, unit_amount=100) for n in range(1, 9)),
            approval_deadline=NOW + timedelta(minutes=9, seconds=2),
        ),
        an_order(
            "o-3",
            customer_id=None,
            is_priced=False,
            amount=0,
            items=(),
            adjustments=(),
            address=Address(),
            approval_deadline=None,
        ),
        an_order("o-4", approval_deadline=NOW - timedelta(seconds=2)),
        an_order("o-5", approval_deadline=NOW + timedelta(days=2, hours=3), amount=5),
    ]


def journal(order_id: str, *states: OrderState, **last: Any) -> tuple[StoredEvent, ...]:
    """The journal of an order that went through these states; the last event has these fields besides."""
    events = []
    for number, state in enumerate(states, start=1):
        cause = {
            OrderState.RECEIVED: {
                "event_id": "order.created:0:17:9f86d081884c7d65",
                "type": "order.created",
                "by": None,
                "note": None,
            },
            OrderState.APPROVED: {
                "event_id": "console:ada:1",
                "type": "order.approved",
                "by": "ada",
                "note": "checked by phone",
            },
            OrderState.CANCELLED: {
                "event_id": "console:bob:1",
                "type": "order.cancelled",
                "by": "bob",
                "note": "ordered twice",
            },
        }.get(state)
        body = {
            "order_id": order_id,
            "sequence": number,
            "previous_state": None if number == 1 else states[number - 2],
            "state": state,
            "occurred_at": (NOW - timedelta(seconds=120 - 10 * number)).isoformat(),
            "cause": cause,
            "reason": None,
            "type": "order.state_changed",
            **(last if number == len(states) else {}),
        }
        events.append(
            StoredEvent(order_id=order_id, sequence=number, type="order.state_changed", payload_json=json.dumps(body))
        )
    return tuple(events)


def known_of(record: OrderRecord, events: tuple[StoredEvent, ...]) -> DatabaseSide:
    """What Postgres knows of an order that has a payment."""
    claim = PaymentClaim(
        payment_id=record.details.payment_id,
        order_id=record.order_id,
        amount=record.details.amount,
        currency=record.details.currency,
        status=PaymentStatus.CHARGED,
    )
    return DatabaseSide(record, None, events, (), claim, cut=False)


def an_ended_order() -> DatabaseSide:
    """An order that nobody could ship."""
    states = (
        OrderState.RECEIVED, OrderState.VALIDATED, OrderState.APPROVED, OrderState.PAID,
        OrderState.PACKAGE_PREPARED, OrderState.SHIPPING_FAILED, OrderState.REFUNDED,
    )  # fmt: skip
    record = an_order(
        "order-2002", state=OrderState.REFUNDED, reason=ReasonCode.SHIPPING_ATTEMPTS_EXHAUSTED, last_sequence=7
    )
    return known_of(record, journal("order-2002", *states, reason="shipping_attempts_exhausted"))


def an_often_moved_order() -> DatabaseSide:
    """An order that has 43 events, as its customer cannot decide where it goes."""
    record = an_order("order-4004", last_sequence=43)
    opened = journal(record.order_id, OrderState.RECEIVED, OrderState.VALIDATED)
    return known_of(record, (*opened, *(_moved(record.order_id, number) for number in range(3, 44))))


def _moved(order_id: str, number: int) -> StoredEvent:
    """Another address; of each five the last is refused."""
    refused = number % 5 == 0
    body: dict[str, Any] = {
        "order_id": order_id,
        "sequence": number,
        "occurred_at": (NOW - timedelta(seconds=100 - number)).isoformat(),
        "cause": {
            "event_id": f"api:key-7f3a9c21:8e03978e-40d5-43dd-bc93-6894a57f93{number:02}",
            "type": "order.address_updated",
            "by": "ada@example.org",
            "note": None,
            "verified_by": "token",
        },
        "reason": "stale" if refused else None,
        "type": "order.event_rejected" if refused else "order.address_changed",
        "address": {"street": f"{number} Example Street", "city": "Lisbon", "zip_code": "1100-048", "country": "PT"},
    }
    return StoredEvent(order_id=order_id, sequence=number, type=body["type"], payload_json=json.dumps(body))
