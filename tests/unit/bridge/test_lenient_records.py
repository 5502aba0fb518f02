"""Batches that the Kafka client's parser gives up on, by the client's own fetcher and ours in the parser's place."""

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.consumer import fetcher
from aiokafka.consumer.fetcher import READ_COMMITTED, PartitionRecords
from aiokafka.errors import CorruptRecordException
from aiokafka.record import MemoryRecords
from hypothesis import given
from hypothesis import strategies as st

from bridge.config import BridgeConfig, Kafka
from bridge.kafka.clients import make_consumer
from bridge.kafka.lenient_records import LenientRecords, _parse
from bridge.record import Record
from bridge.refusal import RefusalCode
from tests.helpers.messages.kafka_io import Header, Outgoing
from tests.helpers.messages.raw_batches import (
    COMPRESS,
    FIRST_TIMESTAMP_MS,
    encode_batch,
    encode_records,
    raw_name,
)

TP = TopicPartition("refilled", 0)
BAD_NAME = raw_name(b"tr\xff\xfe")


def outgoing(value: str, *headers: Header) -> Outgoing:
    return Outgoing(TP.topic, value.encode(), b"k-" + value.encode(), headers)


GOOD = [outgoing(f"v{number}", ("trace", b"\xff"), ("", None)) for number in range(6)]
BAD = outgoing("bad", ("a", b"1"), (BAD_NAME, b"\x00"), ("b", None))
ONE_BAD = [*GOOD[:2], BAD, *GOOD[2:]]


def delivered(data: bytes, position: int = 0) -> list[Record]:
    """As the client's fetcher hands it out, for a fetch at the position."""
    records = PartitionRecords(TP, LenientRecords(data), None, position, None, None, True, READ_COMMITTED)
    return [Record.from_consumed(one) for one in records]


def as_record(offset: int, sent: Outgoing) -> Record:
    return Record(TP.topic, TP.partition, offset, FIRST_TIMESTAMP_MS + offset, sent.key, sent.value, sent.headers)


def test_the_client_s_own_parser_gives_up() -> None:
    """If it does not any more, all of `bridge.kafka.lenient_records` is to go."""
    with pytest.raises(UnicodeDecodeError):
        list(MemoryRecords(encode_batch(ONE_BAD)).next_batch())


async def test_a_consumer_reads_leniently() -> None:
    await make_consumer(BridgeConfig("g", "dead"), Kafka("nowhere:9")).stop()
    assert fetcher.MemoryRecords is LenientRecords


@pytest.mark.parametrize("compression", COMPRESS)
@pytest.mark.parametrize("position", [0, 1, 2, 3, 6])
def test_a_header_s_name_that_is_not_utf_8_costs_no_other_record_of_its_batch(compression: int, position: int) -> None:
    data = encode_batch(ONE_BAD, compression=compression)
    records = delivered(data, position)
    assert [record.offset for record in records] == list(range(position, 7))
    for record in records:
        if record.offset != 2:
            assert record == as_record(record.offset, ONE_BAD[record.offset])
            continue
        assert record.defect is not None
        assert record.defect.code == RefusalCode.HEADER_NAME_NOT_UTF_8
        assert (record.key, record.value, record.timestamp_ms) == (BAD.key, BAD.value, FIRST_TIMESTAMP_MS + 2)
        assert record.headers == (("a", b"1"), ("tr\\xff\\xfe", b"\x00"), ("b", None))


@pytest.mark.parametrize("offsets", [(0, 1_000_000, 2), (0, 3, 2), (0, 0, 1), (0, -1, 1)])
@pytest.mark.parametrize("compression", COMPRESS)
def test_an_offset_that_is_not_the_batch_s_leads_past_no_record(offsets: tuple[int, ...], compression: int) -> None:
    """Found by `make fuzz`: the broker takes such a batch where it is not compressed, and the client goes on behind."""
    body = COMPRESS[compression](encode_records(GOOD[:3], offsets))
    lying = encode_batch(GOOD[:3], compression=compression, body=body, base_offset=10)
    first, *others, last = delivered(lying + encode_batch(GOOD[:1], base_offset=13), 10)
    assert (first.offset, first.value, last.offset, last.defect) == (10, GOOD[0].value, 13, None)
    assert others[-1].is_unread_batch
    assert all(10 < one.offset < 13 for one in others)


