"""Events of orders as they happen: one look at the database serves every stream, and none misses or doubles any.

A `Subscription` first reads what it has not had from the audit table, then takes what the feed offers, and reads the
table again where it was too slow to take all of that. It keeps no more than `OFFERS_MAX` events.
"""

import asyncio
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
_BEGIN_SECONDS_MAX: Final = 20.0
"""Longer than the longest wait for writers (`HOLE_SECONDS_MAX`)."""
PAGE_EVENTS: Final = 500
OFFERS_MAX: Final = 1_000
"""Most events that wait for one stream's client."""
HOLE_SECONDS_MAX: Final = 15.0
"""A writer of ours has ended by then, one that stopped too (activities/adapters/postgres/engine.py: 3.5 s, and 10 s
idle). What still holds the table is something else, such as a long clean-up, and draws no numbers."""

_log = structlog.get_logger("orders.api")


class Subscription:
    """What one stream has had, and what waits for it.

    Args:
        feed: whose events.
        order_id: of this order, whose sequence is then the position; None for all orders, by their place in the log.
        position: what the client has had already.
    """

    def __init__(self, feed: "EventFeed", order_id: str | None, position: int) -> None:
        self.order_id = order_id
        self.position = position
        self._feed = feed
        self._offers: deque[LoggedEvent] = deque()
        self._offered = asyncio.Event()
        self._must_read = True

    def offer(self, event: LoggedEvent) -> None:
        """Takes an event that has just been recorded."""
        if len(self._offers) >= OFFERS_MAX:
            self._offers.clear()
            self._must_read = True
        else:
            self._offers.append(event)
        self._offered.set()

    def position_of(self, event: LoggedEvent) -> int:
        """What the event counts as here."""
        return event.position if self.order_id is None else event.sequence

    async def next(self) -> Sequence[LoggedEvent]:
        """The next events, at least one, as soon as there are any; may be cancelled without losing one.

        Raises:
            UnreachableError: the table had to be read, and Postgres does not answer; the next call reads it again.
        """
        while True:
            if self._must_read:
                fresh = await self._read()
            else:
                fresh = self._take()
            if fresh:
                self.position = self.position_of(fresh[-1])
                return fresh
            if not self._must_read and not self._offers:
                self._offered.clear()
                await self._offered.wait()

    async def _read(self) -> Sequence[LoggedEvent]:
        # First, as what is offered from here on is kept; what the table has too is then left out by its position.
        self._must_read = False
        try:
            page = await self._feed.read(self)
        except BaseException:
            self._must_read = True
            raise
        self._must_read = self._must_read or len(page) >= PAGE_EVENTS
        return page

    def _take(self) -> Sequence[LoggedEvent]:
        taken: list[LoggedEvent] = []
        position = self.position
        while self._offers:
            event = self._offers.popleft()
            here = self.position_of(event)
            if here <= position:
                continue
            if self.order_id is not None and here != position + 1:
                # An order's events have no gaps: one was never offered here, and is in the table.
                self._must_read = True
                break
            taken.append(event)
            position = here
        return taken


@dataclass(frozen=True, slots=True)
class _Hole:
    """Numbers that are missing, up to a position, and who may yet bring them."""

    until: int
    writers: frozenset[str]
    seen_at: float


class EventFeed:
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
        self._settled: int | None = None
        """Of every position up to this one, the event was offered or never will be there. None while nobody listens."""
        self._began = asyncio.Event()
        self._hole: _Hole | None = None

    # For streams -----------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def subscription(self, order_id: str | None, after: int | None) -> AsyncIterator[Subscription]:
        """Events behind a position, for as long as the block lasts.

        Args:
            order_id: of which order; None for all.
            after: the sequence, or for all orders the position, that the client has had. None: an order's beginning; of
                all orders, what happens from now on.

        Raises:
            Problem: there are too many.
            UnreachableError: Postgres does not answer.
        """
        if self._count >= self._streams_max:
            raise Problem("overloaded", f"{self._streams_max} streams are open")
        subscription = Subscription(self, order_id, after or 0)
        listeners = self._of_all if order_id is None else self._of_order[order_id]
        self._count += 1
        listeners.add(subscription)
        self._wanted.set()
        try:
            if order_id is None:
                subscription.position = await self._begin_of_all(after)
            yield subscription
        finally:
            self._count -= 1
            listeners.discard(subscription)
            if order_id is not None and not listeners:
                self._of_order.pop(order_id, None)

    async def position(self) -> int:
        """Where the log of all orders is now: what is recorded from here on comes behind it.

        Raises:
            UnreachableError: Postgres does not answer.
        """
        async with self.subscription(None, None) as now:
            return now.position

    async def read(self, subscription: Subscription) -> tuple[LoggedEvent, ...]:
        """A page of what the subscription has not had, from the table."""
        after = subscription.position
        async with self._clients.order_reader() as reader:
            if subscription.order_id is None:
                return await reader.log.after(after, until=self._settled or 0, limit=PAGE_EVENTS)
            stored = await reader.events(subscription.order_id, after_sequence=after, limit=PAGE_EVENTS)
        return tuple(LoggedEvent(0, one.order_id, one.sequence, one.type, one.payload_json) for one in stored)

    async def _begin_of_all(self, after: int | None) -> int:
        if not self._began.is_set():
            # Asked first by ourselves: the feed would wait for Postgres, and the client wants to hear of it.
            async with self._clients.order_reader() as reader:
                await reader.log.last_position()
            try:
                async with asyncio.timeout(_BEGIN_SECONDS_MAX):
                    await self._began.wait()
            except TimeoutError:
                raise UnreachableError("Postgres does not say where the log of events ends") from None
        settled = self._settled or 0
        if after is None:
            return settled
        if after > settled:
            async with self._clients.order_reader() as reader:
                # Another process of ours may be ahead by a moment; a position of another database says nothing here.
                return after if after <= await reader.log.last_position() else settled
        return after

    # Following -------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Follows the table until cancelled; waits while nobody listens, and while Postgres is away."""
        is_away = False
        while True:
            await self._wanted.wait()
            try:
                if self._settled is None:
                    self._settled = await self._present()
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
                self._settled = self._hole = None

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
        settled = self._settled or 0
        async with self._clients.order_reader() as reader:
            found = await reader.log.after(settled, limit=PAGE_EVENTS)
            if found and found[-1].position != settled + len(found):
                settled_until = await self._settled_until(reader.log, found)
                # Again, for what was committed between the two: all of it is there now.
                found = await reader.log.after(settled, until=settled_until, limit=PAGE_EVENTS)
        for event in found:
            self._settled = event.position
            self._offer(event)
        if self._hole is not None and self._hole.until <= (self._settled or 0):
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
        return _end_of_run(self._settled or 0, found)

    def _offer(self, event: LoggedEvent) -> None:
        for subscription in self._of_all:
            subscription.offer(event)
        for subscription in self._of_order.get(event.order_id, ()):
            subscription.offer(event)


def _end_of_run(settled: int, found: Sequence[LoggedEvent]) -> int:
    """The last position before the first hole."""
    for event in found:
        if event.position != settled + 1:
            break
        settled = event.position
    return settled
