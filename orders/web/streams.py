"""Events of orders as they happen: one look at the database serves every stream, and none misses or doubles any.

A `Subscription` first reads what it has not had from the audit table, then takes what the feed offers, and reads the
table again where it was too slow to take all of that. It keeps no more than `OFFERS_MAX` events.
"""

import asyncio
from abc import ABC, abstractmethod
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import structlog

from activities.adapters.postgres.event_log import EventLog, LoggedEvent
from orders.clients.opened import Clients
from orders.errors import OrdersError, UnreachableError
from orders.web.problems import Problem

POLL_SECONDS: Final = 0.2
"""How often the feed looks: an event is at its streams within this and a little."""
_POLL_SOON_SECONDS: Final = 0.03
"""While a transaction may yet fill a hole; it ends in milliseconds."""
_RETRY_SECONDS: Final = 1.0
HOLE_SECONDS_MAX: Final = 15.0
"""A writer of ours has ended by then, one that stopped too (activities/adapters/postgres/engine.py: 3.5 s, and 10 s
idle). What still holds the table is something else, such as a long clean-up, and draws no positions."""
_BEGIN_SECONDS_MAX: Final = 5.0
PAGE_EVENTS: Final = 500
OFFERS_MAX: Final = 1_000
"""Most events that wait for one stream's client."""

_log = structlog.get_logger("orders.api")


