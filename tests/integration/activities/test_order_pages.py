"""Lists of orders on a real server: each page after page, whole and without a repeat, and served by its index."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import event, text
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.adapters.postgres import OrderReader, PostgresOrderStore
from activities.adapters.postgres.order_pages import OrderFilter, OrderSort, PagePlace, place_of
from activities.adapters.postgres.reader import InboundKey
from schemas.activity_io import EventOutcome, OrderProjection, PublishEvents
from schemas.event_types import EventType
from schemas.order import OrderDetails
from schemas.states import InboundOutcome, OrderState, ReasonCode
from stack.endpoints import Endpoints
from tests.helpers.messages.journal_entries import NOON, reached
from tests.helpers.servers.databases import migrated_engine

DAY = datetime(2026, 1, 31, tzinfo=UTC)
LONG_ID = "c" * 64
STATES = [OrderState.VALIDATED, OrderState.COMPLETED, OrderState.CANCELLED]
ROWS = """
INSERT INTO orders (id, state, address_json, items_json, amount, currency, customer_id, payment_id, last_sequence,
                    approval_deadline, created_at, updated_at)
SELECT 'o-' || lpad(n::text, 5, '0'), (ARRAY['VALIDATED', 'COMPLETED', 'CANCELLED'])[1 + n % 3], '{}', '[]', 1, 'EUR',
       CASE WHEN n % 4 < 3 THEN CAST(:long_id AS text) || n % 4 END, 'p-' || n % 50, 2,
       -- Several at once, and of an earlier version none at all.
       CASE WHEN n % 5 > 0 THEN CAST(:day AS timestamptz) + (1000 - n / 10) * interval '1 minute' END,
       CAST(:day AS timestamptz) + (n / 7) * interval '1 minute',
       CAST(:day AS timestamptz) + (n / 3) * interval '1 second'