@pytest.mark.parametrize("compression", [number for number in COMPRESS if number])
@pytest.mark.parametrize("position", [10, 13, 15])
def test_a_batch_that_does_not_decompress_is_one_record_at_its_end(compression: int, position: int) -> None:
    """Wherever in it a fetch begins: what was committed may lie in its middle."""
    before, after = encode_batch(GOOD[:1], base_offset=9), encode_batch(GOOD[:1], base_offset=16)
    damaged = encode_batch(GOOD, base_offset=10, compression=compression, body=b"\x01\x02\x03\x04" * 9)
    unread, good = delivered(before + damaged + after, position)
    assert (unread.offset, unread.is_unread_batch, good.offset, good.defect) == (15, True, 16, None)
    assert (unread.key, unread.value, unread.headers) == (None, None, ())
    assert unread.defect is not None
    assert "from offset 10 to 15" in unread.defect.message


@pytest.mark.parametrize("cut", range(1, 40))
def test_of_a_batch_that_ends_too_early_what_is_whole_is_read(cut: int) -> None:
    body = encode_records(GOOD)
    records = delivered(encode_batch(GOOD, body=body[:-cut]))
    *whole, rest = records
    assert whole == [as_record(offset, GOOD[offset]) for offset in range(len(whole))]
    assert len(whole) == 5 - (cut - 1) // (len(body) // 6)
    assert (rest.offset, rest.is_unread_batch) == (5, True)
    assert rest.defect is not None
    assert f"from offset {len(whole)} to 5" in rest.defect.message


@pytest.mark.parametrize("compression", [number for number in COMPRESS if number])
@pytest.mark.parametrize("position", [10, 13, 15])
def test_a_batch_that_unfolds_beyond_the_bound_is_one_record_at_its_end(
    compression: int, position: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, after = encode_batch(GOOD[:1], base_offset=9), encode_batch(GOOD[:1], base_offset=16)
    large = encode_batch(GOOD, base_offset=10, compression=compression)
    size_bytes = len(encode_records(GOOD))
    monkeypatch.setattr(LenientRecords, "unfolded_max_bytes", size_bytes - 1)
    unread, good = delivered(before + large + after, position)
    assert (unread.offset, unread.is_unread_batch, good.offset, good.defect) == (15, True, 16, None)
    assert unread.defect is not None
    assert unread.defect.code == RefusalCode.BATCH_TOO_LARGE
    assert "from offset 10 to 15" in unread.defect.message
    monkeypatch.setattr(LenientRecords, "unfolded_max_bytes", size_bytes)
    assert [record.offset for record in delivered(large, position)] == list(range(position, 16))


def test_a_false_checksum_raises_as_the_batch_s_own_end_may_be_false() -> None:
    data = bytearray(encode_batch(GOOD))
    data[-1] ^= 1
    with pytest.raises(CorruptRecordException):
        delivered(bytes(data))


def test_a_codec_that_this_client_has_not_raises_as_the_batch_is_not_to_blame() -> None:
    with pytest.raises(Exception, match="compression codec"):
        delivered(encode_batch(GOOD, compression=6, body=b"?"))


def test_a_batch_that_the_fetch_cut_off_is_left_to_the_next_one() -> None:
    data = encode_batch(GOOD) + encode_batch(ONE_BAD, base_offset=6)[:-1]
    assert [record.offset for record in delivered(data)] == list(range(6))


headers = st.lists(st.tuples(st.text(max_size=5), st.none() | st.binary(max_size=5)), max_size=3)
some_bytes = st.none() | st.binary(max_size=20)
outgoings = st.builds(
    lambda key, value, pairs: Outgoing(TP.topic, value, key, tuple(pairs)), some_bytes, some_bytes, headers
)


def fields_of(records: Iterator[Any]) -> list[tuple[Any, ...]]:
    return [(one.offset, one.timestamp, one.timestamp_type, one.key, one.value, tuple(one.headers)) for one in records]


@given(st.lists(outgoings, min_size=1, max_size=5), st.sampled_from(list(COMPRESS)), st.booleans())
def test_both_parsers_read_the_same(records: Sequence[Outgoing], compression: int, is_append_time: bool) -> None:
    data = bytearray(encode_batch(records, base_offset=7, compression=compression))
    data[22] |= 8 if is_append_time else 0
    own, ours = (reader(bytes(data)).next_batch() for reader in (MemoryRecords, LenientRecords))
    parsed = list(_parse(own, ours._unfold().data))
    assert all(record.checksum is None for record in parsed)
    assert fields_of(iter(parsed)) == fields_of(iter(own)) == fields_of(iter(ours))
