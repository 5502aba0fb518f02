"""What comes out while the demonstration runs: order.events and the dead letters, as they arrive."""

import asyncio
import json
from collections.abc import Callable, Iterable
from typing import Any

from orders.clients.opened import Clients
from orders.clients.topic_stream import ReadRecord, topic_batches
from orders.local.demo.scenarios import ADDRESS_CHANGED, refused
from schemas.outbound import OutboundType
from schemas.states import ReasonCode


def token_of(event_type: str, body: dict[str, Any]) -> str:
    """An event in the words of a scenario's expectation."""
    if event_type == OutboundType.ADDRESS_CHANGED:
        return ADDRESS_CHANGED
    if event_type == OutboundType.EVENT_REJECTED:
        return refused(ReasonCode(body["reason"]))
    return str(body["state"])


class Watch:
    """Collects what is published of some orders, and lets others wait for it.

    Args:
        order_ids: whose events count; all others pass by.
        bad_values: whose dead letters count.
        on_event: called with each event's type and body, once.
        on_dead_letter: called with each dead letter.
    """

    def __init__(
        self,
        order_ids: Iterable[str],
        bad_values: Iterable[bytes],
        on_event: Callable[[str, dict[str, Any]], None],
        on_dead_letter: Callable[[ReadRecord], None],
    ) -> None:
        self._events: dict[str, list[tuple[int, str, bytes]]] = {order_id: [] for order_id in order_ids}
        self._bad_values = frozenset(bad_values)
        self._on_event = on_event
        self._on_dead_letter = on_dead_letter
        self._changed = asyncio.Condition()
        self._dead_letters: list[ReadRecord] = []

    async def follow_events(self, clients: Clients, ready: asyncio.Event) -> None:
        """Reads order.events from now on, until cancelled."""
        await self._follow(clients, clients.settings.kafka_topic_order_events, self._take_event, ready)

    async def follow_dead_letters(self, clients: Clients, ready: asyncio.Event) -> None:
        """Reads the dead letters from now on, until cancelled."""
        await self._follow(clients, clients.settings.kafka_topic_dead_letters, self._take_dead_letter, ready)

    async def _follow(
        self, clients: Clients, topic: str, take: Callable[[ReadRecord], None], ready: asyncio.Event
    ) -> None:
        async with topic_batches(clients, topic, follow=True, from_end=True) as batches:
            ready.set()
            async for batch in batches:
                for record in batch:
                    take(record)
                if batch:
                    async with self._changed:
                        self._changed.notify_all()

    async def wait_until(self, condition: Callable[[], bool]) -> None:
        """Returns once the condition holds; it is looked at whenever something has come."""
        async with self._changed:
            await self._changed.wait_for(condition)

    def events_of(self, order_id: str) -> list[tuple[int, str, bytes]]:
        """Sequence, token and payload of the order's events, each once, by sequence."""
        return sorted(set(self._events[order_id]))

    def tokens_of(self, order_id: str) -> list[str]:
        """The order's events in a scenario's words."""
        return [token for _, token, _ in self.events_of(order_id)]

    def dead_letter_of(self, value: bytes) -> ReadRecord | None:
        """The dead letter with exactly these bytes; None where there is none."""
        return next((record for record in self._dead_letters if record.value == value), None)

    def _take_event(self, record: ReadRecord) -> None:
        order_id = (record.key or b"").decode(errors="replace")
        if order_id not in self._events or record.value is None:
            return
        event_type, body = record.header("ce_type") or "", json.loads(record.value)
        event = (int(body["sequence"]), token_of(event_type, body), record.value)
        if event not in self._events[order_id]:
            # A repeat is the same to the byte, and consumers ignore it.
            self._on_event(event_type, body)
        self._events[order_id].append(event)

    def _take_dead_letter(self, record: ReadRecord) -> None:
        if record.value in self._bad_values:
            self._dead_letters.append(record)
            self._on_dead_letter(record)
