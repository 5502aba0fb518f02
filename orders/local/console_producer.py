"""Lines to paste into a shell: messages sent by Kafka's own console producer."""

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from schemas.event_types import EventType

KEY_SEPARATOR: Final = "|"
"""Between key and value in a line; no order id holds it."""


@dataclass(frozen=True, slots=True)
class ConsoleProducer:
    """Kafka's console producer, and where it produces to."""

    program: Path
    bootstrap_servers: str
    topics: Mapping[EventType, str]

    def arguments(self, event_type: EventType, *, keyed: bool) -> list[str]:
        """The program with its arguments; it reads a message a line."""
        arguments = [
            str(self.program),
            "--bootstrap-server",
            self.bootstrap_servers,
            "--topic",
            self.topics[event_type],
        ]
        if keyed:
            # --property is deprecated since Kafka 4.2; --reader-property is the new name (seen in 4.3.1's --help).
            arguments += ["--reader-property", "parse.key=true"]
            arguments += ["--reader-property", f"key.separator={KEY_SEPARATOR}"]
        return arguments

    def line(self, event_type: EventType, fields: dict[str, Any], *, keyed: bool) -> str:
        """A command line that sends the message, quoted for any shell."""
        text = message_line(fields, keyed=keyed)
        return f"echo {shlex.quote(text)} | {shlex.join(self.arguments(event_type, keyed=keyed))}"


def message_line(fields: dict[str, Any], *, keyed: bool) -> str:
    """What the console producer reads: the message, behind its key where it has one."""
    value = json.dumps(fields)
    return f"{fields['order_id']}{KEY_SEPARATOR}{value}" if keyed else value


def example_messages(order_id: str) -> dict[EventType, dict[str, Any]]:
    """A message of each type for one order."""
    return {
        EventType.ORDER_CREATED: {
            "order_id": order_id,
            "payment_id": f"pay-{order_id}",
            "items": [{"sku": "mug", "quantity": 2, "unit_amount": 1250}],
            "shipping_address": {"street": "Rua Augusta 1", "city": "Lisbon", "zip_code": "1100-048", "country": "PT"},
        },
        EventType.ORDER_ADDRESS_UPDATED: {"order_id": order_id, "address": {"street": "Rua do Carmo 2"}},
        EventType.ORDER_APPROVED: {"order_id": order_id, "approved_by": "ada"},
        EventType.ORDER_CANCELLED: {"order_id": order_id, "reason": "ordered twice"},
    }
