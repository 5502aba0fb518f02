"""The published contract's examples, by event type."""

from collections.abc import Mapping
from typing import Any, Final

from schemas.event_types import INBOUND
from schemas.outbound import OUTBOUND

EXAMPLE_SOURCE: Final = "urn:temporal-order-orchestrator"

EXAMPLES: Final[Mapping[str, Mapping[str, Any]]] = {
    **{event_type: row.example for event_type, row in INBOUND.items()},
    **{event_type: row.example for event_type, row in OUTBOUND.items()},
}
"""The body of one message of each type, inbound and outbound, from the registries."""

INBOUND_ATTRIBUTES: Final = {
    "specversion": "1.0",
    "id": "7c1f4f0e-0001",
    "source": "https://shop.example/orders",
    "time": "2026-01-31T11:59:58+01:00",
}
"""The CloudEvents attributes of an inbound example, beside its type."""