FROM generate_series(1, CAST(:rows AS integer)) n
"""
ROW_COUNT = 300
MANY_ROWS = 30_000
ORDER_BY = {
    OrderSort.NEWEST: "created_at DESC, id DESC",
    OrderSort.LONGEST_WAITING: "updated_at, id",
    OrderSort.APPROVAL_DEADLINE: "coalesce(approval_deadline, updated_at), id",
}
PAGE = 7


@pytest.fixture(scope="module")
async def engine(endpoints: Endpoints) -> AsyncIterator[AsyncEngine]:
    async with migrated_engine(endpoints) as one:
        async with one.begin() as connection:
            await connection.execute(text(ROWS), {"long_id": LONG_ID, "day": DAY, "rows": ROW_COUNT})
        yield one


async def ids_of(engine: AsyncEngine, which: OrderFilter, sort: OrderSort) -> list[str]:
    """All orders of a list, page after page."""
    reader = OrderReader(engine)
    found: list[str] = []
    after: PagePlace | None = None
    while True:
        page = await reader.page(which, sort, after=after, limit=PAGE)
        found += [order.order_id for order in page]
        if len(page) < PAGE:
            return found
        after = place_of(page[-1], sort)


async def expected(engine: AsyncEngine, condition: str, sort: OrderSort) -> list[str]:
    awaiting = "state = 'VALIDATED'" if sort is OrderSort.APPROVAL_DEADLINE else "true"
    statement = f"SELECT id FROM orders WHERE {condition} AND {awaiting} ORDER BY {ORDER_BY[sort]}"  # noqa: S608 -- ours
    async with engine.connect() as connection:
        return list((await connection.execute(text(statement))).scalars())


FILTERS: dict[str, OrderFilter] = {
    "true": OrderFilter(),
    "state IN ('COMPLETED', 'CANCELLED')": OrderFilter(states=frozenset({OrderState.COMPLETED, OrderState.CANCELLED})),
    "state = 'VALIDATED'": OrderFilter(states=frozenset({OrderState.VALIDATED})),
    "state = 'EXPIRED'": OrderFilter(states=frozenset({OrderState.EXPIRED})),
    "payment_id = 'p-7'": OrderFilter(payment_id="p-7"),
    f"customer_id = '{LONG_ID}2'": OrderFilter(customer_id=f"{LONG_ID}2"),
    f"customer_id = '{LONG_ID}2' AND state = 'VALIDATED'": OrderFilter(
        customer_id=f"{LONG_ID}2", states=frozenset({OrderState.VALIDATED})
    ),
    "customer_id = 'nobody'": OrderFilter(customer_id="nobody"),
    "customer_id = 'o''; --'": OrderFilter(customer_id="o'; --"),
    "updated_at < '2026-01-31T00:01:00Z'": OrderFilter(until=DAY + timedelta(minutes=1)),
    "created_at >= '2026-01-31T00:10:00Z'": OrderFilter(since=DAY + timedelta(minutes=10)),
}


@pytest.mark.parametrize("sort", OrderSort)
@pytest.mark.parametrize("condition", FILTERS)
async def test_a_list_is_whole_and_in_its_order_page_after_page(
    engine: AsyncEngine, condition: str, sort: OrderSort
) -> None:
    assert await ids_of(engine, FILTERS[condition], sort) == await expected(engine, condition, sort)


async def test_the_filters_take_some_of_the_orders_and_not_all(engine: AsyncEngine) -> None:
    counts = {name: len(await ids_of(engine, which, OrderSort.NEWEST)) for name, which in FILTERS.items()}
    assert counts.pop("true") == ROW_COUNT
    empty = {name for name, count in counts.items() if count == 0}
    assert empty == {"state = 'EXPIRED'", "customer_id = 'nobody'", "customer_id = 'o''; --'"}
    assert max(counts.values()) < ROW_COUNT


async def test_an_order_that_changes_between_two_pages_moves_no_other(endpoints: Endpoints) -> None:
    sort = OrderSort.APPROVAL_DEADLINE
    async with migrated_engine(endpoints) as engine:
        async with engine.begin() as connection:
            await connection.execute(text(ROWS), {"long_id": LONG_ID, "day": DAY, "rows": 60})
        reader = OrderReader(engine)
        first = await reader.page(OrderFilter(), sort, limit=PAGE)
        async with engine.begin() as connection:
            gone = [one.order_id for one in first[:5]]
            await connection.execute(text("UPDATE orders SET state = 'APPROVED' WHERE id = ANY(:gone)"), {"gone": gone})

        second = await reader.page(OrderFilter(), sort, after=place_of(first[-1], sort), limit=100)

    assert len(first) + len(second) == 20


async def test_orders_are_counted_by_state_up_to_a_bound(engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    reader, third = OrderReader(engine), ROW_COUNT // 3
    assert await reader.count_by_state() == dict.fromkeys(OrderState, 0) | dict.fromkeys(STATES, third)
    assert await reader.count_by_state([OrderState.VALIDATED]) == {OrderState.VALIDATED: third}
    monkeypatch.setattr("activities.adapters.postgres.reader.COUNT_MAX", 40)
    assert await reader.count_by_state(STATES) == dict.fromkeys(STATES, 40)


@pytest.mark.parametrize("customer_id", ["\N{GRINNING FACE}" * 1_000, None])
async def test_an_order_whose_customer_s_id_is_longer_than_an_index_takes_is_kept_and_found(
    engine: AsyncEngine, customer_id: str | None
) -> None:
    store, reader = PostgresOrderStore(engine), OrderReader(engine)
    order_id = f"long-{customer_id is None}"
    details = OrderDetails(payment_id="p-long", customer_id=customer_id)
    projection = OrderProjection(state=OrderState.RECEIVED, details=details)
    event_of = reached(order_id, 1, OrderState.RECEIVED)
    await store.record(PublishEvents(order_id=order_id, events=(event_of,), projection=projection))

    found = await reader.page(OrderFilter(customer_id=customer_id), OrderSort.NEWEST, limit=1)
    assert [one.order_id for one in found] == [order_id]
    async with engine.begin() as connection:
        await connection.execute(text("DELETE FROM orders WHERE id = :id"), {"id": order_id})


async def test_the_row_says_until_when_approval_was_awaited_and_who_decided(engine: AsyncEngine) -> None:
    store, reader = PostgresOrderStore(engine), OrderReader(engine)
    projection = OrderProjection(
        state=OrderState.APPROVED,
        details=OrderDetails(payment_id="p-1"),
        approval_deadline=NOON,
        decided_by="Zoë",
    )
    event = reached("decided", 1, OrderState.APPROVED)
    await store.record(PublishEvents(order_id="decided", events=(event,), projection=projection))

    order = await reader.order("decided")

    assert order is not None
    assert (order.approval_deadline, order.decided_by) == (NOON, "Zoë")
    async with engine.begin() as connection:
        await connection.execute(text("DELETE FROM orders WHERE id = 'decided'"))


def outcome(event_id: str, event_type: EventType, *, digest: str | None = None, second: int = 0) -> EventOutcome:
    return EventOutcome(
        event_id=event_id,
        type=event_type,
        outcome=InboundOutcome.REJECTED,
        reason=ReasonCode.ORDER_CHANGED,
        at=NOON + timedelta(seconds=second),
        body_digest=digest,
        sequence=None if digest is None else 7,
    )


async def test_what_became_of_many_events_is_found_at_once(engine: AsyncEngine) -> None:
    store, reader = PostgresOrderStore(engine), OrderReader(engine)
    one = outcome("e-1", EventType.ORDER_APPROVED, digest="ab" * 32)
    same_id = outcome("e-1", EventType.ORDER_CANCELLED, second=1)
    await store.record(PublishEvents(order_id="o-a", outcomes=(same_id, one)))
    await store.record(PublishEvents(order_id="o-b", outcomes=(one,)))

    keys = [
        InboundKey(order_id, event_id, event_type)
        for order_id in ("o-a", "o-b", "o-c")
        for event_id in ("e-1", "e-2")
        for event_type in EventType
    ]
    assert await reader.outcomes_of(keys) == {
        InboundKey("o-a", "e-1", EventType.ORDER_APPROVED): one,
        InboundKey("o-a", "e-1", EventType.ORDER_CANCELLED): same_id,
        InboundKey("o-b", "e-1", EventType.ORDER_APPROVED): one,
    }
    assert await reader.outcomes_of([]) == {}


async def test_each_list_is_read_by_its_index_where_orders_are_many(endpoints: Endpoints) -> None:
    async with migrated_engine(endpoints) as engine:
        async with engine.begin() as connection:
            await connection.execute(text("SET LOCAL statement_timeout = 0"))
            await connection.execute(text(ROWS), {"long_id": LONG_ID, "day": DAY, "rows": MANY_ROWS})
            await connection.execute(text("ANALYZE orders"))
        place = PagePlace(DAY + timedelta(minutes=900), "o-00001")
        asked: dict[str, tuple[OrderFilter, OrderSort]] = {
            "orders_awaiting_approval": (OrderFilter(), OrderSort.APPROVAL_DEADLINE),
            "orders_by_state_and_creation": (OrderFilter(), OrderSort.NEWEST),
            "orders_by_state": (OrderFilter(states=frozenset(STATES[1:])), OrderSort.LONGEST_WAITING),
            "orders_by_customer": (OrderFilter(customer_id=f"{LONG_ID}1"), OrderSort.NEWEST),
            "orders_by_payment": (OrderFilter(payment_id="p-7"), OrderSort.NEWEST),
        }
        plans = {
            name: await _plan_of(engine, partial(OrderReader(engine).page, *one, after=place, limit=50))
            for name, one in asked.items()
        }

    for name, plan in plans.items():
        assert name in plan, plan
        assert "Seq Scan" not in plan, plan


async def _plan_of(engine: AsyncEngine, ask: Callable[[], Awaitable[Any]]) -> str:
    """How the server plans what is asked: the very statement, with the values that it has."""
    seen: list[tuple[str, Any]] = []

    def note(_: Connection, __: Any, statement: str, parameters: Any, ___: Any, ____: bool) -> None:
        seen.append((statement, parameters))

    event.listen(engine.sync_engine, "before_cursor_execute", note)
    try:
        await ask()
    finally:
        event.remove(engine.sync_engine, "before_cursor_execute", note)
    (statement, parameters), *_ = [one for one in seen if "orders" in one[0]]
    async with engine.connect() as connection:
        await connection.exec_driver_sql("SET plan_cache_mode = force_generic_plan")
        found = await connection.exec_driver_sql(f"EXPLAIN {statement}", parameters)
        return "\n".join(found.scalars())
