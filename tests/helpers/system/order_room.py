"""A room for orders: the topics of the message contract, under names of one test's own."""

import json
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Any

from bridge import ReadLimits
from orders.mapping import OrderMapping
from schemas.event_types import EventType
from schemas.inbound import InboundEvent
from stack.endpoints import Endpoints
from tests.helpers.messages.kafka_io import Outgoing
from tests.helpers.system.bridge_room import Room, open_room_of
from workflows.names import order_workflow_id


class OrderRoom(Room):
    """A room whose topics are those of orders."""

    def topic(self, event_type: EventType = EventType.ORDER_CREATED) -> str:
        return self.topics_by_kind[event_type]

    def created(self, order_id: str, **changes: Any) -> Outgoing:
        """A record that an order was placed; the changes are the record's."""
        body = {"order_id": order_id, "payment_id": f"p-{order_id}"}
        return replace(Outgoing(self.topic(), json.dumps(body).encode(), key=order_id.encode()), **changes)

    async def signals(self, order_id: str) -> list[tuple[str, InboundEvent]]:
        """The signals of an order's latest run."""
        return await self.signals_of(order_workflow_id(order_id), InboundEvent)

    def mapping_with(self, limits: ReadLimits) -> OrderMapping:
        """The room's mapping with other limits."""
        return _mapping({topic: kind for kind, topic in self.topics_by_kind.items()}, self.task_queue, limits)

    @property
    def topic_settings(self) -> dict[str, str]:
        """The settings that name the room's topics."""
        inbound = {f"KAFKA_TOPIC_{event_type.name}": self.topic(event_type) for event_type in EventType}
        return inbound | {"KAFKA_TOPIC_DEAD_LETTERS": self.config.dead_letter_topic}


def open_order_room(endpoints: Endpoints, *, partitions: int = 3) -> AbstractAsyncContextManager[OrderRoom]:
    """A room with a topic for each inbound event type."""
    return open_room_of(OrderRoom, endpoints, list(EventType), _mapping, partitions=partitions)


def _mapping(kinds: dict[str, str], task_queue: str, limits: ReadLimits | None = None) -> OrderMapping:
    routes = {topic: EventType(kind) for topic, kind in kinds.items()}
    return OrderMapping(routes, task_queue=task_queue, limits=limits or ReadLimits())
