"""Batches of records as bytes, built by hand: for what Kafka takes and its Python client builds for nobody."""

import struct
import time
from collections.abc import Sequence
from typing import Any

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.codec import gzip_encode, lz4_encode, snappy_encode, zstd_encode
from aiokafka.consumer.fetcher import READ_COMMITTED, PartitionRecords
from aiokafka.record.util import calc_crc32c, encode_varint

from bridge.kafka.lenient_records import LenientRecords
from tests.helpers.messages.kafka_io import Outgoing

FIRST_TIMESTAMP_MS = 1_790_000_000_000
COMPRESS = {0: bytes, 1: gzip_encode, 2: snappy_encode, 3: lz4_encode, 4: zstd_encode}
"""By their numbers in a batch."""

_HEAD = struct.Struct(">qiibI")
"""Base offset, length, epoch of the leader, format, checksum."""
_BODY = struct.Struct(">hiqqqhii")
"""Attributes, last offset, first and last timestamp, producer's id, epoch and sequence, number of records."""
_BEFORE_LENGTH_ENDS = 12


def raw_name(name: bytes) -> str:
    """How a header's name that is not UTF-8 is written here in text."""
    return name.decode("utf-8", "surrogateescape")


def is_raw(record: Outgoing) -> bool:
    """Whether the client's own producer refuses it, as a header's name is not UTF-8."""
    return any(not name.isascii() and "\udc80" <= max(name) <= "\udcff" for name, _ in record.headers)


def encode_records(records: Sequence[Outgoing], offsets: Sequence[int] | None = None) -> bytes:
    """Records one after the other, a millisecond apart, as they stand in a batch that is not compressed.

    Args:
        records: What they are.
        offsets: What each says of its offset in the batch; None for the truth.
    """
    encoded = [_record(number, record) for number, record in zip(offsets or range(len(records)), records, strict=True)]
    return b"".join(_varint(len(one)) + one for one in encoded)


def encode_batch(
    records: Sequence[Outgoing],
    *,
    base_offset: int = 0,
    first_timestamp_ms: int = FIRST_TIMESTAMP_MS,
    compression: int = 0,
    body: bytes | None = None,
) -> bytes:
    """A batch of format 2, with a true checksum.

    Args:
        records: What it says that it holds.
        base_offset: Of the first record.
        first_timestamp_ms: Of the first record.
        compression: A number of `COMPRESS`.
        body: What it really holds; None for the records, compressed.
    """
    count = len(records)
    held = COMPRESS[compression](encode_records(records)) if body is None else body
    last_timestamp_ms = first_timestamp_ms + count - 1
    fields = _BODY.pack(compression, count - 1, first_timestamp_ms, last_timestamp_ms, -1, -1, -1, count)
    content = fields + held
    length = _HEAD.size + len(content) - _BEFORE_LENGTH_ENDS
    return _HEAD.pack(base_offset, length, -1, 2, calc_crc32c(content)) + content


async def produce_batch(
    bootstrap_servers: str, records: Sequence[Outgoing], *, compression: int = 0, body: bytes | None = None
) -> list[tuple[str, int, int]]:
    """Produces the records as one batch, which is why they have one topic and partition; returns their coordinates."""
    async with AIOKafkaProducer(bootstrap_servers=bootstrap_servers, acks="all") as producer:
        first = await (await send_batch(producer, records, compression=compression, body=body))
    return [(first.topic, first.partition, first.offset + number) for number in range(len(records))]


async def send_batch(
    producer: AIOKafkaProducer, records: Sequence[Outgoing], *, compression: int = 0, body: bytes | None = None
) -> Any:
    """Hands the producer the records as one batch; what is returned is done, with its first place, once it is there."""
    ((topic, partition),) = {(record.topic, record.partition or 0) for record in records}
    batch = producer.create_batch()
    for _ in records:
        batch.append(timestamp=None, key=None, value=b"a place")
    batch.close()
    made = encode_batch(records, first_timestamp_ms=round(time.time() * 1_000), compression=compression, body=body)
    batch._build = lambda: made
    return await producer.send_batch(batch, topic, partition=partition)


def as_consumed(record: Outgoing, offset: int) -> Any:
    """The record as the bridge's client hands it out."""
    place = TopicPartition(record.topic, record.partition or 0)
    batches = LenientRecords(encode_batch([record], base_offset=offset))
    return next(PartitionRecords(place, batches, None, offset, None, None, True, READ_COMMITTED))


def _record(number: int, record: Outgoing) -> bytes:
    parts = [b"\0", _varint(number), _varint(number), _sized(record.key), _sized(record.value)]
    parts.append(_varint(len(record.headers)))
    for name, value in record.headers:
        parts += [_sized(name.encode("utf-8", "surrogateescape")), _sized(value)]
    return b"".join(parts)


def _sized(content: bytes | None) -> bytes:
    return _varint(-1) if content is None else _varint(len(content)) + content


def _varint(number: int) -> bytes:
    written = bytearray()
    encode_varint(number, written.append)
    return bytes(written)
