"""The topics: made where missing, checked where they exist."""

import asyncio
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import (
    InvalidPartitionsError,
    InvalidReplicationFactorError,
    KafkaError,
    PolicyViolationError,
    TopicAlreadyExistsError,
    TopicAuthorizationFailedError,
    for_code,
)

from orders.clients.kafka import kafka_admin, kafka_unreachable, partition_counts
from orders.errors import OrdersError, UnreachableError
from orders.settings import Settings

_DEFAULT_REPLICAS = 3
_LOOK_AGAIN_SECONDS = 0.1
_DEAD_LETTER_MAX_BYTES = 2 * 1024 * 1024
"""Twice Kafka's own default for a record: a dead letter is its source record and the headers that say why."""


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic as it is now."""

    name: str
    partitions: int
    created: bool
    """Whether this call made it."""


async def ensure_topics(settings: Settings) -> tuple[Topic, ...]:
    """Makes the topics that are missing; may be repeated, and run by several processes at once.

    A missing inbound topic gets as many partitions as the inbound topics that exist have, so that they stay equal.

    Returns:
        The four inbound topics, order.events and the dead letters, in this order.

    Raises:
        UnreachableError: Kafka does not answer.
        OrdersError: the inbound topics differ in partitions, or Kafka refuses to make one.
    """
    try:
        async with kafka_admin(settings) as admin:
            return await _ensure(admin, settings)
    except KafkaError as error:
        raise UnreachableError(f"{kafka_unreachable(settings)} ({type(error).__name__})") from error


async def _ensure(admin: AIOKafkaAdminClient, settings: Settings) -> tuple[Topic, ...]:
    inbound = tuple(settings.inbound_topics.values())
    names = (*inbound, settings.kafka_topic_order_events, settings.kafka_topic_dead_letters)
    before = await partition_counts(admin, names)
    count = _inbound_partitions({name: before[name] for name in inbound if name in before}, settings)
    wanted = {name: count if name in inbound else settings.kafka_topic_partitions for name in names}
    missing = [name for name in names if name not in before]
    created = await _create(admin, {name: wanted[name] for name in missing}, settings)
    # What another process made meanwhile may differ from what we wanted: ask again for what we did not make.
    others = [name for name in missing if name not in created]
    now = before | {name: wanted[name] for name in created} | await _counts_of_new(admin, others, settings)
    _inbound_partitions({name: now[name] for name in inbound}, settings)
    return tuple(Topic(name, now[name], name in created) for name in names)


def _inbound_partitions(existing: dict[str, int], settings: Settings) -> int:
    """The partition count that the inbound topics share.

    Raises:
        OrdersError: they differ.
    """
    counts = Counter(existing.values())
    if len(counts) > 1:
        listed = ", ".join(f"{name} has {count}" for name, count in existing.items())
        raise OrdersError(
            f"the inbound topics differ in partitions ({listed}), so one order's messages would be spread over several "
            "bridges: give them equal counts (kafka-topics --alter --partitions adds some)"
        )
    return next(iter(counts), settings.kafka_topic_partitions)


async def _create(admin: AIOKafkaAdminClient, wanted: dict[str, int], settings: Settings) -> frozenset[str]:
    """Makes the topics; returns those that were made by this call and not by another process meanwhile."""
    if not wanted:
        return frozenset()
    replicas = settings.kafka_topic_replication_factor or await _default_replicas(admin)
    configs = {settings.kafka_topic_dead_letters: {"max.message.bytes": str(_DEAD_LETTER_MAX_BYTES)}}
    new = [NewTopic(name, partitions, replicas, topic_configs=configs.get(name)) for name, partitions in wanted.items()]
    answer = await admin.create_topics(new, timeout_ms=round(settings.kafka_request_timeout_seconds * 1_000))
    created = set()
    for name, code, *_ in answer.topic_errors:
        if code == 0:
            created.add(name)
        elif code != TopicAlreadyExistsError.errno:
            raise OrdersError(_refusal(name, code))
    return frozenset(created)


async def _counts_of_new(admin: AIOKafkaAdminClient, names: Collection[str], settings: Settings) -> dict[str, int]:
    """The partition counts of topics that another process has just made: Kafka tells of them a moment later.

    Raises:
        OrdersError: Kafka has not told of all of them in time.
    """
    try:
        async with asyncio.timeout(settings.kafka_request_timeout_seconds):
            while len(counts := await partition_counts(admin, names)) < len(names):  # noqa: ASYNC110 - Kafka tells nobody
                await asyncio.sleep(_LOOK_AGAIN_SECONDS)
            return counts
    except TimeoutError:
        raise OrdersError(
            f"Kafka says that {', '.join(names)} exist already, and does not tell of them: run this again"
        ) from None


async def _default_replicas(admin: AIOKafkaAdminClient) -> int:
    """Three where there are brokers enough; aiokafka 0.14 cannot ask for the broker's own default."""
    cluster = await admin.describe_cluster()
    return max(1, min(_DEFAULT_REPLICAS, len(cluster["brokers"])))


def _refusal(name: str, code: int) -> str:
    error = for_code(code)
    hint = {
        InvalidReplicationFactorError: "set KAFKA_TOPIC_REPLICATION_FACTOR to no more than there are brokers",
        InvalidPartitionsError: "check KAFKA_TOPIC_PARTITIONS",
        TopicAuthorizationFailedError: "let the Kafka user create topics, or have them made for you",
        PolicyViolationError: "the broker's policy forbids it; have them made for you",
    }.get(error, "the broker's log says more")
    return f"Kafka refused to make the topic {name} ({error.__name__}): {hint}"
