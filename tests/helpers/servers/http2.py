"""As much of HTTP/2 (RFC 9113) as a proxy before a gRPC server needs to answer a call itself."""

import asyncio
import gzip
import struct

from temporalio.service import RPCStatusCode

PREFACE_BYTES = 24
DATA, HEADERS, RST_STREAM, SETTINGS, PING, WINDOW_UPDATE = 0x0, 0x1, 0x3, 0x4, 0x6, 0x8
END_STREAM, ACK, END_HEADERS = 0x1, 0x1, 0x4
CANCEL = 0x8
"""Why a stream is reset: nobody waits for its answer."""
_HEAD_BYTES = 9
_GRPC_HEAD = struct.Struct(">?I")
"""Before each message of gRPC: whether it is compressed, and its size."""


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """A frame of HTTP/2."""
    return len(payload).to_bytes(3) + struct.pack(">BBI", kind, flags, stream) + payload


def number(value: int) -> bytes:
    """A payload of one number, as a reset and a larger window have it."""
    return value.to_bytes(4)


async def read_frame(reader: asyncio.StreamReader) -> tuple[int, int, int, bytes]:
    """Kind, flags, stream and payload of the next frame.

    Raises:
        asyncio.IncompleteReadError: the connection has ended.
    """
    head = await reader.readexactly(_HEAD_BYTES)
    payload = await reader.readexactly(int.from_bytes(head[:3]))
    return head[3], head[4], int.from_bytes(head[5:]), payload


def refusal(status: RPCStatusCode, stream: int) -> bytes:
    """Headers alone that end the stream: gRPC's form of an answer without a message."""
    answer = b"\x88" + _literal("content-type", "application/grpc")
    answer += _literal("grpc-status", str(status.value)) + _literal("grpc-message", "not for you")
    return frame(HEADERS, END_STREAM | END_HEADERS, stream, answer)


def message_of(body: bytes) -> bytes:
    """The message in a request's body, unfolded where the client has compressed it."""
    is_compressed, size = _GRPC_HEAD.unpack_from(body)
    message = body[_GRPC_HEAD.size : _GRPC_HEAD.size + size]
    return gzip.decompress(message) if is_compressed else message


def _literal(name: str, value: str) -> bytes:
    """A header without compression (RFC 7541, 6.2.2); both texts are short."""
    return b"\x00" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()