class Subscription(ABC):
    """What one stream has had, and what waits for it."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        self._offers: deque[LoggedEvent] = deque()
        self._offered = asyncio.Event()
        self._must_read = True

    @property
    @abstractmethod
    def position(self) -> str:
        """What the client has had, as it says so when it comes again."""

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
        order_id: which order.
        sequence: of the last event that the client has had; 0 for none.
    """

    def __init__(self, clients: Clients, order_id: str, sequence: int) -> None:
        super().__init__(clients)
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
        feed: says up to where nothing is missing in the table that may yet come.
        position: of the last event that the client has had; None for where the feed is when it begins.
    """

    def __init__(self, clients: Clients, feed: "LiveFeed", position: int | None) -> None:
        super().__init__(clients)
        self._feed = feed
        self._position = position or 0
        self._from_now_on = position is None

    def begin(self) -> None:
        """Begins, where the client has had nothing, with what comes from now on."""
        if self._from_now_on:
            self._position = self._feed.settled

    @property
    def position(self) -> str:
        """The place in the feed."""
        return str(self._position)

    def position_of(self, event: LoggedEvent) -> str:
        """Its place in the feed."""
        return str(event.position)

    async def _page(self) -> Sequence[LoggedEvent]:
        settled = self._feed.settled
        async with self._clients.order_reader() as reader:
            return await reader.log.after(self._position, until=settled, limit=PAGE_EVENTS)

    def _is_old(self, event: LoggedEvent) -> bool:
        return event.position <= self._position

    def _is_next(self, event: LoggedEvent) -> bool:  # noqa: ARG002 - the feed offers all, in order
        return True

    def _advance(self, event: LoggedEvent) -> None:
        self._position = event.position


@dataclass(frozen=True, slots=True)
class _Hole:
    """Positions that are missing, up to one that is not, and who may yet bring them."""

    until: int
    writers: frozenset[str]
    seen_at: float


class LiveFeed:
    """Follows the audit table while anybody wants to know, and offers each event to every stream that it concerns.

    Args:
        clients: lead to the database.
        streams_max: most subscriptions at once.
    """

    def __init__(self, clients: Clients, *, streams_max: int) -> None:
        self._clients = clients
        self._streams_max = streams_max
        self._of_all: set[Subscription] = set()
        self._of_order: dict[str, set[Subscription]] = defaultdict(set)
        self._count = 0
        self._wanted = asyncio.Event()
        self._began = asyncio.Event()
        """Set while the feed follows: all that is recorded from then on is offered."""
        self.settled = 0
        """Of every position up to this one the event was offered, or is in the table, or never will be there."""
        self._hole: _Hole | None = None

    # For streams -----------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def of_order(self, order_id: str, after: int = 0) -> AsyncIterator[Subscription]:
        """One order's events, for as long as the block lasts.

        Args:
            order_id: which order; nothing need be known of it yet.
            after: the sequence that the client has had; 0 for none.

        Raises:
            Problem: there are too many subscriptions.
            UnreachableError: Postgres does not answer.
        """
        subscription = OrderSubscription(self._clients, order_id, after)
        listeners = self._of_order[order_id]
        try:
            async with self._listening(subscription, listeners):
                yield subscription
        finally:
            if not listeners:
                self._of_order.pop(order_id, None)

    @asynccontextmanager
    async def of_all(self, after: int | None = None) -> AsyncIterator[Subscription]:
        """All orders' events, for as long as the block lasts.

        Args:
            after: the position that the client has had; None for what happens from now on.

        Raises:
            Problem: there are too many subscriptions, or the position is none of this database.
            UnreachableError: Postgres does not answer.
        """
        subscription = AllSubscription(self._clients, self, after)
        async with self._listening(subscription, self._of_all):
            subscription.begin()
            if after is not None and after > self.settled:
                await self._check(after)
            yield subscription

    async def position(self) -> int:
        """Where the events of all orders are now: `of_all` brings what is recorded from here on.

        Raises:
            Problem: there are too many subscriptions.
            UnreachableError: Postgres does not answer.
        """
        async with self.of_all() as now:
            return int(now.position)

    async def _check(self, after: int) -> None:
        """Another process of ours may be ahead of this one by a moment; another database's positions say nothing."""
        async with self._clients.order_reader() as reader:
            if after > await reader.log.last_position():
                raise Problem("position_unknown", "this database has not come to this position: it was restored?")

    @asynccontextmanager
    async def _listening(self, subscription: Subscription, listeners: set[Subscription]) -> AsyncIterator[None]:
        if self._count >= self._streams_max:
            raise Problem("overloaded", f"{self._streams_max} streams are open")
        self._count += 1
        listeners.add(subscription)
        self._wanted.set()
        try:
            await self._wait_until_followed()
            yield
        finally:
            self._count -= 1
            listeners.discard(subscription)

    async def _wait_until_followed(self) -> None:
        """Before a subscription reads the table for the first time: what comes after its reading is then offered."""
        async with self._clients.order_reader() as reader:
            # The feed waits for a Postgres that is away; a client wants to hear of it.
            await reader.log.last_position()
        try:
            async with asyncio.timeout(HOLE_SECONDS_MAX + _BEGIN_SECONDS_MAX):
                await self._began.wait()
        except TimeoutError:
            raise UnreachableError("Postgres does not say where the log of events ends") from None

    # Following -------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Follows the table until cancelled; waits while nobody listens, and while Postgres is away."""
        is_away = False
        while True:
            await self._wanted.wait()
            try:
                if not self._began.is_set():
                    self.settled = await self._present()
                    self._began.set()
                pause = await self._look()
                is_away = False
            except OrdersError as error:
                if not is_away:
                    _log.warning("api.feed.lost", detail=str(error), action="none: the streams wait with it")
                is_away, pause = True, _RETRY_SECONDS
            await asyncio.sleep(pause)
            if not self._count:
                self._wanted.clear()
                self._began.clear()
                self._hole = None

    async def _present(self) -> int:
        """The end of the log, once all that was being written before it is there."""
        async with self._clients.order_reader() as reader:
            last = await reader.log.last_position()
            before = await reader.log.writers()
        deadline = asyncio.get_running_loop().time() + HOLE_SECONDS_MAX
        while before and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(_POLL_SOON_SECONDS)
            async with self._clients.order_reader() as reader:
                before &= await reader.log.writers()
        return last

    async def _look(self) -> float:
        """Offers what is new, and returns how long to wait before the next look."""
        async with self._clients.order_reader() as reader:
            found = await reader.log.after(self.settled, limit=PAGE_EVENTS)
            if found and found[-1].position != self.settled + len(found):
                until = await self._settled_until(reader.log, found)
                # Again, for what was committed between the two: all of it is there now.
                found = await reader.log.after(self.settled, until=until, limit=PAGE_EVENTS)
        for event in found:
            self.settled = event.position
            for subscription in self._of_all:
                subscription.offer(event)
            for subscription in self._of_order.get(event.order_id, ()):
                subscription.offer(event)
        if self._hole is not None and self._hole.until <= self.settled:
            self._hole = None
        if len(found) >= PAGE_EVENTS:
            return 0
        return POLL_SECONDS if self._hole is None else _POLL_SOON_SECONDS

    async def _settled_until(self, log: EventLog, found: Sequence[LoggedEvent]) -> int:
        """Up to which position nothing is missing that may yet come."""
        now = asyncio.get_running_loop().time()
        writers = await log.writers()
        hole = self._hole
        if hole is None:
            if not writers:
                return found[-1].position
            self._hole = _Hole(found[-1].position, writers, now)
        elif not hole.writers & writers or now - hole.seen_at > HOLE_SECONDS_MAX:
            self._hole = None
            return hole.until
        return _end_of_run(self.settled, found)


def _end_of_run(settled: int, found: Sequence[LoggedEvent]) -> int:
    """The last position before the first hole."""
    for event in found:
        if event.position != settled + 1:
            break
        settled = event.position
    return settled
