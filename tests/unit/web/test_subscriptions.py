"""What a stream has of the events that happen: none missed and none doubled, however slow it is and whatever fails."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack

import pytest

from activities.adapters.postgres.event_log import LoggedEvent
from orders.errors import UnreachableError
from orders.web import subscriptions
from orders.web.subscriptions import OFFERS_MAX, PAGE_EVENTS, READS_AT_ONCE, News, ReadTurns, Subscription
from tests.helpers.system.waiting import patient_timeout


def event(sequence: int) -> LoggedEvent:
    return LoggedEvent(1_000 + sequence, "o-1", sequence, "order.state_changed", "{}")


class OfAList(Subscription):
    """The events of one order, whose table is a list."""

    def __init__(self, table: list[LoggedEvent], had: int = 0) -> None:
        super().__init__(ReadTurns())
        self.table = table
        self.had = had
        self.pages_read = 0
        self.is_away = False

    @property
    def position(self) -> str:
        return str(self.had)

    def position_of(self, event: LoggedEvent) -> str:
        return str(event.sequence)

    async def _page(self) -> Sequence[LoggedEvent]:
        await asyncio.sleep(0)
        if self.is_away:
            raise UnreachableError("the table does not answer")
        self.pages_read += 1
        return [one for one in self.table if one.sequence > self.had][:PAGE_EVENTS]

    def _is_old(self, event: LoggedEvent) -> bool:
        return event.sequence <= self.had

    def _is_next(self, event: LoggedEvent) -> bool:
        return event.sequence == self.had + 1

    def _advance(self, event: LoggedEvent) -> None:
        self.had = event.sequence

    def record(self, sequence: int, *, offered: bool = True) -> None:
        """An event happens, and is offered unless the feed was not following then."""
        self.table.append(event(sequence))
        if offered:
            self.offer(event(sequence))


async def drain(subscription: Subscription, until: int) -> list[int]:
    """The sequences of what comes, up to one."""
    had: list[int] = []
    async with patient_timeout(30):
        while not had or had[-1] < until:
            had += [one.sequence for one in await subscription.next()]
    return had


async def test_it_begins_with_what_the_table_has_and_goes_on_with_what_is_offered() -> None:
    stream = OfAList([event(1), event(2)])
    assert await drain(stream, 2) == [1, 2]
    stream.record(3)
    stream.record(4)
    assert await drain(stream, 4) == [3, 4]
    assert stream.pages_read == 1, "what was offered is not read again"


async def test_what_is_offered_while_the_table_is_read_comes_once() -> None:
    stream = OfAList([event(1)])
    stream.record(2)
    assert await drain(stream, 2) == [1, 2]
    stream.record(3)
    assert await drain(stream, 3) == [3]


async def test_an_event_that_was_never_offered_is_read_from_the_table() -> None:
    stream = OfAList([event(1)])
    await drain(stream, 1)
    stream.record(2, offered=False)
    stream.record(3)
    assert await drain(stream, 3) == [2, 3]


async def test_more_than_is_kept_for_a_slow_client_is_read_from_the_table_each_event_once() -> None:
    stream = OfAList([event(1)])
    await drain(stream, 1)
    last = 1 + OFFERS_MAX + PAGE_EVENTS
    for sequence in range(2, last + 1):
        stream.record(sequence)
        assert len(stream._offers) <= OFFERS_MAX
    assert await drain(stream, last) == list(range(2, last + 1))
    stream.record(last + 1)
    assert await drain(stream, last + 1) == [last + 1]


async def test_a_table_of_many_pages_is_read_to_its_end() -> None:
    stream = OfAList([event(sequence) for sequence in range(1, 2 * PAGE_EVENTS + 2)])
    assert await drain(stream, 2 * PAGE_EVENTS + 1) == list(range(1, 2 * PAGE_EVENTS + 2))


async def test_a_table_that_does_not_answer_is_read_again_and_nothing_is_lost_meanwhile() -> None:
    stream = OfAList([event(1)])
    stream.is_away = True
    with pytest.raises(UnreachableError):
        await stream.next()
    stream.record(2)
    with pytest.raises(UnreachableError):
        await stream.next()
    stream.is_away = False
    assert await drain(stream, 2) == [1, 2]


async def test_a_wait_that_is_cancelled_at_any_moment_loses_nothing() -> None:
    stream = OfAList([event(1)])
    had: list[int] = []
    for turns in range(6):
        waiting = asyncio.create_task(stream.next())
        for _ in range(turns):
            await asyncio.sleep(0)
        stream.record(2 + turns)
        waiting.cancel()
        try:
            had += [one.sequence for one in await waiting]
        except asyncio.CancelledError:
            continue
    assert had + await drain(stream, 7) == list(range(1, 8))


async def test_who_is_told_to_look_again_finds_what_nobody_offered() -> None:
    stream = OfAList([])
    waiting = asyncio.create_task(drain(stream, 1))
    await asyncio.sleep(0)
    stream.record(1, offered=False)
    assert not waiting.done()
    stream.look_again()
    assert await waiting == [1]


async def test_news_are_told_once_however_many_there_were() -> None:
    news = News()
    for sequence in range(1, 4):
        news.offer(event(sequence))
    await news.next()
    waiting = asyncio.create_task(news.next())
    await asyncio.sleep(0)
    assert not waiting.done()
    news.look_again()
    await waiting


async def test_few_streams_read_at_once_and_each_has_its_turn() -> None:
    turns, reading, most = ReadTurns(), 0, 0

    async def read() -> None:
        nonlocal reading, most
        async with turns.turn():
            reading += 1
            most = max(most, reading)
            await asyncio.sleep(0)
            reading -= 1

    await asyncio.gather(*(read() for _ in range(50)))
    assert most == READS_AT_ONCE


async def test_who_waits_long_for_a_turn_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscriptions, "TURN_WAIT_SECONDS", 0.01)
    turns = ReadTurns()
    async with AsyncExitStack() as held:
        for _ in range(READS_AT_ONCE):
            await held.enter_async_context(turns.turn())
        with pytest.raises(UnreachableError, match="too many streams"):
            async with turns.turn():
                pass
    async with turns.turn():
        pass
