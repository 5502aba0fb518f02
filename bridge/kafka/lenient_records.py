"""A parser for the records that aiokafka's own gives up on, and for batches that unfold beyond a bound.

That parser decompresses whatever it is given (`bridge.kafka.unfolding`). And it raises out of `getmany` (aiokafka
0.14): at every poll again, for all partitions, and so that no seek leads past the record, as each fetch begins with its
batch. Kafka takes a header whose name is not UTF-8 from anybody, and other clients read it. Nothing that is public puts
another parser in; docs/adr/bridge-engine.md says why it is this one.
"""

import struct
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from aiokafka.consumer import fetcher
from aiokafka.errors import UnsupportedCodecError
from aiokafka.record import MemoryRecords
from aiokafka.record.util import decode_varint

from bridge.kafka.old_batches import OldBatch
from bridge.kafka.stand_ins import ReadRecord, rest_of, too_large
from bridge.kafka.unfolding import UnfoldsTooLargeError, unfold
from bridge.refusal import Refusal, RefusalCode, Stage

_LENGTH: Final = struct.Struct(">i")
_LENGTH_AT, _MAGIC_AT, _BATCH_AT = 8, 16, 12
"""Of a batch: where its length and its format stand, and what its length is counted from."""
_FORMAT_WITH_HEADERS: Final = 2
_COUNT_AT, _RECORDS_AT = 57, 61
"""Of a batch of that format: where the number of its records stands, and where they begin."""
_ATTRIBUTES_AT, _CODEC_MASK = 22, 0x07
"""Where the lower byte of such a batch's attributes stands, and the bits that say how its records are compressed."""


_NOT_ITS_OFFSET: Final = "an offset that is not the batch's"


def read_leniently() -> None:
    """Puts `LenientRecords` in the place of aiokafka's parser, for all consumers of the process from now on."""
    fetcher.MemoryRecords = LenientRecords


def bound_unfolding(bytes_max: int, setting: str) -> None:
    """Says what one compressed batch may unfold to, for all consumers of the process from now on.

    Args:
        bytes_max: The most bytes of its records.
        setting: What an operator knows that bound as.
    """
    LenientRecords.unfolded_max_bytes, LenientRecords.unfolded_max_setting = bytes_max, setting


class LenientRecords:
    """The batches of one fetch, in the place of aiokafka's `MemoryRecords`, whose own parser reads them where it can.

    Args:
        data: One partition's part of a fetch.
    """

    unfolded_max_bytes = 16 * 1024 * 1024
    """The most that one batch may unfold to; one beyond it is a single record, which stands for all of them."""
    unfolded_max_setting = "unfolded_max_bytes"
    """What an operator knows that bound as."""

    def __init__(self, data: bytes) -> None:
        batches = MemoryRecords(data)
        self.size_in_bytes, self.has_next = batches.size_in_bytes, batches.has_next
        self._next_batch = batches.next_batch
        self._data = data
        self._at = 0
        """Where the next batch begins."""

    def next_batch(self) -> Any:
        """The next batch.

        Raises:
            CorruptRecordException: It is shorter than any batch can be.
        """
        begin = self._at
        self._at += _BATCH_AT + _LENGTH.unpack_from(self._data, begin + _LENGTH_AT)[0]
        batch = self._next_batch()
        if self._data[begin + _MAGIC_AT] < _FORMAT_WITH_HEADERS:
            return OldBatch(batch, self._data[begin : self._at], *_bound())
        return _LenientBatch(batch, self._data[begin : self._at])


def _bound() -> tuple[int, str]:
    """The most that one batch may unfold to, and what an operator knows that as."""
    return LenientRecords.unfolded_max_bytes, LenientRecords.unfolded_max_setting


