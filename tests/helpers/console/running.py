"""A console that runs: the API's process on a port of its own, in front of a whole system."""

import json
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from schemas.event_types import EventType
from stack import Endpoints
from tests.helpers.messages.kafka_io import Outgoing
from tests.helpers.system.processes import START_TIMEOUT_SECONDS, OrdersProcess, free_port
from tests.helpers.system.system import OrderSystem, order_system
from tests.helpers.system.waiting import assert_eventually


@dataclass(slots=True)
class Console:
    """The console, and how a test reaches what is behind it."""

    system: OrderSystem
    port: int
    process: OrdersProcess
    client: httpx.AsyncClient
    settings: dict[str, str]
    """Those of the API's process beside the system's."""

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"

    def page(self, path: str = "/") -> str:
        """The address of a page of the console."""
        return f"{self.url}/console{path}"

    async def place(self, order_id: str | None = None, **body: Any) -> str:
        """Places an order through Kafka, as upstream would, and returns its id once it waits for approval."""
        made = order_id or f"o-{secrets.token_hex(4)}"
        await self.send(EventType.ORDER_CREATED, made, payment_id=f"p-{made}", **body)
        await self.wait_until_state(made, "VALIDATED")
        return made

    async def send(self, event_type: EventType, order_id: str, **body: Any) -> None:
        """Sends a message through Kafka, and waits until the order's journal has what came of it."""
        event_id = secrets.token_hex(8)
        value = json.dumps({"order_id": order_id, "event_id": event_id, **body}).encode()
        await self.system.produce([Outgoing(self.system.topic_of(event_type), value, key=order_id.encode())])

        async def told() -> bool:
            return any((event["cause"] or {}).get("event_id") == event_id for event in await self.journal(order_id))

        await assert_eventually(told, 60, lambda: f"{event_type} of {order_id} decided\n{self.system.log_tails}")

    async def journal(self, order_id: str) -> list[dict[str, Any]]:
        """The order's published events; none where it is not known."""
        answer = await self.client.get(f"/orders/{order_id}/events")
        return list(answer.json()["events"]) if answer.is_success else []

    async def state(self, order_id: str) -> str | None:
        """The order's recorded state."""
        answer = await self.client.get(f"/orders/{order_id}")
        return str(answer.json()["state"]) if answer.is_success else None

    async def wait_until_state(self, order_id: str, *states: str, within_seconds: float = 60.0) -> None:
        """Waits until the order is in one of these states."""

        async def reached() -> bool:
            return await self.state(order_id) in states

        await assert_eventually(reached, within_seconds, lambda: f"{order_id} in {states}\n{self.system.log_tails}")

    async def start(self) -> None:
        """Starts the API's process, again on the same port, and waits until it answers."""
        self.process = self.system.start("api", "api", expect_end=False, API_PORT=str(self.port), **self.settings)

        async def answers() -> bool:
            self.process.raise_if_it_ended_by_itself()
            try:
                return (await self.client.get("/console/static/console.css")).is_success
            except httpx.TransportError:
                return False

        await assert_eventually(answers, START_TIMEOUT_SECONDS, lambda: f"an answer\n{self.process.log_tail}")


@asynccontextmanager
async def running_console(endpoints: Endpoints, folder: Path) -> AsyncIterator[Console]:
    """A console with a system behind it, in which orders wait for an hour.

    Args:
        endpoints: the servers.
        folder: for logs.
    """
    async with (
        order_system(endpoints, folder, start=True, ORDER_APPROVAL_TIMEOUT_SECONDS="3600") as system,
        console_before(system) as console,
    ):
        yield console


@asynccontextmanager
async def console_before(system: OrderSystem, **settings: str) -> AsyncIterator[Console]:
    """A console before a system that is there, which other consoles may serve as well.

    Args:
        system: what is behind it.
        settings: of the API's process, beside the system's.
    """
    port = free_port()
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
        console = Console(system, port, None, client, settings)  # type: ignore[arg-type] # Started next.
        await console.start()
        yield console
        await console.process.terminate(within_seconds=6)
