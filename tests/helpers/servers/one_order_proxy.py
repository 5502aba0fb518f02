"""A proxy for Temporal that refuses the calls for one order, and passes on all others: an order that is stuck."""

import asyncio

from temporalio.service import RPCStatusCode

from tests.helpers.servers import http2
from tests.helpers.servers.proxy import Proxy

_FRAME_BYTES_MAX = 16_384
"""What a receiver takes that has said nothing else (RFC 9113, 6.5.2)."""
_KEPT_BYTES_MAX = 2 * _FRAME_BYTES_MAX
"""A request that is larger goes through: its sender waits until the target has made room for the rest of it."""


class OneOrderProxy(Proxy):
    """As `Proxy`; each small call whose request holds the text `stuck` is answered here, and the target not asked."""

    stuck: bytes | None = None
    """Such as an order's workflow id; None passes everything on."""
    refusals = 0
    """Calls that were refused so far."""

    def _ways(
        self,
        here: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        there: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> list[asyncio.Task[None]]:
        # Back whole frames go, so that an answer of ours may stand between any two of them.
        return [
            asyncio.create_task(self._requests(here, there[1])),
            asyncio.create_task(self._copy(there[0], here[1], self._flowing, self._replying, slow=True)),
        ]

    async def _read(self, source: asyncio.StreamReader) -> bytes:
        try:
            kind, flags, stream, payload = await http2.read_frame(source)
            read = http2.frame(kind, flags, stream, payload)
            # Nothing may come between headers and their continuation.
            while kind == http2.HEADERS and not flags & http2.END_HEADERS:
                more, flags, stream, payload = await http2.read_frame(source)
                read += http2.frame(more, flags, stream, payload)
        except asyncio.IncompleteReadError:
            return b""
        return read

    async def _requests(
        self, here: tuple[asyncio.StreamReader, asyncio.StreamWriter], there: asyncio.StreamWriter
    ) -> None:
        """Passes requests on once each is whole or large, but for those that are refused."""
        reader, writer = here
        kept: dict[int, bytes | None] = {}
        """The body of each request that is not whole yet, by stream; None where it is passed on as it comes."""
        try:
            there.write(await reader.readexactly(http2.PREFACE_BYTES))
            while True:
                kind, flags, stream, payload = await http2.read_frame(reader)
                self.held_back += 1
                try:
                    await self._flowing.wait()
                finally:
                    self.held_back -= 1
                if kind == http2.DATA:
                    self._pass_on_or_refuse(stream, kept, (flags, payload), (writer, there))
                else:
                    there.write(http2.frame(kind, flags, stream, payload))
                await there.drain()
                await writer.drain()
        except asyncio.IncompleteReadError:
            pass

    def _pass_on_or_refuse(
        self,
        stream: int,
        kept: dict[int, bytes | None],
        data: tuple[int, bytes],
        ways: tuple[asyncio.StreamWriter, asyncio.StreamWriter],
    ) -> None:
        (flags, payload), (writer, there) = data, ways
        before, is_whole = kept.get(stream, b""), bool(flags & http2.END_STREAM)
        body = (before or b"") + payload
        if before is not None and not is_whole and len(body) < _KEPT_BYTES_MAX:
            kept[stream] = body
        elif before is not None and is_whole and self._is_refused(body):
            self.refusals += 1
            there.write(http2.frame(http2.RST_STREAM, 0, stream, http2.number(http2.CANCEL)))
            # The target never got these bytes, and so never makes room for more.
            writer.write(http2.frame(http2.WINDOW_UPDATE, 0, 0, http2.number(len(body))))
            writer.write(http2.refusal(RPCStatusCode.UNAVAILABLE, stream))
        else:
            kept[stream] = None
            for at in range(0, max(len(body), 1), _FRAME_BYTES_MAX):
                is_last = is_whole and at + _FRAME_BYTES_MAX >= len(body)
                part = body[at : at + _FRAME_BYTES_MAX]
                there.write(http2.frame(http2.DATA, http2.END_STREAM if is_last else 0, stream, part))
        if is_whole:
            kept.pop(stream, None)

    def _is_refused(self, body: bytes) -> bool:
        return self.stuck is not None and bool(body) and self.stuck in http2.message_of(body)
