"""TLS before a real Temporal, as a load balancer has it: a door for each certificate that a client may meet."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.helpers.servers.proxy import Proxy
from tests.helpers.servers.secure.certificates import Certificates


class TlsDoor(Proxy):
    """As `Proxy`, by TLS. Each connection takes the certificates as they are by then.

    Args:
        target: ``host:port`` of the server behind it.
        certificates: its own, and the authority of clients.
        name: which of them it shows.
        clients: whether it wants a client's certificate.
    """

    def __init__(self, target: str, certificates: Certificates, name: str = "server", *, clients: bool = False) -> None:
        super().__init__(target)
        self._certificates, self._name, self._clients = certificates, name, clients
        self.refused = 0
        """Handshakes that failed."""

    def context(self) -> ssl.SSLContext:
        """What the next connection is met with."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._certificates.cert(self._name), self._certificates.key(self._name))
        context.set_alpn_protocols(["h2"])
        if self._clients:
            context.load_verify_locations(self._certificates.ca)
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await writer.start_tls(self.context())
        except (OSError, ssl.SSLError):
            self.refused += 1
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
            return
        await super()._join(reader, writer)


@asynccontextmanager
async def tls_door(
    target: str, certificates: Certificates, name: str = "server", *, clients: bool = False
) -> AsyncIterator[TlsDoor]:
    """A door that is open while the block lasts."""
    async with TlsDoor(target, certificates, name, clients=clients) as door:
        yield door
