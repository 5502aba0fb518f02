"""A proxy before Postgres that reads along: which transactions there were, and how many round trips each took.

It counts what crosses the wire, so pings, BEGIN and COMMIT, and whatever a library sends unasked, are counted as well.
https://www.postgresql.org/docs/current/protocol-message-formats.html
"""

import asyncio
import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from tests.helpers.servers.proxy import Proxy

_SSL_REQUEST: Final = 80877103
_OF_THE_DRIVER: Final = ("typeinfo_tree", "set_config('jit'")
"""What asyncpg asks once for each connection: what an array is made of, and that without compiling for it."""
_HEAD_BYTES: Final = 5
"""A type and a length, before each message but the first."""


@dataclass(frozen=True, slots=True)
class Transaction:
    """What a connection sent between two moments at which it was in no transaction."""

    application: str
    """The connection's ``application_name``."""
    statements: tuple[str, ...]
    """What was executed, BEGIN and COMMIT among it."""
    round_trips: int
    """How often the client waited for the server's answer, preparing apart."""
    prepared: int
    """Round trips beyond those, to prepare a statement: once for each statement and connection."""

    def touches(self, word: str) -> bool:
        """Whether one of its statements has the word."""
        return any(word in statement for statement in self.statements)


@dataclass(frozen=True, slots=True)
class Cost:
    """What some transactions cost together."""

    transactions: int
    round_trips: int

    @classmethod
    def of(cls, transactions: Iterable[Transaction]) -> "Cost":
        """Their sum. Preparing is left out, as a connection that has been in use for a while prepares nothing."""
        counted = list(transactions)
        return cls(len(counted), sum(one.round_trips for one in counted))


class PostgresTraffic(Proxy):
    """The proxy. What went through it is in `transactions`, in the order in which it ended."""

    def __init__(self, target: str) -> None:
        super().__init__(target)
        self.transactions: list[Transaction] = []

    def since(self, number: int, *, sandbox: bool = False) -> list[Transaction]:
        """The transactions after the first `number`, without what the driver asks once for each connection.

        Args:
            number: ``len(transactions)`` of an earlier moment.
            sandbox: whether those of the embedded payment provider and carrier are among them, which no real
                installation has.
        """
        left_out = _OF_THE_DRIVER if sandbox else (*_OF_THE_DRIVER, "sandbox_")
        return [one for one in self.transactions[number:] if not any(map(one.touches, left_out))]

    def _ways(self, here: tuple[Any, Any], there: tuple[Any, Any]) -> list[asyncio.Task[None]]:
        from_client, from_server = self._tapped(here[0], there[0])
        return super()._ways((from_client, here[1]), (from_server, there[1]))

    def _tapped(self, from_client: asyncio.StreamReader, from_server: asyncio.StreamReader) -> tuple[Any, Any]:
        """The two streams of a new connection, read along with."""
        conversation = Conversation(self.transactions)
        return Tapped(from_client, conversation.told), Tapped(from_server, conversation.answered)


@dataclass(slots=True)
class Tapped:
    """A stream that somebody reads along with."""

    source: asyncio.StreamReader
    heard: Any

    async def read(self, count: int) -> bytes:
        chunk = await self.source.read(count)
        self.heard(chunk)
        return chunk


@dataclass(slots=True)
class Conversation:
    """One connection, both ways."""

    ended: list[Transaction]
    application: str = ""
    _to_server: bytearray = field(default_factory=bytearray)
    _to_client: bytearray = field(default_factory=bytearray)
    _is_started: bool = False
    _answers_ssl: bool = False
    _is_ready: bool = False
    _texts: dict[bytes, str] = field(default_factory=dict)
    """Of prepared statements, by name."""
    _bound: str = ""
    _executed: list[str] = field(default_factory=list)
    """Since the server was last ready."""
    _statements: list[str] = field(default_factory=list)
    _trips: int = 0
    _prepared: int = 0

    def told(self, chunk: bytes) -> None:
        """Takes what the client sent."""
        self._to_server += chunk
        while not self._is_started and len(self._to_server) >= 8:
            length, code = struct.unpack("!ii", self._to_server[:8])
            if len(self._to_server) < length:
                return
            body = bytes(self._to_server[8:length])
            del self._to_server[:length]
            if code == _SSL_REQUEST:
                self._answers_ssl = True
            else:
                words = body.split(b"\0")
                self.application = (
                    dict(zip(words[::2], words[1::2], strict=False)).get(b"application_name", b"").decode()
                )
                self._is_started = True
        for kind, body in _messages(self._to_server if self._is_started else bytearray()):
            self._command(kind, body)

    def answered(self, chunk: bytes) -> None:
        """Takes what the server sent."""
        self._to_client += chunk
        if self._answers_ssl and self._to_client:
            assert self._to_client[:1] == b"N", "the connection is encrypted, so it cannot be read along"
            del self._to_client[:1]
            self._answers_ssl = False
        for kind, body in _messages(self._to_client):
            if kind == b"Z":
                self._ready(in_transaction=body != b"I")

    def _command(self, kind: bytes, body: bytes) -> None:
        if kind == b"Q":
            self._executed.append(body.rstrip(b"\0").decode())
        elif kind == b"P":
            name, text, _ = body.split(b"\0", 2)
            self._texts[name] = text.decode()
        elif kind == b"B":
            self._bound = self._texts[body.split(b"\0", 2)[1]]
        elif kind == b"E":
            self._executed.append(self._bound)

    def _ready(self, *, in_transaction: bool) -> None:
        if not self._is_ready:
            self._is_ready = True  # It has signed in: no round trip of a transaction.
            return
        if self._executed:
            self._trips += 1
            self._statements += self._executed
            self._executed.clear()
        else:
            self._prepared += 1
        if not in_transaction and self._trips:
            self.ended.append(Transaction(self.application, tuple(self._statements), self._trips, self._prepared))
            self._statements.clear()
            self._trips = self._prepared = 0


def _messages(buffer: bytearray) -> list[tuple[bytes, bytes]]:
    """The whole messages at a buffer's beginning, which are taken off it."""
    found: list[tuple[bytes, bytes]] = []
    while len(buffer) >= _HEAD_BYTES:
        (length,) = struct.unpack("!i", buffer[1:_HEAD_BYTES])
        if len(buffer) < length + 1:
            break
        found.append((bytes(buffer[:1]), bytes(buffer[_HEAD_BYTES : length + 1])))
        del buffer[: length + 1]
    return found
