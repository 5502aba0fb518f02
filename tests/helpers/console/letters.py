"""Dead letters as they come about: records that no bridge can hand over."""

from schemas.event_types import EventType
from tests.helpers.console.running import Console
from tests.helpers.messages.kafka_io import Outgoing
from tests.helpers.system.waiting import assert_eventually


async def set_aside(
    console: Console, value: bytes, *, key: bytes | None = None, topic: EventType = EventType.ORDER_CREATED
) -> None:
    """Sends a record that no bridge can hand over, and waits until it is a dead letter."""
    before = len(await console.system.dead_letters())
    await console.system.produce([Outgoing(console.system.topic_of(topic), value, key=key)])

    async def is_there() -> bool:
        return len(await console.system.dead_letters()) > before

    await assert_eventually(is_there, 60, "a dead letter")