class _LenientBatch:
    """A batch of format 2, with what the fetcher asks of one; taken over at once, as many a batch is but one record."""

    __slots__ = (
        "_batch",
        "_data",
        "base_offset",
        "is_control_batch",
        "is_transactional",
        "next_offset",
        "producer_id",
        "validate_crc",
    )

    def __init__(self, batch: Any, data: bytes) -> None:
        self._batch, self._data = batch, data
        self.validate_crc = batch.validate_crc
        self.base_offset, self.next_offset = batch.base_offset, batch.next_offset
        self.is_control_batch, self.is_transactional = batch.is_control_batch, batch.is_transactional
        self.producer_id = batch.producer_id

    def __next__(self) -> Any:
        """The record of a control batch: those are the broker's."""
        return next(self._batch)

    def __iter__(self) -> Iterator[Any]:
        given, end = self.base_offset - 1, self.next_offset
        plain: _Plain | None = None
        try:
            plain = self._unfold()
            for record in plain.batch:
                if not given < record.offset < end:
                    # The broker does not look at offsets within a batch that is not compressed. The client would go on
                    # behind this one, past records that it was never given.
                    raise ValueError(_NOT_ITS_OFFSET)  # noqa: TRY301
                given = record.offset
                yield record
        except (UnsupportedCodecError, MemoryError):
            raise  # Nothing is wrong with the batch.
        except UnfoldsTooLargeError:
            yield too_large(self._batch, *_bound())
        except Exception as error:  # noqa: BLE001 -- whatever it was: zlib.error, DecompressionError, ...
            if plain is None:
                yield rest_of(self._batch, self.base_offset, error)
                return
            for record in _parse(self._batch, plain.data):
                if record.offset > given:
                    yield record

    def _unfold(self) -> "_Plain":
        """The same batch, not compressed."""
        if not self._batch.compression_type:
            return _Plain(self._batch, self._data)
        records = unfold(self._batch.compression_type, self._data[_RECORDS_AT:], LenientRecords.unfolded_max_bytes)
        head = bytearray(self._data[:_RECORDS_AT])
        head[_ATTRIBUTES_AT] &= ~_CODEC_MASK
        _LENGTH.pack_into(head, _LENGTH_AT, len(head) + len(records) - _BATCH_AT)
        data = b"".join((head, records))
        return _Plain(MemoryRecords(data).next_batch(), data)


class _Plain(NamedTuple):
    """A batch that is not compressed, as aiokafka's parser has it and as bytes."""

    batch: Any
    data: bytes


def _parse(batch: Any, data: bytes) -> Iterator[ReadRecord]:
    """The records of a batch that is not compressed. Where the end of one cannot be found, one stands for the rest."""
    next_offset = batch.base_offset
    try:
        records = _Reader(data[_RECORDS_AT:])
        for _ in range(_LENGTH.unpack_from(data, _COUNT_AT)[0]):
            record = _parse_record(batch, _Reader(records.take_sized() or b""), next_offset)
            next_offset = record.offset + 1
            yield record
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 -- as above: there is no telling what is in it
        yield rest_of(batch, next_offset, error)


def _parse_record(batch: Any, reader: "_Reader", lowest_offset: int) -> ReadRecord:
    reader.take_number()  # Attributes, of which there are none yet.
    since_first_ms = reader.take_number()
    offset = batch.base_offset + reader.take_number()
    if not lowest_offset <= offset < batch.next_offset:
        raise ValueError(_NOT_ITS_OFFSET)
    key, value = reader.take_sized(), reader.take_sized()
    headers = tuple(_parse_header(reader) for _ in range(reader.take_number()))
    is_append_time = batch.timestamp_type == 1
    return ReadRecord(
        offset,
        batch.max_timestamp if is_append_time else batch.first_timestamp + since_first_ms,
        batch.timestamp_type,
        key,
        value,
        tuple((name.decode("utf-8", "backslashreplace"), content) for name, content in headers),
        _name_defect([name for name, _ in headers]),
    )


def _parse_header(reader: "_Reader") -> tuple[bytes, bytes | None]:
    name = reader.take_sized()
    if name is None:
        raise ValueError("a header without a name")
    return name, reader.take_sized()


def _name_defect(names: list[bytes]) -> Refusal | None:
    try:
        for name in names:
            name.decode()
    except UnicodeDecodeError:
        return Refusal(
            Stage.ENVELOPE,
            RefusalCode.HEADER_NAME_NOT_UTF_8,
            "the name of a header is not UTF-8: encode names of headers as UTF-8; in the dead letter the bytes that "
            "are not stand as \\x and two digits",
        )
    return None


class _Reader:
    """Takes bytes apart, from the front. Whatever does not fit raises an IndexError or a ValueError."""

    def __init__(self, data: bytes) -> None:
        self._data = bytearray(data)
        self._at = 0

    def take_number(self) -> int:
        number, self._at = decode_varint(self._data, self._at)
        return int(number)

    def take_sized(self) -> bytes | None:
        """Bytes with their number before them; None where that is negative."""
        size = self.take_number()
        if size < 0:
            return None
        end = self._at + size
        if end > len(self._data):
            raise ValueError("bytes are missing")
        taken, self._at = bytes(self._data[self._at : end]), end
        return taken
