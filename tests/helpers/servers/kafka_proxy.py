"""A proxy for a Kafka broker, which its clients do not leave: they are told the proxy's address as the broker's."""

import asyncio
import struct

from tests.helpers.servers.proxy import Proxy

_SIZE_BYTES = 4


class KafkaProxy(Proxy):
    """As `Proxy`; the broker's own address becomes the proxy's wherever a client is told it.

    Every frame of the protocol begins with its size, and addresses are a host as text and a port of four bytes: so one
    port may stand for another without anything else being changed.

    Args:
        target: ``host:port`` of a single broker, as it is advertised.
    """

    def __init__(self, target: str) -> None:
        super().__init__(target)
        host, _, port = target.rpartition(":")
        self._host, self._broker_port = host.encode(), int(port)

    async def _read(self, source: asyncio.StreamReader) -> bytes:
        try:
            size = await source.readexactly(_SIZE_BYTES)
            frame = await source.readexactly(*struct.unpack(">i", size))
        except asyncio.IncompleteReadError:
            return b""
        told, instead = (self._host + struct.pack(">i", port) for port in (self._broker_port, self._port))
        return size + frame.replace(told, instead)
