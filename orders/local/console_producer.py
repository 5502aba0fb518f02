"""Lines to paste into a shell: messages sent by Kafka's own console producer."""

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from schemas.event_types import INBOUND, EventType

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
    """A message of each type for one order: the contract's examples, with ids of this order's own."""
    ids = {"order_id": order_id, "payment_id": f"pay-{order_id}"}
    return {
        event_type: {name: ids.get(name, value) for name, value in row.example.items()}
        for event_type, row in INBOUND.items()
    }
