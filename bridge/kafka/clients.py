"""Makes and connects the Kafka clients; every option that matters is said here, whatever the client's default is."""

import asyncio
from collections.abc import Iterable
from datetime import timedelta
from typing import Any, cast

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.conn import collect_hosts, create_conn
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.structs import OffsetAndMetadata

from bridge.config import BridgeConfig, FetchLimits, Kafka
from bridge.decisions import Decision, classify_kafka_error
from bridge.kafka.lenient_records import bound_unfolding, read_leniently
from bridge.kafka.membership import know_fenced_instances
from bridge.kafka.poll_bounds import bound_polls

_FETCH_MAX_BYTES = 16 * 1024 * 1024
_PAST_FETCH_MAX_BYTES = 256 * 1024
"""For records that are read once more: some hundred of them, of which one lane wants 64 at a time."""
_FETCH_MAX_WAIT_MS = 50
"""How long a broker may wait for records.

aiokafka 0.14 has one fetch at a time under way to a broker, so one that waits for records of empty partitions holds up
the others, whose records were taken meanwhile: with the default of 500 ms, 20,000 records of one partition took 1.62 s,
0.38 s of it such a wait (measured on 2026-11-23). The price is 20 small requests a second to each broker when idle."""
_REQUEST_TIMEOUT_MS = 20_000
_PRODUCE_MAX_BYTES = 16 * 1024 * 1024
"""Above what any source record has; the broker's own limit for the dead-letter topic decides."""

_KNOCK_TIMEOUT_SECONDS = 5.0
_CLOSE_TIMEOUT = timedelta(seconds=3)
"""How long closing one Kafka client may take; it would otherwise wait for a broker that is away."""

log = structlog.get_logger("bridge")


async def login_error(kafka: Kafka, client_id: str) -> Exception | None:
    """Why Kafka refuses a connection with these credentials; None where it takes it, or does not answer.

    The clients themselves only log it, and say that they cannot connect, as if it were away (aiokafka 0.14,
    `AIOKafkaClient.bootstrap` and `_get_conn`): a wrong password would look like an outage.
    """
    for host, port, _ in collect_hosts(kafka.bootstrap_servers):
        try:
            async with asyncio.timeout(_KNOCK_TIMEOUT_SECONDS):
                connection = await create_conn(host, port, client_id=client_id, **kafka.security)
        except Exception as error:  # noqa: BLE001 -- every failure of the boundary is classified, in one place
            if classify_kafka_error(error) is Decision.CONFIGURATION:
                return error
        else:
            connection.close()
            return None
    return None


def client_id_of(config: BridgeConfig) -> str:
    """What the bridge calls itself towards Kafka."""
    return config.client_id or config.group_id


def make_consumer(config: BridgeConfig, kafka: Kafka) -> Any:
    """An `AIOKafkaConsumer` that is neither started nor subscribed."""
    read_leniently()
    bound_polls()
    bound_unfolding(config.fetch.unfolded_max_bytes, config.fetch.unfolded_max_setting)
    know_fenced_instances()
    return AIOKafkaConsumer(
        bootstrap_servers=kafka.bootstrap_servers,
        client_id=client_id_of(config),
        group_id=config.group_id,
        group_instance_id=config.instance_id,
        # No deserializers: one that raises would raise for ever at the same position.
        enable_auto_commit=False,
        auto_offset_reset="none",  # Never by itself: `bridge.kafka.beginnings` says it, and says what is lost.
        isolation_level="read_committed",  # What a transaction took back never happened.
        # Exactly one assignor: with more the client joins several times. Range, so that partitions of one number belong
        # to one bridge in all topics that have equally many: records of one key, whichever topic they are in.
        partition_assignment_strategy=(RangePartitionAssignor,),
        session_timeout_ms=_ms(config.group.session_timeout),
        heartbeat_interval_ms=_ms(config.group.heartbeat_interval),
        rebalance_timeout_ms=_ms(config.group.rebalance_timeout),
        max_poll_interval_ms=_ms(config.group.max_poll_interval),
        fetch_max_bytes=_FETCH_MAX_BYTES,
        max_partition_fetch_bytes=config.fetch.partition_max_bytes,
        fetch_max_wait_ms=_FETCH_MAX_WAIT_MS,
        request_timeout_ms=_REQUEST_TIMEOUT_MS,
        metadata_max_age_ms=15_000,  # How soon added partitions are seen: work on them goes on within 30 s (I12).
        **kafka.security,
    )


