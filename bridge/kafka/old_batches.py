"""Batches of Kafka's formats 0 and 1: a message, or a message whose compressed value holds others.

Brokers since 3.0 write neither, whoever sends. They hand out what a topic has kept from before, so only such a topic
has any.
"""

import struct
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from aiokafka.errors import UnsupportedCodecError

from bridge.kafka.stand_ins import ReadRecord, rest_of, too_large
from bridge.kafka.unfolding import UnfoldsTooLargeError, unfold

_HEAD: Final = (struct.Struct(">qiIbb"), struct.Struct(">qiIbbq"))
"""Of both formats: offset, length, checksum, format, attributes; and a timestamp in the second."""
_CODEC_MASK, _APPEND_TIME = 0x07, 0x08
_SIZE: Final = struct.Struct(">i")


class _Span(NamedTuple):
    """The message itself. It has the offset of the last one that it holds; the first one's stands within."""

    base_offset: int | None
    next_offset: int
    max_timestamp: int
    timestamp_type: int | None


class OldBatch:
    """A batch as the client's fetcher asks for it. It is unfolded within the bound, or not at all.

    Args:
        batch: As aiokafka's parser has it.
        data: Its bytes.
        bytes_max: The most that it may unfold to.
        setting: What an operator knows that bound as.
    """

    is_control_batch = is_transactional = False
    producer_id = None

    def __init__(self, batch: Any, data: bytes, bytes_max: int, setting: str) -> None:
        self._batch, self._data = batch, data
        self._bytes_max, self._setting = bytes_max, setting
        self.validate_crc = batch.validate_crc
        self._format = data[16]
        offset, _, _, _, self._attributes, *timestamp = _HEAD[self._format].unpack_from(data)
        kind = None if self._format == 0 else int(bool(self._attributes & _APPEND_TIME))
        self._span = _Span(None, offset + 1, timestamp[0] if timestamp else -1, kind)
        self.base_offset, self.next_offset = offset, offset + 1

    def __iter__(self) -> Iterator[Any]:
        next_offset = None
        try:
            self._check_bound()
            for record in self._batch:
                next_offset = record.offset + 1
                yield _with_a_time(record)
        except (UnsupportedCodecError, MemoryError):
            raise  # Nothing is wrong with the batch.
        except UnfoldsTooLargeError:
            yield too_large(self._span, self._bytes_max, self._setting)
        except Exception as error:  # noqa: BLE001 -- there is no telling what a codec raises
            yield rest_of(self._span, next_offset, error)

    def _check_bound(self) -> None:
        """Decompresses the batch once, to see how large it is.

        Raises:
            UnfoldsTooLargeError: It is too large.
        """
        codec = self._attributes & _CODEC_MASK
        if codec:
            unfold(codec, self._value(), self._bytes_max)

    def _value(self) -> bytes:
        at = _HEAD[self._format].size
        for _ in ("key", "value"):
            (size,) = _SIZE.unpack_from(self._data, at)
            begin = at = at + _SIZE.size
            at += max(0, size)
        return self._data[begin:at]


def _with_a_time(record: Any) -> Any:
    """Format 0 has no timestamps, which everybody else writes as -1."""
    if record.timestamp is not None:
        return record
    return ReadRecord(record.offset, -1, None, record.key, record.value)
