"""Many who wait for outcomes at once: how often the database is asked, and what each of them is told."""

import asyncio
import time
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime, timedelta

import pytest

from activities.adapters.postgres.reader import InboundKey
from orders.clients.outcome_watch import LONGEST_PAUSE, outcome_watch
from orders.errors import UnreachableError
from schemas.activity_io import EventOutcome
from schemas.event_types import EventType
from schemas.states import InboundOutcome

SOON, LONG = timedelta(seconds=0.3), timedelta(seconds=20)
AWAY = UnreachableError("Postgres is away")


def key(event_id: str = "e-1") -> InboundKey:
    return InboundKey("o-1", event_id, EventType.ORDER_APPROVED)


def outcome(one: InboundKey) -> EventOutcome:
    return EventOutcome(
        event_id=one.event_id, type=one.type, outcome=InboundOutcome.APPLIED, at=datetime(2026, 1, 31, tzinfo=UTC)
    )


class Database:
    """Answers looks; `decided` is what it has, `failures` are raised before anything is answered."""

    def __init__(self) -> None:
        self.decided: set[InboundKey] = set()
        self.failures: list[Exception] = []
        self.asked: list[AbstractSet[InboundKey]] = []
        self.asked_again = asyncio.Event()
        self.hangs = False

    async def look(self, keys: AbstractSet[InboundKey]) -> Mapping[InboundKey, EventOutcome]:
        self.asked.append(keys)
        self.asked_again.set()
        if self.hangs:
            await asyncio.Event().wait()
        if self.failures:
            raise self.failures.pop(0)
        return {one: outcome(one) for one in keys & self.decided}


async def test_what_is_decided_already_is_told_at_the_first_look() -> None:
    database = Database()
    database.decided.add(key())
    async with outcome_watch(database.look) as watch:
        assert await watch.outcome(key(), LONG) == outcome(key())
    assert database.asked == [{key()}]


async def test_what_is_decided_meanwhile_is_told_when_it_is() -> None:
    database = Database()
    async with outcome_watch(database.look) as watch:
        waiting = asyncio.create_task(watch.outcome(key(), LONG))
        await database.asked_again.wait()
        database.decided.add(key())
        assert await waiting == outcome(key())


async def test_five_hundred_who_wait_are_looked_for_by_one_statement_a_turn() -> None:
    database, keys = Database(), [key(f"e-{number}") for number in range(500)]
    async with outcome_watch(database.look) as watch:
        waiting = [asyncio.create_task(watch.outcome(one, LONG)) for one in keys]
        while len(database.asked) < 3:
            database.asked_again.clear()
            await database.asked_again.wait()
        database.decided.update(keys)
        assert await asyncio.gather(*waiting) == [outcome(one) for one in keys]
    assert len(database.asked) <= 8
    assert max(len(asked) for asked in database.asked) == 500


async def test_what_is_not_decided_in_time_is_told_as_nothing_after_a_last_look() -> None:
    database = Database()
    begun = time.monotonic()
    async with outcome_watch(database.look) as watch:
        assert await watch.outcome(key(), SOON) is None
    assert time.monotonic() - begun >= SOON.total_seconds()
    assert 2 <= len(database.asked) <= 6, "less and less often, and a last time"


async def test_without_a_wait_there_is_one_look() -> None:
    database = Database()
    async with outcome_watch(database.look) as watch:
        assert await watch.outcome(key(), timedelta(0)) is None
    assert len(database.asked) == 1


async def test_a_database_that_is_away_for_a_moment_is_asked_again() -> None:
    database = Database()
    database.failures = [AWAY, AWAY]
    database.decided.add(key())
    async with outcome_watch(database.look) as watch:
        assert await watch.outcome(key(), LONG) == outcome(key())
    assert len(database.asked) == 3


async def test_a_database_that_stays_away_is_told_at_the_end_of_the_wait() -> None:
    database = Database()
    database.failures = [AWAY] * 50
    async with outcome_watch(database.look) as watch:
        with pytest.raises(UnreachableError, match="Postgres is away"):
            await watch.outcome(key(), SOON)


async def test_a_database_that_hangs_is_told_shortly_after_the_end_of_the_wait() -> None:
    database = Database()
    database.hangs = True
    async with outcome_watch(database.look) as watch:
        with pytest.raises(UnreachableError, match="does not answer in time"):
            await watch.outcome(key(), timedelta(seconds=0.1))


async def test_a_defect_of_a_look_is_theirs_who_waited_and_the_next_are_looked_for() -> None:
    database = Database()
    database.failures = [ValueError("a defect")]
    database.decided.add(key())
    async with outcome_watch(database.look) as watch:
        with pytest.raises(ValueError, match="a defect"):
            await watch.outcome(key(), LONG)
        assert await watch.outcome(key(), LONG) == outcome(key())


async def test_who_goes_away_is_looked_for_no_more() -> None:
    database = Database()
    async with outcome_watch(database.look) as watch:
        gone = asyncio.create_task(watch.outcome(key("gone"), LONG))
        await database.asked_again.wait()
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
        database.asked.clear()
        assert await watch.outcome(key("stays"), LONGEST_PAUSE) is None
    assert {one.event_id for asked in database.asked for one in asked} == {"stays"}
