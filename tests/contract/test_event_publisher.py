"""What every `EventPublisher` does: the one that records and the one on Kafka."""

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime

import pytest

from activities import journal
from activities.adapters.kafka import KafkaEventPublisher
from activities.ports import EventPublisher, StoredEvent
from schemas.outbound import OrderStateChanged
from schemas.states import OrderState
from stack.endpoints import Endpoints
from tests.helpers.fakes import RecordingPublisher
from tests.helpers.messages.kafka_io import read_topic
from tests.helpers.servers.kafka_topics import topics_made

Published = Callable[[], Awaitable[list[tuple[str, str]]]]
Case = tuple[EventPublisher, Published]


@pytest.fixture(params=["recording", "kafka"])
async def case(request: pytest.FixtureRequest) -> AsyncIterator[Case]:
    """A publisher, and a way to see what it published: order and payload, in order."""
    if request.param == "recording":
        recording = RecordingPublisher()

        async def recorded() -> list[tuple[str, str]]:
            return [(event.order_id, event.payload_json) for event in recording.published]

        yield recording, recorded
        return
    endpoints: Endpoints = request.getfixturevalue("endpoints")
    topic = f"order.events.{secrets.token_hex(4)}"
    async with topics_made(endpoints.kafka_bootstrap_servers, {topic: 1}):
        publisher = KafkaEventPublisher(
            bootstrap_servers=endpoints.kafka_bootstrap_servers, topic=topic, source="/orders"
        )

        async def consumed() -> list[tuple[str, str]]:
            records = await read_topic(endpoints.kafka_bootstrap_servers, topic)
            return [((record.key or b"").decode(), (record.value or b"").decode()) for record in records]

        yield publisher, consumed
        await publisher.close()


def event(order_id: str, sequence: int) -> StoredEvent:
    at = datetime(2026, 1, 31, 12, 0, sequence % 60, tzinfo=UTC)
    return journal.stored(
        OrderStateChanged(order_id=order_id, sequence=sequence, state=OrderState.RECEIVED, occurred_at=at)
    )


async def test_events_arrive_in_their_order_to_the_byte(case: Case) -> None:
    publisher, published = case
    events = tuple(event("o-1", sequence) for sequence in range(1, 31))

    await publisher.publish(events)

    assert await published() == [("o-1", one.payload_json) for one in events]


async def test_a_repeat_is_the_same_to_the_byte(case: Case) -> None:
    publisher, published = case

    await publisher.publish((event("o-1", 1),))
    await publisher.publish((event("o-1", 1), event("o-1", 2)))

    first, again, second = await published()
    assert first == again != second


async def test_publishing_nothing_is_nothing(case: Case) -> None:
    publisher, published = case

    await publisher.publish(())

    assert await published() == []
