"""Orders that wait for a person, for who tries the console."""

from typing import Any, Final

from orders.clients.opened import Clients
from orders.operations.bodies import build_body
from orders.operations.messages import Encoding
from orders.operations.produce import message_of, produce
from schemas.event_types import EventType

_GOODS: Final = (("mug-blue", 1_250), ("plate-large", 2_700), ("teapot", 5_900), ("bowl-set", 4_450))
_PLACES: Final = (
    {"street": "Rua Augusta 1", "city": "Lisbon", "zip_code": "1100-048", "country": "PT"},
    {"street": "1 Example Street", "city": "Utrecht", "zip_code": "3511 AA", "country": "NL"},
    {"street": "Calle Mayor 5", "city": "Madrid", "zip_code": "28013", "country": "ES"},
)
_ORDERS: Final = 12


def made_up_orders(run: str) -> list[dict[str, Any]]:
    """Bodies of ``order.created``, each another one.

    Args:
        run: tells one demonstration from another.
    """
    return [
        {
            "order_id": f"demo-{run}-{number:02d}",
            "payment_id": f"pay-{run}-{number:02d}",
            "customer_id": f"customer-{number % 5 + 1}",
            "currency": "EUR",
            "items": [
                {"sku": sku, "quantity": (number * 3 + index) % 7 + 1, "unit_amount": unit_amount}
                for index, (sku, unit_amount) in enumerate(_GOODS[: number % len(_GOODS) + 1])
            ],
            "shipping_address": _PLACES[number % len(_PLACES)],
        }
        for number in range(1, _ORDERS + 1)
    ]


async def send_orders(clients: Clients, orders: list[dict[str, Any]]) -> None:
    """Sends the orders to Kafka, as upstream would.

    Raises:
        UnreachableError: Kafka does not answer.
    """
    for fields in orders:
        body = build_body(EventType.ORDER_CREATED, fields)
        message = message_of(EventType.ORDER_CREATED, body, Encoding.BARE)
        await produce(clients, EventType.ORDER_CREATED, message, body.order_id.encode())
