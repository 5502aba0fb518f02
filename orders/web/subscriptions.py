"""What one stream has had of the events of orders, and what waits for it.

A `Subscription` first reads what it has not had from the audit table, then takes what the feed offers
(`orders.web.streams`), and reads the table again where it was too slow to take all of that. It keeps no more than
`OFFERS_MAX` events.
"""

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final, Protocol

from activities.adapters.postgres.event_log import LoggedEvent
from orders.clients.opened import Clients
from orders.errors import UnreachableError

PAGE_EVENTS: Final = 500
READS_AT_ONCE: Final = 4
"""Of the database's connections: 10, unless `DB_POOL_SIZE` says otherwise."""
TURN_WAIT_SECONDS: Final = 15.0
OFFERS_MAX: Final = 1_000
"""Most events that wait for one stream's client."""


class ReadTurns:
    """Lets few streams read the database at once, so that others find a connection.

    Many begin at once when the process before this one has ended.
    """

    def __init__(self) -> None:
        self._turns = asyncio.Semaphore(READS_AT_ONCE)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Around a read.

        Raises:
            UnreachableError: the others took too long.
        """
        try:
            async with asyncio.timeout(TURN_WAIT_SECONDS):
                await self._turns.acquire()
        except TimeoutError:
            raise UnreachableError("too many streams read the journal of events from Postgres at once") from None
        try:
            yield
        finally:
            self._turns.release()


class Feed(Protocol):
    """What a subscription to all orders asks of the feed."""

    @property
    def complete_until(self) -> int:
        """The position up to which no event can appear any more: each was offered, or is in the table."""

    @property
    def held_up_by(self) -> str | None:
        """What has held the feed up for long; None where nothing has."""


class Subscription(ABC):
    """What one stream has had, and what waits for it."""

    def __init__(self, turns: ReadTurns) -> None:
        self._turns = turns
        self._offers: deque[LoggedEvent] = deque()
        self._offered = asyncio.Event()
        self._must_read = True

    @property
    def held_up_by(self) -> str | None:
        """What has held this stream up for long; None where nothing has."""
        return None

    @property
    @abstractmethod
    def position(self) -> str:
        """The id of the last event that the client has had, as the client sends it back when it comes again."""

    @abstractmethod
    def position_of(self, event: LoggedEvent) -> str:
        """The position of a client that has had this event."""

    @abstractmethod
    async def _page(self) -> Sequence[LoggedEvent]:
        """The first events in the table that the client has not had."""

    @abstractmethod
    def _is_old(self, event: LoggedEvent) -> bool:
        """Whether the client has had an event."""

    @abstractmethod
    def _is_next(self, event: LoggedEvent) -> bool:
        """Whether nothing is missing before an event that the client has not had."""

    @abstractmethod
    def _advance(self, event: LoggedEvent) -> None:
        """Notes that the client has had all up to an event."""

    def offer(self, event: LoggedEvent) -> None:
        """Takes an event that has just been recorded."""
        if len(self._offers) >= OFFERS_MAX:
            self._offers.clear()
            self._must_read = True
        else:
            self._offers.append(event)
        self._offered.set()

    def look_again(self) -> None:
        """Has the table read again: something may be there that was never offered."""
        self._must_read = True
        self._offered.set()

    async def next(self) -> Sequence[LoggedEvent]:
        """The next events, at least one, as soon as there are any; may be cancelled without losing one.

        Raises:
            UnreachableError: the table had to be read, and Postgres does not answer; the next call reads it again.
        """
        while True:
            if self._must_read:
                fresh = await self._read()
                if fresh:
                    self._advance(fresh[-1])
            else:
                fresh = self._take()
            if fresh:
                return fresh
            if not self._must_read and not self._offers:
                self._offered.clear()
                await self._offered.wait()

    async def _read(self) -> Sequence[LoggedEvent]:
        # First, as what is offered from here on is kept; what the table has too is left out then.
        self._must_read = False
        try:
            async with self._turns.turn():
                page = await self._page()
        except BaseException:
            self._must_read = True
            raise
        self._must_read = self._must_read or len(page) >= PAGE_EVENTS
        return page

    def _take(self) -> Sequence[LoggedEvent]:
        taken: list[LoggedEvent] = []
        while self._offers:
            event = self._offers.popleft()
            if self._is_old(event):
                continue
            if not self._is_next(event):
                # It was never offered here, and is in the table.
                self._must_read = True
                break
            taken.append(event)
            self._advance(event)
        return taken


class OrderSubscription(Subscription):
    """The events of one order, whose position is its sequence, without gaps.

    Args:
        clients: lead to the database.
        turns: of reading it.
        order_id: which order.
        sequence: of the last event that the client has had; 0 for none.
    """

    def __init__(self, clients: Clients, turns: ReadTurns, order_id: str, sequence: int) -> None:
        super().__init__(turns)
        self._clients = clients
        self._order_id = order_id
        self._sequence = sequence

    @property
    def position(self) -> str:
        """The sequence."""
        return str(self._sequence)

    def position_of(self, event: LoggedEvent) -> str:
        """Its sequence."""
        return str(event.sequence)

    async def _page(self) -> Sequence[LoggedEvent]:
        async with self._clients.order_reader() as reader:
            stored = await reader.events(self._order_id, after_sequence=self._sequence, limit=PAGE_EVENTS)
        return [LoggedEvent(0, one.order_id, one.sequence, one.type, one.payload_json) for one in stored]

    def _is_old(self, event: LoggedEvent) -> bool:
        return event.sequence <= self._sequence

    def _is_next(self, event: LoggedEvent) -> bool:
        return event.sequence == self._sequence + 1

    def _advance(self, event: LoggedEvent) -> None:
        self._sequence = event.sequence


class AllSubscription(Subscription):
    """The events of all orders, by their place in the feed.

    Args:
        clients: lead to the database.
        turns: of reading it.
        feed: says up to which position no event can appear any more.
        position: of the last event that the client has had; None for where the feed is when it begins.
    """

    def __init__(self, clients: Clients, turns: ReadTurns, feed: Feed, position: int | None) -> None:
        super().__init__(turns)
        self._clients = clients
        self._feed = feed
        self._position = position or 0
        self._from_now_on = position is None

    def begin(self) -> None:
        """Begins with what comes from now on, for a client that named no position."""
        if self._from_now_on:
            self._position = self._feed.complete_until
            self._must_read = False  # Whatever comes after that is offered.

    @property
    def held_up_by(self) -> str | None:
        """What has held the feed up for long."""
        return self._feed.held_up_by

    @property
    def position(self) -> str:
        """The place in the feed."""
        return str(self._position)

    def position_of(self, event: LoggedEvent) -> str:
        """Its place in the feed."""
        return str(event.position)

    async def _page(self) -> Sequence[LoggedEvent]:
        complete_until = self._feed.complete_until
        async with self._clients.order_reader() as reader:
            return await reader.log.after(self._position, until=complete_until, limit=PAGE_EVENTS)

    def _is_old(self, event: LoggedEvent) -> bool:
        return event.position <= self._position

    def _is_next(self, event: LoggedEvent) -> bool:  # noqa: ARG002 - the feed offers all, in order
        return True

    def _advance(self, event: LoggedEvent) -> None:
        self._position = event.position


class News:
    """Tells that something has happened to some order, as soon as it can be seen.

    For a reader that then looks at the tables. It needs neither every event nor their sequence, so no open transaction
    holds it up.
    """

    def __init__(self) -> None:
        self._happened = asyncio.Event()

    def offer(self, event: LoggedEvent) -> None:  # noqa: ARG002 - one event says as much as many
        """Takes an event that has just been recorded."""
        self._happened.set()

    def look_again(self) -> None:
        """Takes that something may have happened which nobody offered."""
        self._happened.set()

    async def next(self) -> None:
        """Returns once something has happened that an earlier call has not told of."""
        await self._happened.wait()
        self._happened.clear()
