"""Batches of Kafka's formats 0 and 1, which only a topic with a long history has, are bounded as new ones are."""

import struct
from collections.abc import Sequence
from typing import Literal

import pytest
from aiokafka import TopicPartition
from aiokafka.consumer.fetcher import READ_COMMITTED, PartitionRecords
from aiokafka.record.legacy_records import LegacyRecordBatchBuilder

from bridge.kafka.lenient_records import LenientRecords
from bridge.record import Record
from bridge.refusal import RefusalCode

TP = TopicPartition("refilled", 0)
VALUES = [f"v{number}".encode() * 50 for number in range(6)]
GZIP, SNAPPY, LZ4 = 1, 2, 3
Format = Literal[0, 1]


def old_batch(form: Format, compression: int, values: Sequence[bytes], first_offset: int = 0) -> bytes:
    """A message set as a broker before 3.0 kept it: the outer message has the offset of the last one that it holds."""
    builder = LegacyRecordBatchBuilder(form, compression, 1024 * 1024)
    for number, value in enumerate(values):
        # Of format 0 the inner offsets are the log's own, of format 1 they count from the first.
        offset = first_offset + number if form == 0 or not compression else number
        builder.append(offset, timestamp=1_000 + number if form else None, key=b"k", value=value)
    data = bytearray(builder.build())
    if compression:
        struct.pack_into(">q", data, 0, first_offset + len(values) - 1)
    return bytes(data)


def delivered(data: bytes, position: int = 0) -> list[Record]:
    """As the client's fetcher hands it out, for a fetch at the position."""
    records = PartitionRecords(TP, LenientRecords(data), None, position, None, None, True, READ_COMMITTED)
    return [Record.from_consumed(one) for one in records]


@pytest.mark.parametrize(
    ("form", "compression"), [(0, 0), (0, GZIP), (0, SNAPPY), (1, 0), (1, GZIP), (1, SNAPPY), (1, LZ4)]
)
def test_messages_of_old_formats_are_read(form: Format, compression: int) -> None:
    records = delivered(old_batch(form, compression, VALUES, first_offset=10), 10)
    assert [(record.offset, record.value, record.key) for record in records] == [
        (10 + number, value, b"k") for number, value in enumerate(VALUES)
    ]
    assert [record.timestamp_ms for record in records] == [1_000 + n if form else -1 for n in range(6)]
    assert all(record.produced_at is not None if form else record.produced_at is None for record in records)


@pytest.mark.parametrize("position", [10, 13, 15])
@pytest.mark.parametrize(("form", "compression"), [(0, GZIP), (0, SNAPPY), (1, GZIP), (1, SNAPPY), (1, LZ4)])
def test_one_that_unfolds_beyond_the_bound_is_one_record_at_its_end(
    form: Format, compression: int, position: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    large, after = old_batch(form, compression, VALUES, first_offset=10), old_batch(form, 0, VALUES[:1], 16)
    monkeypatch.setattr(LenientRecords, "unfolded_max_bytes", 500)
    unread, good = delivered(large + after, position)
    assert (unread.offset, unread.is_unread_batch, good.offset, good.defect) == (15, True, 16, None)
    assert unread.defect is not None
    assert unread.defect.code == RefusalCode.BATCH_TOO_LARGE
    assert "up to offset 15" in unread.defect.message


@pytest.mark.parametrize("form", [0, 1])
def test_one_that_cannot_be_taken_apart_is_one_record_at_its_end(form: Format) -> None:
    batch = bytearray(old_batch(form, GZIP, VALUES, first_offset=10))
    batch[-20:] = b"?" * 20
    # A fetch that checks checksums would hold the partition: what is false here is what the sender packed.
    records = PartitionRecords(TP, LenientRecords(bytes(batch)), None, 10, None, None, False, READ_COMMITTED)
    (unread,) = [Record.from_consumed(one) for one in records]
    assert (unread.offset, unread.is_unread_batch) == (15, True)
    assert unread.defect is not None
    assert unread.defect.code == RefusalCode.BATCH_UNREADABLE
