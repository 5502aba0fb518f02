"""A TCP proxy that a test can make refuse, drop or stall: an outage without touching a shared server."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from types import TracebackType
from typing import Self

_CHUNK_BYTES = 65_536


class Proxy:
    """Listens on a loopback port of its own and passes everything on to the target.

    Args:
        target: ``host:port`` of the server behind it.
    """

    def __init__(self, target: str) -> None:
        host, _, port = target.rpartition(":")
        self._target = (host, int(port))
        self._server: asyncio.Server | None = None
        self._port = 0
        self._connections: set[asyncio.Task[None]] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._replying = asyncio.Event()
        self._replying.set()
        self.held_back = 0
        """Pieces of data that a stall keeps waiting now."""
        self.accepted = 0
        """Connections taken so far."""
        self.delay_seconds = 0.0
        """How long each piece of what the target says takes on its way: a slow server."""

    @property
    def address(self) -> str:
        """``host:port`` to connect to; the same for the proxy's whole life."""
        return f"127.0.0.1:{self._port}"

    async def __aenter__(self) -> Self:
        await self.serve()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.refuse()

    async def serve(self) -> None:
        """Takes connections, on the same port as before."""
        if self._server is None:
            self._server = await asyncio.start_server(self._accept, "127.0.0.1", self._port)
            self._port = self._server.sockets[0].getsockname()[1]

    async def refuse(self) -> None:
        """Refuses new connections and resets those that are open, as when the server is down."""
        if self._server is not None:
            self._server.close()
            self._server = None
        await self.drop()

    async def drop(self) -> None:
        """Resets the open connections; new ones are taken."""
        for connection in tuple(self._connections):
            connection.cancel()
        if self._connections:
            await asyncio.wait(tuple(self._connections))

    def stall(self) -> None:
        """Holds back every byte, as when the server hangs; connections stay open."""
        self._flowing.clear()

    def mute(self) -> None:
        """Holds back what the target says, and passes on what it is told: calls have effects that nobody hears of."""
        self._replying.clear()

    def flow(self) -> None:
        """Ends a stall and a silence; nothing is lost."""
        self._flowing.set()
        self._replying.set()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        self.accepted += 1
        try:
            await self._join(reader, writer)
        except (OSError, asyncio.CancelledError):
            pass  # The end of a connection is what this is for; the task has nobody to tell.
        finally:
            self._connections.discard(task)

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with _closing(writer):
            there_reader, there_writer = await asyncio.open_connection(*self._target)
            async with _closing(there_writer):
                copies = self._ways((reader, writer), (there_reader, there_writer))
                try:
                    await asyncio.wait(copies, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for copy in copies:
                        copy.cancel()
                    await asyncio.gather(*copies, return_exceptions=True)

    def _ways(
        self,
        here: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        there: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> list[asyncio.Task[None]]:
        """There and back; the connection ends with the first of them."""
        return [
            asyncio.create_task(self._copy(here[0], there[1], self._flowing)),
            asyncio.create_task(self._copy(there[0], here[1], self._flowing, self._replying, slow=True)),
        ]

    async def _copy(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *gates: asyncio.Event, slow: bool = False
    ) -> None:
        while chunk := await self._read(source):
            self.held_back += 1
            try:
                if slow:
                    await asyncio.sleep(self.delay_seconds)
                for gate in gates:
                    await gate.wait()
            finally:
                self.held_back -= 1
            sink.write(chunk)
            await sink.drain()

    async def _read(self, source: asyncio.StreamReader) -> bytes:
        """The next piece; empty at the end."""
        return await source.read(_CHUNK_BYTES)


@asynccontextmanager
async def _closing(writer: asyncio.StreamWriter) -> AsyncIterator[None]:
    try:
        yield
    finally:
        writer.transport.abort()
        with suppress(OSError, asyncio.CancelledError):
            await writer.wait_closed()
