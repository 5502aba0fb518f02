"""A proxy for Temporal that refuses each call itself, as a gateway before it does, until told otherwise."""

import asyncio

from temporalio.service import RPCStatusCode

from tests.helpers.servers import http2
from tests.helpers.servers.proxy import Proxy


class RefusingProxy(Proxy):
    """As `Proxy`; while `refusal` is set, every call ends with that status, and nothing reaches the target.

    It speaks as much of HTTP/2 as a gRPC client needs to hear that: no server of another's has to be set up.
    """

    refusal: RPCStatusCode | None = None

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refusal is None:
            await super()._join(reader, writer)
            return
        try:
            await reader.readexactly(http2.PREFACE_BYTES)
            writer.write(http2.frame(http2.SETTINGS, 0, 0))
            while True:
                await self._answer(reader, writer)
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        kind, flags, stream, payload = await http2.read_frame(reader)
        if kind == http2.SETTINGS and not flags & http2.ACK:
            writer.write(http2.frame(http2.SETTINGS, http2.ACK, 0))
        elif kind == http2.PING and not flags & http2.ACK:
            writer.write(http2.frame(http2.PING, http2.ACK, 0, payload))
        elif kind in (http2.DATA, http2.HEADERS) and flags & http2.END_STREAM and self.refusal is not None:
            writer.write(http2.refusal(self.refusal, stream))
        await writer.drain()
