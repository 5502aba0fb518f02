"""A proxy before Postgres that acts in the middle of one statement: on its way, before its commit, or not answered."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from tests.helpers.servers.postgres_traffic import Conversation, PostgresTraffic, Transaction


class Moment(Enum):
    """Where in a statement's life something happens."""

    ON_ITS_WAY = auto()
    """The client has sent it, and the server has not got it."""
    BEFORE_COMMIT = auto()
    """The server has executed it in a transaction, whose COMMIT the client has sent and the server has not got."""
    NOT_ANSWERED = auto()
    """The server has executed and committed it, and the client has not heard of that. For statements outside of a
    transaction."""


@dataclass(slots=True)
class Stop:
    """A moment that a test waits for. It comes once."""

    moment: Moment
    words: tuple[bytes, ...]
    """What the statement's values have in them."""
    then: Callable[[], Awaitable[None]]
    reached: asyncio.Event = field(default_factory=asyncio.Event)

    async def act(self) -> None:
        """Says that the moment has come, and does what is to happen in it."""
        self.reached.set()
        await self.then()


class PostgresMoments(PostgresTraffic):
    """The proxy; it counts transactions as well."""

    def __init__(self, target: str) -> None:
        super().__init__(target)
        self._stops: list[Stop] = []

    def stop_at(self, moment: Moment, *words: str, then: Callable[[], Awaitable[None]]) -> Stop:
        """Has something happen in the next statement whose values have all of these words in them.

        Args:
            moment: Where in that statement.
            words: Such as an order's id and a state.
            then: What happens. While it lasts its connection stands still; afterwards the connection goes on, and where
                it raises an `OSError`, the connection is at its end.
        """
        stop = Stop(moment, tuple(word.encode() for word in words), then)
        self._stops.append(stop)
        return stop

    def _tapped(self, from_client: asyncio.StreamReader, from_server: asyncio.StreamReader) -> tuple[Any, Any]:
        conversation = _Watched(self.transactions, self._stops)
        return _Asking(from_client, conversation), _Answering(from_server, conversation)


class _Watched(Conversation):
    """One connection, on which a stop may be due."""

    def __init__(self, ended: list[Transaction], stops: list[Stop]) -> None:
        super().__init__(ended)
        self._stops = stops
        self._values: list[bytes] = []
        """Of the statements since the last transaction's end."""
        self.due: Stop | None = None
        self.is_answered = False
        """Whether the server was ready again after the statement that is due."""

    def _command(self, kind: bytes, body: bytes) -> None:
        super()._command(kind, body)
        if kind == b"B":
            self._values.append(body)
        for stop in self._stops:
            if self._is_at(stop, kind, body):
                self._stops.remove(stop)
                self.due, self.is_answered = stop, False
                return

    def _is_at(self, stop: Stop, kind: bytes, body: bytes) -> bool:
        if stop.moment is not Moment.BEFORE_COMMIT:
            return kind == b"B" and all(word in body for word in stop.words)
        return (
            kind == b"Q" and body.startswith(b"COMMIT") and all(word in b"".join(self._values) for word in stop.words)
        )

    def _ready(self, *, in_transaction: bool) -> None:
        super()._ready(in_transaction=in_transaction)
        self.is_answered = True
        if not in_transaction:
            self._values.clear()


@dataclass(slots=True)
class _Asking:
    """What the client says."""

    source: asyncio.StreamReader
    conversation: _Watched

    async def read(self, count: int) -> bytes:
        chunk = await self.source.read(count)
        self.conversation.told(chunk)
        stop = self.conversation.due
        if stop is not None and stop.moment is not Moment.NOT_ANSWERED:
            self.conversation.due = None
            await stop.act()
        return chunk


@dataclass(slots=True)
class _Answering:
    """What the server says."""

    source: asyncio.StreamReader
    conversation: _Watched

    async def read(self, count: int) -> bytes:
        chunk = await self._next(count)
        stop = self.conversation.due
        if stop is not None and stop.moment is Moment.NOT_ANSWERED:
            # It is committed once the server is ready for the next one, and not with the first piece of its answer.
            while not self.conversation.is_answered and (more := await self._next(count)):
                chunk += more
            self.conversation.due = None
            await stop.act()
        return chunk

    async def _next(self, count: int) -> bytes:
        chunk = await self.source.read(count)
        self.conversation.answered(chunk)
        return chunk
