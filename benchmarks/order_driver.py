"""Sends orders through Kafka as upstream does, approves each once it is validated, and waits for its COMPLETED."""

import asyncio
import contextlib
import itertools
import json
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from orders.operations.bench.driving import BODY

EVENTS: Final = "order.events"
CREATED: Final = "order.created"
APPROVED: Final = "order.approved"
ORDER_SECONDS: Final = 180.0
"""An order that takes longer has met a defect."""


@dataclass(frozen=True, slots=True)
class Driven:
    """How a number of orders went."""

    seconds: float
    """From the first record to the last COMPLETED."""
    waits: tuple[float, ...]
    """Of each order, in seconds: from its record, acknowledged by Kafka, to its COMPLETED, read from Kafka."""

    @property
    def rate(self) -> float:
        """Orders a second."""
        return len(self.waits) / self.seconds


class OrderDriver:
    """Upstream and downstream of one system."""

    def __init__(self, producer: AIOKafkaProducer, consumer: AIOKafkaConsumer) -> None:
        self._producer = producer
        self._consumer = consumer
        self._waiting: dict[tuple[str, str], asyncio.Future[float]] = {}
        self._tag = uuid.uuid4().hex[:8]
        self._numbers = itertools.count()

    async def drive(self, orders: int, *, open_max: int) -> Driven:
        """Has so many orders done, of which so many are open at any time."""
        places = asyncio.Semaphore(open_max)

        async def one() -> float:
            async with places:
                return await self.complete_one()

        started_at = time.perf_counter()
        waits = await asyncio.gather(*(one() for _ in range(orders)))
        return Driven(time.perf_counter() - started_at, tuple(waits))

    async def complete_one(self) -> float:
        """One order from its record to its COMPLETED; how long it took, in seconds."""
        number = f"{self._tag}-{next(self._numbers)}"
        order_id = f"o-{number}"
        validated, completed = self._expect(order_id, "VALIDATED"), self._expect(order_id, "COMPLETED")
        async with asyncio.timeout(ORDER_SECONDS):
            await self._send(CREATED, order_id, {"payment_id": f"p-{number}", **BODY})
            written_at = time.perf_counter()
            await validated
            await self._send(APPROVED, order_id, {"approved_by": "somebody"})
            return await completed - written_at

    async def read(self) -> None:
        """Reads what is published, until it is cancelled."""
        async for record in self._consumer:
            body = json.loads(record.value)
            waiting = self._waiting.pop((body["order_id"], str(body.get("state"))), None)
            if waiting is not None:
                waiting.set_result(time.perf_counter())

    def _expect(self, order_id: str, state: str) -> "asyncio.Future[float]":
        future: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._waiting[order_id, state] = future
        return future

    async def _send(self, topic: str, order_id: str, body: dict[str, Any]) -> None:
        value = json.dumps({"order_id": order_id, **body}).encode()
        await self._producer.send_and_wait(topic, value, order_id.encode())


@asynccontextmanager
async def order_driver(bootstrap_servers: str) -> AsyncIterator[OrderDriver]:
    """A driver that reads what is published from now on."""
    async with (
        AIOKafkaProducer(bootstrap_servers=bootstrap_servers) as producer,
        AIOKafkaConsumer(bootstrap_servers=bootstrap_servers, enable_auto_commit=False) as consumer,
    ):
        partitions = await producer.partitions_for(EVENTS)
        consumer.assign([TopicPartition(EVENTS, number) for number in partitions])
        await consumer.seek_to_end()
        driver = OrderDriver(producer, consumer)
        reading = asyncio.create_task(driver.read(), name="order.events")
        try:
            yield driver
        finally:
            reading.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await reading
