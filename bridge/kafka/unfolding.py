"""Decompresses a batch's records within a bound of memory, whatever the sender has packed (I11).

The codecs that aiokafka uses unfold whatever they are given: 12 KiB of zstd became 400 MiB, and with less memory than
that the codec library ends the process, at every start again (seen 2026-11-25, aiokafka 0.14 with cramjam 2.14).
"""

import struct
import zlib
from collections.abc import Callable
from typing import Final

import cramjam
from aiokafka.errors import UnsupportedCodecError

_GUESS_BYTES_MIN: Final = 64 * 1024
_GROWTH: Final = 4
"""How many times as large the next attempt's room is: nothing says how much a frame of lz4 or zstd unfolds to."""
_NO_ROOM_TEXT: Final = "failed to write whole buffer"
"""What cramjam 2.14 says where the room that it was given is too small; damaged bytes have other words."""
_GZIP_WBITS: Final = 16 + zlib.MAX_WBITS
_XERIAL_MAGIC: Final = b"\x82SNAPPY\x00"
_XERIAL_HEAD_BYTES: Final = 16
"""Of the framing that Java's snappy streams have: blocks, each with its length before it."""
_BLOCK_LENGTH: Final = struct.Struct(">i")


class UnfoldsTooLargeError(Exception):
    """The bytes unfold to more than the bound."""


def unfold(compression: int, data: bytes, bytes_max: int) -> bytes | memoryview:
    """Decompresses the records of a batch. Holds at no time much more than the bound.

    Copies nothing that large without need: each copy of 15 MiB takes some 5 ms of the loop that polls.

    Args:
        compression: The batch's codec, by Kafka's number.
        data: The records as they stand in the batch.
        bytes_max: The most bytes that they may unfold to.

    Raises:
        UnfoldsTooLargeError: They unfold to more.
        UnsupportedCodecError: No codec has this number.
        Exception: They do not unfold; there is no telling what a codec raises.
    """
    if compression not in _UNFOLD:
        raise UnsupportedCodecError(f"unknown compression codec {compression:#04x}")
    return _UNFOLD[compression](data, bytes_max)


def _gzip(data: bytes, bytes_max: int) -> bytes:
    """A file of gzip may have several members, one after the other."""
    parts, left = [], bytes_max
    while data:
        member = zlib.decompressobj(_GZIP_WBITS)
        parts.append(member.decompress(data, left + 1))
        left -= len(parts[-1])
        if left < 0:
            raise UnfoldsTooLargeError
        if not member.eof:
            raise zlib.error("the data end before they are whole")
        data = member.unused_data
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _snappy(data: bytes, bytes_max: int) -> bytes:
    """Plain, or in the framing of Java's streams; each block says at its head how much it unfolds to."""
    if not data.startswith(_XERIAL_MAGIC):
        return _snappy_block(data, bytes_max)
    plain, at = bytearray(), _XERIAL_HEAD_BYTES
    while at < len(data):
        (length,) = _BLOCK_LENGTH.unpack_from(data, at)
        at += _BLOCK_LENGTH.size
        if not 0 <= length <= len(data) - at:
            raise ValueError("a block is not whole")
        plain += _snappy_block(data[at : at + length], bytes_max - len(plain))
        at += length
    return bytes(plain)


def _snappy_block(data: bytes, bytes_max: int) -> bytes:
    if cramjam.snappy.decompress_raw_len(data) > bytes_max:
        raise UnfoldsTooLargeError
    return bytes(cramjam.snappy.decompress_raw(data))


def _by_attempts(decompress_into: Callable[[bytes, bytearray], int]) -> Callable[[bytes, int], memoryview]:
    """Unfolds into a room that is made larger until it is large enough, or as large as it may be."""

    def decompress(data: bytes, bytes_max: int) -> memoryview:
        size = min(bytes_max, max(_GUESS_BYTES_MIN, _GROWTH * len(data)))
        while True:
            room = bytearray(size)
            try:
                return memoryview(room)[: decompress_into(data, room)]
            except cramjam.DecompressionError as error:
                if _NO_ROOM_TEXT not in str(error):
                    raise
            if size >= bytes_max:
                raise UnfoldsTooLargeError
            size = min(bytes_max, size * _GROWTH)

    return decompress


_UNFOLD: Final[dict[int, Callable[[bytes, int], bytes | memoryview]]] = {
    0: lambda data, _: data,
    1: _gzip,
    2: _snappy,
    3: _by_attempts(cramjam.lz4.decompress_into),
    4: _by_attempts(cramjam.zstd.decompress_into),
}
