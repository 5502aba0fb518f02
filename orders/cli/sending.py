"""What `start`, `approve`, `cancel` and `update-address` have in common: one event straight to Temporal."""

from typing import Any

from bridge.calls import Settlement
from orders.cli.common import console, print_json, run_command
from orders.clients.temporal import connect_temporal
from orders.local.endpoints import server_settings
from orders.operations.bodies import build_body
from orders.operations.send import deliver
from orders.settings import Settings
from schemas.event_types import EventType
from schemas.inbound import InboundBody

_SAYS = {
    Settlement.DELIVERED: "delivered to the order's workflow",
    Settlement.LATE: "the order is over: an order.event_rejected will say why",
    Settlement.DUPLICATE: "the order is over, and this event has been answered before",
}


def send(event_type: EventType, fields: dict[str, Any], *, as_json: bool) -> None:
    """Checks the message, delivers it, and says what became of it."""
    body = build_body(event_type, fields)
    settings = server_settings()
    event_id, settlement = run_command(_deliver(settings, event_type, body))
    if as_json:
        print_json({"order_id": body.order_id, "event_id": event_id, "outcome": settlement.value})
        return
    console().print(f"{body.order_id}: {event_type.value} {_SAYS[settlement]}. See: orders status {body.order_id}")


async def _deliver(settings: Settings, event_type: EventType, body: InboundBody) -> tuple[str, Settlement]:
    client = await connect_temporal(settings)
    return await deliver(client, settings, event_type, body)