def make_past_reader(config: BridgeConfig, kafka: Kafka) -> Any:
    """An `AIOKafkaConsumer` without a group, neither started nor assigned, that reads records once more."""
    read_leniently()
    bound_polls()
    return AIOKafkaConsumer(
        bootstrap_servers=kafka.bootstrap_servers,
        client_id=client_id_of(config),
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="none",  # An offset that is not there any more is an error, and no other one's turn.
        isolation_level="read_committed",
        fetch_max_bytes=_FETCH_MAX_BYTES,
        max_partition_fetch_bytes=_PAST_FETCH_MAX_BYTES,
        fetch_max_wait_ms=_FETCH_MAX_WAIT_MS,
        request_timeout_ms=_REQUEST_TIMEOUT_MS,
        **kafka.security,
    )


async def close_client(client: Any) -> None:
    """Closes a Kafka client, within bounds.

    In a task of its own: the client cancels tasks that it waits for, and lets their cancellation out as if it were the
    caller's; or it keeps a cancellation to itself, and a time-out around it would have no end (aiokafka 0.14).
    """
    closing = asyncio.create_task(client.stop(), name="bridge-client-close")
    await asyncio.wait([closing], timeout=_CLOSE_TIMEOUT.total_seconds())
    if not closing.done():
        closing.cancel()
        problem = "TimeoutError"
    elif closing.cancelled():
        problem = "CancelledError"
    elif (error := closing.exception()) is not None:
        problem = type(error).__name__
    else:
        return
    # It is over either way, and everything that counts is committed.
    log.warning("bridge.client.not_closed", client=type(client).__name__, error=problem)


def share_fetches(consumer: Any, fetch: FetchLimits, partitions: int) -> None:
    """Has each partition fetch no more than its share of what the client may buffer for all of them.

    The client buffers a fetch's bytes of every partition that was not polled yet, and has nothing public to change them
    once it is made (aiokafka 0.14).
    """
    consumer._fetcher._max_partition_fetch_bytes = fetch.partition_bytes(partitions)  # noqa: SLF001


def has_leader(consumer: Any, partition: TopicPartition) -> bool:
    """Whether the client knows a broker that leads the partition.

    Asked for the offsets of many partitions, of which one has no leader, the client waits for that one, and answers
    for none (aiokafka 0.14, `Fetcher._proc_offset_requests`).
    """
    return consumer._client.cluster.leader_for_partition(partition) not in (None, -1)  # noqa: SLF001


def refused_topics(consumer: Any) -> frozenset[str]:
    """The topics that the client may not see, by its last answer about topics.

    Their partitions have no leader that it knows, so it asks for none of their records, and nothing that it is asked
    fails: only what asked before it knew has raised anything, once (aiokafka 0.14).
    """
    return frozenset(consumer._client.cluster.unauthorized_topics)  # noqa: SLF001


async def fetch_committed(
    consumer: Any, partitions: Iterable[TopicPartition]
) -> dict[TopicPartition, OffsetAndMetadata]:
    """What the consumer's group has committed for the partitions; those without a commit are left out.

    Asks again for ever while the group's coordinator is away: to be bounded in time by whoever calls.
    """
    # The client's public `committed` asks for one partition and gives no metadata (aiokafka 0.14).
    committed = await consumer._coordinator.fetch_committed_offsets(list(partitions))  # noqa: SLF001
    return cast("dict[TopicPartition, OffsetAndMetadata]", committed)


def make_producer(config: BridgeConfig, kafka: Kafka) -> Any:
    """An `AIOKafkaProducer` for dead letters, not started.

    Not idempotent: once a broker has refused one record as too large, an idempotent producer's next records fail as out
    of order (seen in aiokafka 0.14 on Kafka 4.3). A dead letter may be there twice; replaying it is idempotent.
    """
    return AIOKafkaProducer(
        bootstrap_servers=kafka.bootstrap_servers,
        client_id=client_id_of(config),
        acks="all",
        enable_idempotence=False,
        linger_ms=0,  # Each record is awaited, so waiting for company only costs time.
        max_request_size=_PRODUCE_MAX_BYTES,
        request_timeout_ms=_REQUEST_TIMEOUT_MS,
        **kafka.security,
    )


def _ms(span: timedelta) -> int:
    return int(span.total_seconds() * 1_000)
