"""Sends orders through Kafka as upstream does, approves each once it is validated, and watches what is published."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final

from orders.clients.opened import Clients
from orders.clients.topic_stream import ReadRecord, topic_batches
from orders.operations.bodies import build_body
from orders.operations.messages import Encoding
from orders.operations.produce import message_of, produce
from schemas.event_types import EventType
from schemas.states import FINAL_STATES, OrderState

BODY: Final[dict[str, Any]] = {
    "customer_id": "bench",
    "currency": "EUR",
    "items": [
        {"sku": "tea-pot", "quantity": 1, "unit_amount": 2_500},
        {"sku": "cup", "quantity": 4, "unit_amount": 450},
    ],
    "shipping_address": {
        "street": "Damrak 1",
        "city": "Amsterdam",
        "state": "NH",
        "zip_code": "1012LG",
        "country": "NL",
    },
}
"""An order of two lines, which the embedded sandbox charges and ships."""


@dataclass(slots=True)
class Course:
    """How one order went: the moments by this machine's clock, in seconds."""

    order_id: str
    sent_at: float = 0.0
    """When Kafka had acknowledged its `order.created`."""
    approved_at: float = 0.0
    """The same of its `order.approved`."""
    reached: dict[OrderState, float] = field(default_factory=dict)
    """When each state was read from what is published."""
    _validated: asyncio.Event = field(default_factory=asyncio.Event)
    _ended: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def wait(self) -> float:
        """From its `order.created` to its COMPLETED, in seconds."""
        return self.reached[OrderState.COMPLETED] - self.sent_at

    @property
    def is_completed(self) -> bool:
        """Whether it ended as it should."""
        return OrderState.COMPLETED in self.reached

    def note(self, state: OrderState, at: float) -> None:
        """Takes down a state that was published; the first time counts, as one may be published again."""
        self.reached.setdefault(state, at)
        self._validated.set() if state is OrderState.VALIDATED else None
        if state in FINAL_STATES:
            self._validated.set()
            self._ended.set()

    async def validated(self) -> bool:
        """Waits until it can be approved; False where it ended before."""
        await self._validated.wait()
        return not self._ended.is_set()

    async def ended(self) -> None:
        """Waits until it is over."""
        await self._ended.wait()


class Driver:
    """Upstream and downstream of the installation."""

    def __init__(self, clients: Clients, prefix: str) -> None:
        self._clients = clients
        self._prefix = prefix
        self._courses: dict[str, Course] = {}

    async def drive(self, numbers: Iterable[int], *, open_max: int, done: Callable[[], None]) -> list[Course]:
        """Has the orders of these numbers done, so many at a time.

        Args:
            numbers: the order's id is the prefix and its number.
            open_max: how many are open at any time.
            done: called as each order ends.
        """
        places = asyncio.Semaphore(open_max)

        async def one(number: int) -> Course:
            async with places:
                course = await self._complete(f"{self._prefix}-{number}")
            done()
            return course

        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(one(number), name=f"order {number}") for number in numbers]
        return [task.result() for task in running]

    @property
    def open_orders(self) -> list[str]:
        """Those that were sent and are not over."""
        return sorted(self._courses)

    async def _complete(self, order_id: str) -> Course:
        course = self._courses[order_id] = Course(order_id)
        await self._send(EventType.ORDER_CREATED, order_id, {"payment_id": order_id, **BODY})
        course.sent_at = time.perf_counter()
        if await course.validated():
            await self._send(EventType.ORDER_APPROVED, order_id, {"approved_by": "orders bench"})
            course.approved_at = time.perf_counter()
        await course.ended()
        del self._courses[order_id]
        return course

    async def _send(self, event_type: EventType, order_id: str, fields: dict[str, Any]) -> None:
        body = build_body(event_type, {"order_id": order_id, **fields})
        message = message_of(event_type, body, Encoding.BARE)
        await produce(self._clients, event_type, message, order_id.encode())

    async def read(self, batches: AsyncIterator[list[ReadRecord]]) -> None:
        """Takes down what is published, until it is cancelled."""
        async for batch in batches:
            now = time.perf_counter()
            for record in batch:
                self._note(record, now)

    def _note(self, record: ReadRecord, now: float) -> None:
        # Others' orders are published on the same topic: only what has our key is read.
        course = self._courses.get((record.key or b"").decode(errors="replace"))
        if course is None or record.value is None:
            return
        state = json.loads(record.value).get("state")
        if state is not None:
            course.note(OrderState(state), now)


@asynccontextmanager
async def driver(clients: Clients, prefix: str) -> AsyncIterator[Driver]:
    """A driver that reads what is published from now on.

    Raises:
        UnreachableError: Kafka does not answer.
        NotFoundError: a topic is missing.
    """
    made = Driver(clients, prefix)
    topic = clients.settings.kafka_topic_order_events
    async with topic_batches(clients, topic, follow=True, from_end=True) as batches:
        reading = asyncio.create_task(made.read(batches), name="published events")
        try:
            yield made
        finally:
            reading.cancel()
            with suppress(asyncio.CancelledError):
                await reading
