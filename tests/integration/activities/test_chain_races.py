"""Two writers of one order at once: the second one's events follow the first one's in the chain, or are not written.

A statement sees the tables as they were when it began. So who writes behind an event that another writer has recorded
and not yet committed must wait, and then look again: a link made of what it saw first would follow the wrong event.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.adapters.postgres import EngineOptions, PostgresOrderStore, create_engine, orders
from activities.adapters.postgres.audit import AuditStore
from activities.audit_chain import entry, link
from activities.ports import DatabaseUnavailableError, SequenceConflictError
from orders.operations.audit.chain_check import Stretch, check_events
from orders.operations.audit.findings import Audit, Kind
from schemas.states import OrderState
from stack.endpoints import Endpoints
from tests.helpers.messages.journal_entries import (
    NOON,
    batch,
    ended,
    late,
    outcome_of,
    reached,
    received_and_validated,
)
from tests.helpers.servers.databases import migrated_engine
from tests.helpers.system.waiting import assert_eventually

PATIENCE = timedelta(seconds=120)
"""Longer than a busy machine takes to see that one writer waits for another; an installation's is 3.5 s."""
SOON_SECONDS = 60.0
HELD = "e-held"
"""The inbound event that a writer cannot record before the test lets it."""
OPTIONS = EngineOptions(statement_timeout=PATIENCE, lock_timeout=PATIENCE, idle_in_transaction_timeout=PATIENCE)
WAITING = text("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")

Write = Callable[[PostgresOrderStore, str], Coroutine[Any, Any, None]]


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Writers that wait as long as the test has them wait."""
    for name in ("single_statements", "transaction"):
        monkeypatch.setattr(orders, name, partial(getattr(orders, name), limit=PATIENCE))


@pytest.fixture
async def engine(endpoints: Endpoints) -> AsyncIterator[AsyncEngine]:
    async with migrated_engine(endpoints, OPTIONS) as one:
        yield one


@asynccontextmanager
async def process_of_its_own(engine: AsyncEngine) -> AsyncIterator[PostgresOrderStore]:
    """A store as another process has it: neither connections nor turns are shared."""
    own = create_engine(engine.url, OPTIONS)
    store = PostgresOrderStore(own)
    try:
        yield store
    finally:
        await store.close()
        await own.dispose()


@asynccontextmanager
async def held_back(engine: AsyncEngine, order_id: str) -> AsyncIterator[None]:
    """Has whoever records the outcome of `HELD` wait in the middle of its statement, until the block ends.

    Somebody else is about to record it too, and then does not. By then the writer has moved the journal's end, and
    holds it.
    """
    async with engine.connect() as connection:
        await connection.execute(
            text(
                "INSERT INTO inbound_events (order_id, event_digest, type, event_id, outcome, ts) "
                "VALUES (:order_id, sha256(convert_to(:event, 'UTF8')), 'order.approved', :event, 'applied', now())"
            ),
            {"order_id": order_id, "event": HELD},
        )
        yield
        await connection.rollback()


async def so_many_wait(engine: AsyncEngine, number: int) -> None:
    """Waits until so many statements of this database wait for a lock."""

    async def wait() -> bool:
        async with engine.connect() as connection:
            return (await connection.scalar(WAITING) or 0) >= number

    await assert_eventually(wait, SOON_SECONDS, f"{number} writers that wait for a lock")


async def is_whole(engine: AsyncEngine, order_id: str, events: int) -> None:
    """As many events as there are to be, each with its link."""
    assert await chained(engine, order_id) == events


async def chained(engine: AsyncEngine, order_id: str) -> int:
    """How many events there are now; each link is made of the one before it, by the formula and for an auditor."""
    journal = await AuditStore(engine).one(order_id)
    assert journal is not None
    events = len(journal.events)
    assert journal.last_sequence == events
    audit = Audit()
    check_events(audit, Stretch(order_id, 1, events, None), journal.events)
    assert audit.findings == []
    assert audit.unhashed == 0
    assert journal.events[0].link is not None
    for before, event in pairwise(journal.events):
        assert event.payload_digest is not None
        assert event.link == link(before.link, entry(event.payload_digest, event.payload, event.traceparent))
    return events


# Writers ------------------------------------------------------------------------------------------------------------


async def first_two(store: PostgresOrderStore, order_id: str) -> None:
    """An order's beginning, with the outcome that is held back."""
    events = (
        reached(order_id, 1, OrderState.RECEIVED),
        reached(order_id, 2, OrderState.VALIDATED, OrderState.RECEIVED),
    )
    await store.record(batch(order_id, *events, outcomes=(outcome_of(HELD),)))


async def third(store: PostgresOrderStore, order_id: str) -> None:
    """The next event, with the outcome that is held back."""
    event = reached(order_id, 3, OrderState.COMPLETED, OrderState.VALIDATED)
    await store.record(batch(order_id, event, outcomes=(outcome_of(HELD),)))


async def third_alone(store: PostgresOrderStore, order_id: str) -> None:
    """The third event of who knows that the first two are recorded."""
    await store.record(batch(order_id, reached(order_id, 3, OrderState.COMPLETED, OrderState.VALIDATED)))


