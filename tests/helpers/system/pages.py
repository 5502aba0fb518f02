"""Processes of ours whose pages of metrics are read, by a test itself and by a Prometheus."""

import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

from schemas.event_types import EventType
from tests.helpers.messages.kafka_io import Outgoing
from tests.helpers.messages.messages import message_of
from tests.helpers.servers.prometheus import Prometheus
from tests.helpers.system.processes import OrdersProcess, free_port
from tests.helpers.system.system import PARTITIONS, OrderSystem

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


@dataclass(frozen=True, slots=True)
class Watched:
    """A system, and the Prometheus that reads the pages of its processes."""

    system: OrderSystem
    prometheus: Prometheus

    @asynccontextmanager
    async def bridge(self, *, is_read: bool = True, **settings: Any) -> AsyncIterator["Page"]:
        """A bridge that has all partitions, until the block ends.

        Args:
            is_read: Whether Prometheus reads its page from the beginning.
            settings: Of the bridge.
        """
        port = free_port()
        process = self.system.start_bridge(
            BRIDGE_HEALTH_PORT=str(port), BRIDGE_PROBE_INTERVAL_SECONDS="1", **settings
        )  # fmt: skip
        partitions = PARTITIONS * len(EventType)
        async with self._read(port, process, is_read=is_read) as page:
            await page.until(
                "all partitions", lambda samples: value(samples, "orders_bridge_assigned_partitions") == partitions
            )
            yield page

    @asynccontextmanager
    async def worker(self, task_queue: str, **settings: str) -> AsyncIterator["Page"]:
        """A worker of one task queue, until the block ends."""
        port = free_port()
        process = self.system.start_worker(task_queue, WORKER_HEALTH_PORT=str(port), **settings)
        async with self._read(port, process) as page:
            await page.until("the figures", lambda samples: value(samples, "orders_awaiting_approval") is not None)
            yield page

    @asynccontextmanager
    async def _read(self, port: int, process: OrdersProcess, *, is_read: bool = True) -> AsyncIterator["Page"]:
        if is_read:
            self.prometheus.read(port)
        try:
            yield Page(port, self.system)
        finally:
            self.prometheus.leave(port)
            await process.terminate()

    async def send(self, order_id: str, event_type: EventType, **body: Any) -> None:
        """Produces one message of an order."""
        message = message_of(event_type, {"order_id": order_id, **body})
        topic = self.system.topic_of(event_type)
        await self.system.produce([Outgoing(topic, message.value, message.key, message.headers)])


@dataclass(frozen=True, slots=True)
class Page:
    """A process's page of metrics."""

    port: int
    system: OrderSystem

    async def read(self) -> Samples:
        """Each sample by its name and labels."""
        async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
            answer = await client.get(f"http://127.0.0.1:{self.port}/metrics")
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
        return {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in text_string_to_metric_families(answer.text)
            for sample in family.samples
        }

    async def until(self, what: str, condition: Callable[[Samples], bool]) -> Samples:
        """Reads the page until the condition holds."""
        seen: list[Samples] = [{}]

        async def holds() -> bool:
            try:
                seen[0] = await self.read()
            except httpx.TransportError:
                return False  # The process has only just begun.
            return condition(seen[0])

        await self.system.wait_until(holds, 60, lambda: f"{what}, not {_of_ours(seen[0])}")
        return seen[0]


def _of_ours(samples: Samples) -> dict[str, float]:
    return {
        f"{name}{dict(labels)}": value
        for (name, labels), value in samples.items()
        if name.startswith("orders_") and "_bucket" not in name
    }


def value(samples: Samples, name: str, **labels: str) -> float | None:
    """A sample's value; None where it is not there."""
    return samples.get((name, tuple(sorted(labels.items()))))


def total(samples: Samples, name: str, **labels: str) -> float:
    """The sum of all samples of a name that have these labels."""
    return sum(found for (one, its), found in samples.items() if one == name and labels.items() <= dict(its).items())


def new_order_id() -> str:
    """One that no other test has."""
    return f"metrics-{secrets.token_hex(6)}"
