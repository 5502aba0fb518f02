"""Somebody who stands in for Postgres, and asks for the password in clear text: what is he given?"""

import asyncio
import ssl
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

_SSL_REQUEST = 80877103
_PASSWORD_IN_CLEAR_TEXT = b"R" + struct.pack(">ii", 8, 3)


@dataclass(slots=True)
class RoguePostgres:
    """The rogue.

    Args:
        both: certificate and key that he shows; None where he says that he speaks no TLS.
    """

    both: Path | None = None
    port: int = 0
    taken: list[bytes] = field(default_factory=list)
    """Everything that he was told, beside the wish for TLS."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        try:
            await self._play(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass  # Who does not trust him leaves.
        finally:
            writer.close()

    async def _play(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            length, code = struct.unpack(">ii", await reader.readexactly(8))
            rest = await reader.readexactly(length - 8)
            if code != _SSL_REQUEST:
                break
            writer.write(b"N" if self.both is None else b"S")
            await writer.drain()
            if self.both is not None:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                context.load_cert_chain(self.both)
                await writer.start_tls(context)
        self.taken.append(rest)
        writer.write(_PASSWORD_IN_CLEAR_TEXT)
        await writer.drain()
        _, length = struct.unpack(">ci", await reader.readexactly(5))
        self.taken.append(await reader.readexactly(length - 4))


@asynccontextmanager
async def rogue_postgres(both: Path | None = None) -> AsyncIterator[RoguePostgres]:
    """A rogue who listens while the block lasts."""
    rogue = RoguePostgres(both)
    server = await asyncio.start_server(rogue.serve, "127.0.0.1", 0)
    rogue.port = server.sockets[0].getsockname()[1]
    try:
        yield rogue
    finally:
        server.close()
