"""Sends a message to Kafka, as upstream would."""

import asyncio

from aiokafka.errors import KafkaError, MessageSizeTooLargeError

from orders.clients.kafka import kafka_producer, kafka_unreachable
from orders.errors import NotFoundError, OrdersError, UnreachableError
from orders.operations.messages import Message
from orders.settings import Settings


async def _produce(settings: Settings, topic: str, key: bytes | None, message: Message) -> tuple[int, int]:
    async with kafka_producer(settings) as producer:
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
        return sent.partition, sent.offset
