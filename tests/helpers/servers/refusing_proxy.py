"""A proxy for Temporal that refuses each call itself, as a gateway before it does, until told otherwise."""

import asyncio
import struct

from temporalio.service import RPCStatusCode

from tests.helpers.servers.proxy import Proxy

_PREFACE_BYTES = 24
_DATA, _HEADERS, _SETTINGS, _PING = 0x0, 0x1, 0x4, 0x6
_END_STREAM, _ACK, _END_HEADERS = 0x1, 0x1, 0x4


class RefusingProxy(Proxy):
    """As `Proxy`; while `refusal` is set, every call ends with that status, and nothing reaches the target.

    It speaks as much of HTTP/2 (RFC 9113) as a gRPC client needs to hear that: no server of another's has to be set up.
    """

    refusal: RPCStatusCode | None = None

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refusal is None:
            await super()._join(reader, writer)
            return
        try:
            await reader.readexactly(_PREFACE_BYTES)
            writer.write(_frame(_SETTINGS, 0, 0))
            while True:
                await self._answer(reader, writer)
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        header = await reader.readexactly(9)
        size, kind, flags, stream = int.from_bytes(header[:3]), header[3], header[4], int.from_bytes(header[5:])
        payload = await reader.readexactly(size)
        if kind == _SETTINGS and not flags & _ACK:
            writer.write(_frame(_SETTINGS, _ACK, 0))
        elif kind == _PING and not flags & _ACK:
            writer.write(_frame(_PING, _ACK, 0, payload))
        elif kind in (_DATA, _HEADERS) and flags & _END_STREAM and self.refusal is not None:
            # Headers alone that end the stream: gRPC's form of an answer without a message.
            answer = b"\x88" + _literal("content-type", "application/grpc")
            answer += _literal("grpc-status", str(self.refusal.value)) + _literal("grpc-message", "not for you")
            writer.write(_frame(_HEADERS, _END_STREAM | _END_HEADERS, stream, answer))
        await writer.drain()


def _frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return len(payload).to_bytes(3) + struct.pack(">BBI", kind, flags, stream) + payload


def _literal(name: str, value: str) -> bytes:
    """A header without compression (RFC 7541, 6.2.2); both texts are short."""
    return b"\x00" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()
