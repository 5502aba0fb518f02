"""Sends a message to Kafka, as upstream would."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import uuid4

from aiokafka.errors import KafkaError, MessageSizeTooLargeError

from orders.clients.kafka import kafka_unreachable
from orders.clients.opened import Clients
from orders.errors import NotFoundError, OrdersError, UnreachableError
from orders.operations.bodies import body_fields
from orders.operations.messages import Encoding, Message, encode_message
from schemas.event_types import EventType
from schemas.inbound import InboundBody


@dataclass(frozen=True, slots=True)
class Produced:
    """Where a record is now."""

    topic: str
    partition: int
    offset: int


def message_of(event_type: EventType, body: InboundBody, encoding: Encoding) -> Message:
    """The body as a message. An event id or a time that the body lacks is a new id, and the present time."""
    return encode_message(
        event_type,
        body_fields(body),
        encoding=encoding,
        event_id=body.event_id or str(uuid4()),
        time=body.occurred_at or datetime.now(UTC),
    )


async def produce(clients: Clients, event_type: EventType, message: Message, key: bytes | None) -> Produced:
    """Sends the message to its event type's topic, and returns once Kafka has acknowledged it.

    Args:
        clients: lead to Kafka.
        event_type: says which topic.
        message: value and headers; nothing is checked here.
        key: the record's; None for none.

    Raises:
        NotFoundError: there is no such topic.
        UnreachableError: Kafka does not answer in time.
        OrdersError: the message is larger than Kafka takes.
    """
    settings = clients.settings
    topic = settings.inbound_topics[event_type]
    producer = await clients.kafka_producer()
    try:
        # An idempotent producer repeats a request for ever: the wait has its bound here.
        async with asyncio.timeout(settings.kafka_request_timeout_seconds):
            known = await producer.client.fetch_all_metadata()
            if topic not in known.topics():
                raise NotFoundError(f"there is no topic {topic}: make it with `orders migrate`")
            sent = await producer.send_and_wait(topic, message.value, key=key, headers=list(message.headers))
    except MessageSizeTooLargeError as error:
        raise OrdersError(f"Kafka takes no record of {len(message.value)} bytes on {topic}") from error
    except (KafkaError, TimeoutError) as error:
        raise UnreachableError(f"{kafka_unreachable(settings)} ({type(error).__name__})") from error
    return Produced(topic, sent.partition, sent.offset)
