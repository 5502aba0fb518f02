"""Connections to Kafka."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from orders.clients.addresses import not_answering
from orders.clients.diagnoses.kafka import kafka_diagnosis
from orders.clients.kafka_login import kafka_security
from orders.errors import NotFoundError, RefusedAtTheDoorError, UnreachableError
from orders.settings import Settings

_CLOSE_TIMEOUT_SECONDS = 5.0
"""aiokafka's stop can retry for ever on some errors; nothing of ours is unacknowledged by then."""


def kafka_options(settings: Settings) -> dict[str, Any]:
    """The options that every Kafka client takes: addresses, time-out, encryption and credentials.

    Raises:
        WrongSettingsError: a certificate cannot be read.
    """
    return {
        "bootstrap_servers": settings.kafka_bootstrap_servers,
        "request_timeout_ms": round(settings.kafka_request_timeout_seconds * 1_000),
        **kafka_security(settings),
    }


@asynccontextmanager
async def kafka_producer(settings: Settings, **options: Any) -> AsyncIterator[AIOKafkaProducer]:
    """A started producer whose awaited sends are acknowledged by all replicas.

    Args:
        settings: where Kafka is.
        options: further options of aiokafka's producer, which win over those that are set here.

    Raises:
        UnreachableError: Kafka does not answer in time.
    """
    # linger_ms=0: awaited sends gain nothing by lingering (measured: 73,000/s against 9,600/s at 5 ms).
    ours = {**kafka_options(settings), "acks": "all", "enable_idempotence": True, "linger_ms": 0}
    producer = AIOKafkaProducer(**(ours | options))
    async with _started(producer, settings):
        yield producer


@asynccontextmanager
async def kafka_consumer(settings: Settings, **options: Any) -> AsyncIterator[AIOKafkaConsumer]:
    """A started consumer without a group and without deserializers; the caller assigns partitions.

    Raises:
        UnreachableError: Kafka does not answer in time.
    """
    consumer = AIOKafkaConsumer(**kafka_options(settings), enable_auto_commit=False, **options)
    async with _started(consumer, settings):
        yield consumer


@asynccontextmanager
async def kafka_admin(settings: Settings) -> AsyncIterator[AIOKafkaAdminClient]:
    """A started admin client.

    Raises:
        UnreachableError: Kafka does not answer in time.
    """
    admin = AIOKafkaAdminClient(**kafka_options(settings))
    try:
        await _start(admin, settings)
        yield admin
    finally:
        await _close(admin.close())


@asynccontextmanager
async def _started(client: Any, settings: Settings) -> AsyncIterator[None]:
    try:
        await _start(client, settings)
        yield
    finally:
        await _close(client.stop())


async def _start(client: Any, settings: Settings) -> None:
    try:
        async with asyncio.timeout(settings.kafka_request_timeout_seconds):
            await client.start()
    except (KafkaError, TimeoutError, OSError) as error:
        found = await kafka_diagnosis(settings, error)
        if found is not None:
            raise RefusedAtTheDoorError(found.mistake, found.sentence, found.action) from error
        raise UnreachableError(kafka_unreachable(settings)) from error


async def _close(closing: Any) -> None:
    # In a task of its own: aiokafka 0.14 suppresses a cancellation while it closes, and so would a time-out around it.
    task = asyncio.ensure_future(closing)
    done, _ = await asyncio.wait({task}, timeout=_CLOSE_TIMEOUT_SECONDS)
    if not done:
        task.cancel()
        return
    with suppress(KafkaError, TimeoutError, OSError, asyncio.CancelledError):
        task.result()


def kafka_unreachable(settings: Settings) -> str:
    """The sentence for a person where Kafka does not answer."""
    where, setting = settings.kafka_bootstrap_servers, "kafka_bootstrap_servers"
    return not_answering(settings, "Kafka", where, endpoint=setting, variables=setting.upper())


async def partition_counts(admin: AIOKafkaAdminClient, names: Iterable[str]) -> dict[str, int]:
    """How many partitions each of these topics has; a topic that does not exist is not in the answer."""
    # All topics are asked for, not these: a broker with auto.create.topics.enable makes what a client asks about.
    described = await admin.describe_topics()
    counts = {topic["topic"]: len(topic["partitions"]) for topic in described if not topic["error_code"]}
    return {name: counts[name] for name in names if name in counts}


async def existing_partitions(
    admin: AIOKafkaAdminClient, settings: Settings, topics: Iterable[str]
) -> list[TopicPartition]:
    """Every partition of these topics.

    Raises:
        NotFoundError: a topic does not exist.
        TimeoutError, aiokafka.errors.KafkaError: Kafka does not answer.
    """
    names = list(topics)
    async with asyncio.timeout(settings.kafka_request_timeout_seconds):
        counts = await partition_counts(admin, names)
    missing = [name for name in names if name not in counts]
    if missing:
        raise NotFoundError(f"there is no topic {', '.join(missing)}: make it with `orders migrate`")
    return [TopicPartition(name, number) for name in names for number in range(counts[name])]
