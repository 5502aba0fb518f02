"""What ``orders explain`` says of records beyond one that is stuck: whether the bridges have settled them."""

import json
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.structs import OffsetAndMetadata

from bridge.engine.settled_beyond import METADATA_CHARS_MAX, encode, settled_beyond
from orders.clients.opened import open_clients
from orders.operations.explain.kafka_side import look_in_kafka
from orders.settings import Settings
from schemas.event_types import EventType
from stack.endpoints import Endpoints
from tests.helpers.messages.kafka_io import Outgoing
from tests.helpers.system.order_room import OrderRoom, open_order_room

RECORDS, STUCK_AT = 40, (0, 20)
MARK = b"\x01" * 8


async def commit(room: OrderRoom, offset: int, metadata: str) -> None:
    """As a bridge would commit it; the group is empty."""
    consumer = AIOKafkaConsumer(bootstrap_servers=room.servers, group_id=room.config.group_id, enable_auto_commit=False)
    partition = TopicPartition(room.topic(EventType.ORDER_APPROVED), 0)
    await consumer.start()
    try:
        consumer.assign([partition])
        await consumer.commit({partition: OffsetAndMetadata(offset, metadata)})
    finally:
        await consumer.stop()


async def taken(room: OrderRoom, order_id: str) -> list[bool | None]:
    topics: dict[str, Any] = {name.lower(): topic for name, topic in room.topic_settings.items()}
    settings = Settings(
        _env_file=None, kafka_bootstrap_servers=room.servers, bridge_group_id=room.config.group_id, **topics
    )
    async with open_clients(settings) as clients:
        found = await look_in_kafka(clients, order_id, since=None, limit=10 * RECORDS)
    return [record.taken for record in found.records]


@pytest.mark.parametrize("believed", [True, False])
async def test_what_is_settled_beyond_a_stuck_order_is_told(endpoints: Endpoints, *, believed: bool) -> None:
    """Metadata of somebody else tells nothing: a bridge would not believe it either."""
    async with open_order_room(endpoints, partitions=1) as room:
        order_ids = ["stuck" if number in STUCK_AT else f"o-{number}" for number in range(RECORDS)]
        topic = room.topic(EventType.ORDER_APPROVED)
        await room.produce(
            *(Outgoing(topic, json.dumps({"order_id": one}).encode(), key=one.encode()) for one in order_ids)
        )
        told = encode(
            settled_beyond([(at, at + 1) for at in STUCK_AT], RECORDS - 1, MARK), chars_max=METADATA_CHARS_MAX
        )
        await commit(room, 0, told if believed else "somebody else's")
        assert await taken(room, "stuck") == [False, False]
        assert await taken(room, "o-1") == [believed]
        assert await taken(room, f"o-{RECORDS - 1}") == [False], "beyond the end of what is told"
