"""Reads records of a partition once more, by a consumer that belongs to no group."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from aiokafka import TopicPartition
from aiokafka.errors import KafkaConnectionError, OffsetOutOfRangeError

from bridge.config import BridgeConfig, Kafka
from bridge.engine.offsets import Partition, UnexpectedDeliveryError
from bridge.engine.rereader import Found, OffsetsGoneError
from bridge.kafka.clients import client_id_of, close_client, login_error, make_past_reader
from bridge.kafka.poll_bounds import bound_next_poll
from bridge.record import Record

_READ_MS: Final = 200
"""How long one read waits for records. They are all there, so that only Kafka itself can be slow."""
_READ_RECORDS_MAX: Final = 500
"""The most records of one read. The client takes apart so many in about 2 ms, and nothing else runs meanwhile."""
_READ_BYTES_MAX: Final = 4 * 1024 * 1024
"""The most bytes of one read, but for its last record (I11)."""
_SKIPPED_MAX: Final = 2_000
"""The most records that are read and thrown away on the way to the next wanted one: to go there instead throws away all
that the client has fetched, and costs another fetch."""
_TIMEOUT_SECONDS: Final = 10.0
"""How long one read, or a connection, may take at most. The client itself would wait for a broker for ever."""
_PARTITIONS_MAX: Final = 32
"""The most partitions that are kept ready to read from; the client has a fetch's bytes of each of them."""


class KafkaPastRecords:
    """What a `bridge.engine.rereader.Rereader` reads from. Connects at the first read.

    A read goes on where the last one of its partition ended, as long as the wanted records are not far: what the client
    has fetched is then used. Not for more than one read at a time.

    Args:
        config: The bridge's.
        kafka: Where Kafka is.
    """

    def __init__(self, config: BridgeConfig, kafka: Kafka) -> None:
        self._config = config
        self._kafka = kafka
        self._consumer: Any = None
        self._positions: dict[TopicPartition, int] = {}
        """Where the next read of each partition begins by itself; the one that was read last is last."""

    async def read(self, partition: Partition, offsets: Sequence[int]) -> Found:
        """Reads some of the wanted records; waits a moment where none is there yet.

        Args:
            partition: The partition.
            offsets: The wanted offsets, ascending; at least one.

        Raises:
            OffsetsGoneError: The first wanted offset is below the partition's beginning.
            UnexpectedDeliveryError: The first wanted offset is beyond the partition's end, though it was read before.
            Exception: Kafka does not answer, or refuses; `bridge.decisions` says what it means.
        """
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            consumer = await self._connect()
            key = TopicPartition(*partition)
            self._stand_at(consumer, key, offsets[0])
            bound_next_poll(_READ_BYTES_MAX)
            try:
                batches = await consumer.getmany(key, timeout_ms=_READ_MS, max_records=_READ_RECORDS_MAX)
            except OffsetOutOfRangeError:
                del self._positions[key]
                await self._explain(consumer, key, offsets[0])
                raise
            except BaseException:
                del self._positions[key]  # What was taken out of the client's buffer may be lost.
                raise
        batch = batches.get(key, ())
        if not batch:
            # The client goes past the markers of transactions, and past what a compaction took, without a word.
            self._positions[key] = await consumer.position(key)
            return Found((), looked_below=self._positions[key])
        self._positions[key] = batch[-1].offset + 1
        wanted = set(offsets)
        return Found(
            [Record.from_consumed(one) for one in batch if one.offset in wanted], looked_below=batch[-1].offset + 1
        )

    async def close(self) -> None:
        """Ends the connection, within bounds; the next read makes another."""
        consumer, self._consumer = self._consumer, None
        self._positions.clear()
        if consumer is not None:
            await close_client(consumer)

    async def _connect(self) -> Any:
        if self._consumer is None:
            consumer = make_past_reader(self._config, self._kafka)
            try:
                await consumer.start()
            except KafkaConnectionError as error:
                await close_client(consumer)
                raise await login_error(self._kafka, client_id_of(self._config)) or error from None
            except BaseException:
                await close_client(consumer)
                raise
            self._consumer = consumer
        return self._consumer

    def _stand_at(self, consumer: Any, key: TopicPartition, offset: int) -> None:
        """Has the next read begin at an offset, or not far before it."""
        position = self._positions.pop(key, None)
        if position is None:
            kept = list(self._positions.items())[1 - _PARTITIONS_MAX :]
            self._positions = dict(kept)
            # Without an await in between: a partition without a position would be looked up in a group.
            consumer.assign([*self._positions, key])
            for other, at in kept:
                consumer.seek(other, at)
        if position is None or not position <= offset <= position + _SKIPPED_MAX:
            consumer.seek(key, offset)
            position = offset
        self._positions[key] = position

    async def _explain(self, consumer: Any, key: TopicPartition, offset: int) -> None:
        """Says which side of the partition an offset is on that it does not have.

        Raises:
            OffsetsGoneError: It is below the beginning.
            UnexpectedDeliveryError: It is beyond the end.
        """
        beginning = (await consumer.beginning_offsets([key]))[key]
        if offset < beginning:
            raise OffsetsGoneError(beginning) from None
        end = (await consumer.end_offsets([key]))[key]
        if offset >= end:
            raise UnexpectedDeliveryError(
                f"{key.topic}:{key.partition} ends at offset {end}, and {offset} was delivered before: "
                "was the topic deleted and made anew?"
            ) from None