async def fourth(store: PostgresOrderStore, order_id: str) -> None:
    """The one behind the third."""
    await store.record(batch(order_id, reached(order_id, 4, OrderState.COMPLETED, OrderState.COMPLETED)))


async def late_and_held(store: PostgresOrderStore, order_id: str) -> None:
    """An answer to a late event, by the longer way, which is held back in its second statement."""
    await store.answer_late(order_id, (late(HELD, "order.approved"),), NOON)


async def late_one(store: PostgresOrderStore, order_id: str) -> None:
    """An answer to another late event."""
    await store.answer_late(order_id, (late("e-other"),), NOON)


RACES: dict[str, tuple[int, Write, Write, int]] = {
    "a record behind one that is not committed": (2, third, fourth, 4),
    "a record behind an order's first one": (0, first_two, third_alone, 3),
    "a late answer behind a record": (2, third, late_one, 4),
    "a late answer behind another one": (3, late_and_held, late_one, 5),
    "the same record twice": (2, third, third, 3),
}


async def begun(store: PostgresOrderStore, order_id: str, events: int) -> None:
    """An order with so many events."""
    if events == 2:
        await received_and_validated(store, order_id)
    elif events:
        await ended(store, order_id)


@pytest.mark.parametrize("race", RACES)
async def test_who_writes_behind_an_event_that_is_not_committed_waits_for_it_and_follows_it(
    engine: AsyncEngine, race: str
) -> None:
    there, first, second, events = RACES[race]
    order_id = f"o-{secrets.token_hex(4)}"
    async with process_of_its_own(engine) as one, process_of_its_own(engine) as other:
        await begun(one, order_id, there)
        async with held_back(engine, order_id):
            writing = asyncio.create_task(first(one, order_id))
            await so_many_wait(engine, 1)
            behind = asyncio.create_task(second(other, order_id))
            await so_many_wait(engine, 2)
            assert not writing.done()
            assert not behind.done()
        await asyncio.gather(writing, behind)
    await is_whole(engine, order_id, events)


async def test_who_waited_for_a_writer_that_failed_writes_nothing_behind_what_is_not_there(
    engine: AsyncEngine,
) -> None:
    order_id = f"o-{secrets.token_hex(4)}"
    async with process_of_its_own(engine) as one, process_of_its_own(engine) as other:
        await begun(one, order_id, 2)
        async with held_back(engine, order_id):
            writing = asyncio.create_task(third(one, order_id))
            await so_many_wait(engine, 1)
            behind = asyncio.create_task(fourth(other, order_id))
            await so_many_wait(engine, 2)
            async with engine.connect() as connection:
                await connection.execute(
                    text(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
                        "AND wait_event_type = 'Lock' AND query LIKE '%WITH RECURSIVE head%'"
                    )
                )
            with pytest.raises(SequenceConflictError):
                await behind
            with pytest.raises(DatabaseUnavailableError):
                await writing
        await is_whole(engine, order_id, 2)
        # As Temporal repeats both.
        await third(one, order_id)
        await fourth(other, order_id)
    await is_whole(engine, order_id, 4)


async def test_behind_an_event_that_somebody_took_away_the_chain_begins_anew_and_the_gap_is_found(
    engine: AsyncEngine,
) -> None:
    order_id = f"o-{secrets.token_hex(4)}"
    async with process_of_its_own(engine) as store:
        await begun(store, order_id, 2)
        async with engine.begin() as connection:
            await connection.execute(text("SELECT set_config('orders.events_may_change', 'delete', true)"))
            await connection.execute(text("DELETE FROM events WHERE order_id = :id AND sequence = 2"), {"id": order_id})
        await third_alone(store, order_id)
    journal = await AuditStore(engine).one(order_id)
    assert journal is not None
    assert [event.sequence for event in journal.events] == [1, 3]
    audit = Audit()
    check_events(audit, Stretch(order_id, 1, 3, None), journal.events)
    assert [(one.sequence, one.kind) for one in audit.findings] == [(2, Kind.MISSING)]


WRITERS = 4
LATE_EVENTS = 25


async def test_many_writers_of_one_order_make_one_chain_which_is_whole_whenever_it_is_looked_at(
    engine: AsyncEngine,
) -> None:
    order_id = f"o-{secrets.token_hex(4)}"

    async def write(number: int) -> None:
        async with process_of_its_own(engine) as store:
            for event in range(LATE_EVENTS):
                await store.answer_late(order_id, (late(f"e-{number}-{event}"),), NOON)

    async def look() -> int:
        looks = 0
        while not all(writer.done() for writer in writers):
            await chained(engine, order_id)
            looks += 1
        return looks

    async with process_of_its_own(engine) as store:
        await ended(store, order_id)
    writers = [asyncio.create_task(write(number)) for number in range(WRITERS)]
    looks = await look()
    await asyncio.gather(*writers)
    assert looks > 0
    await is_whole(engine, order_id, 3 + WRITERS * LATE_EVENTS)
