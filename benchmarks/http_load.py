"""A client that costs little: requests as bytes over connections that are kept, and events of streams as they come.

An HTTP library's client costs as much processor as the server that is measured, on the same two cores.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from orders.operations.bench.report import percentile

_ANSWER_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Served:
    """How a load was answered."""

    seconds: float
    """From the first request to the last answer."""
    took: tuple[float, ...]
    """How long each answer took, in seconds."""

    @property
    def per_second(self) -> float:
        """Answers a second."""
        return len(self.took) / self.seconds

    @property
    def p99(self) -> float:
        """The 99th percentile of how long an answer took, in seconds."""
        return percentile(self.took, 0.99)


def request(method: str, path: str, headers: Iterable[str] = (), body: bytes = b"") -> bytes:
    """A request of HTTP/1.1."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", *headers]
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


async def load(port: int, requests: Iterable[bytes], *, connections: int, status: int) -> Served:
    """Sends every request, so many at once, and reads the answers.

    Args:
        port: of a server on this machine.
        requests: as bytes.
        connections: how many are used, each for one request at a time.
        status: of every answer.

    Raises:
        RuntimeError: an answer has another status.
    """
    waiting = iter(requests)
    took: list[float] = []
    began = time.perf_counter()
    await asyncio.gather(*(_send_over_one_connection(port, waiting, took, status) for _ in range(connections)))
    return Served(time.perf_counter() - began, tuple(took))


async def _send_over_one_connection(port: int, waiting: Iterator[bytes], took: list[float], status: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for one in waiting:
            began = time.perf_counter()
            writer.write(one)
            async with asyncio.timeout(_ANSWER_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
                body = await reader.readexactly(_content_length(head))
            took.append(time.perf_counter() - began)
            if int(head[9:12]) != status:
                raise RuntimeError(f"{one[:80]!r} was answered {head[:40]!r} {body[:400]!r}")
    finally:
        writer.close()


def _content_length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    raise RuntimeError(f"an answer without a length: {head!r}")


class StreamClient(asyncio.Protocol):
    """Reads a stream of events and tells of each as soon as it has come.

    Args:
        sent: the request.
        tell: called with the data of each event.
    """

    def __init__(self, sent: bytes, tell: Callable[[bytes], None]) -> None:
        self._sent = sent
        self._tell = tell
        self._rest = b""
        self._transport: asyncio.Transport | None = None
        self.began: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done once the stream's first line has come."""
        self.is_lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Sends the request."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - of a connection over TCP
        self._transport = transport
        transport.write(self._sent)

    def data_received(self, data: bytes) -> None:
        """Reads what came."""
        lines = (self._rest + data).split(b"\n")
        self._rest = lines.pop()
        for line in lines:
            if line.startswith(b"data: "):
                self._tell(line[6:])
            elif not self.began.done():
                if line.startswith(b"HTTP/1.1 ") and not line.startswith(b"HTTP/1.1 200"):
                    self.began.set_exception(RuntimeError(f"a stream was answered {line!r}"))
                elif line.startswith(b"retry: "):
                    self.began.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's own name
        """Notes that nothing more comes."""
        self.is_lost = True

    def close(self) -> None:
        """Ends the connection."""
        if self._transport is not None:
            self._transport.close()
