"""Whatever the application asks Postgres is served by an index, and no index is there for nothing.

The plans are those of a database with 200,000 orders, and of statements whose values are not known (generic plans), as
the server uses them once a statement has been executed some times.
"""

import asyncio
import importlib
import inspect
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from sqlalchemy import event
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.adapters.postgres import OrderReader, PostgresOrderStore, PostgresPaymentStore
from activities.adapters.postgres.archive import ArchiveStore, Candidate
from activities.adapters.postgres.audit import AuditStore
from activities.adapters.postgres.event_log import EventLog
from activities.adapters.postgres.figures import read_figures
from activities.adapters.postgres.forgetting import ForgettingStore
from activities.adapters.postgres.order_pages import OrderFilter, OrderSort, PagePlace
from activities.adapters.postgres.published import PublishedMarks
from activities.adapters.postgres.reader import InboundKey
from activities.adapters.postgres.schema import metadata
from bridge import Call
from orders.clients.key_store import KeyStore
from orders.clients.recorded_events import RecordedEvents
from orders.clients.session_store import SessionStore
from orders.roles import Role
from schemas.activity_io import ChargePayment, PublishEvents
from schemas.event_types import EventType
from schemas.states import OrderState, PaymentStatus
from schemas.workflow_io import LateEventInput
from stack.endpoints import Endpoints
from tests.helpers.messages.journal_entries import NOON, batch, late, outcome_of, reached
from tests.helpers.servers.databases import migrated_engine

ROOT = Path(__file__).parents[3]
ORDERS = 200_000
PAYLOAD = reached("o-any", 1, OrderState.COMPLETED).model_dump_json()
ROWS = (
    """
    INSERT INTO orders (id, state, address_json, items_json, amount, currency, customer_id, payment_id, last_sequence,
        approval_deadline, created_at, updated_at, archived_sequence)
    SELECT 'o-' || n, CASE WHEN n % 100 = 0 THEN 'VALIDATED' WHEN n % 100 = 1 THEN 'PAID' WHEN n % 10 = 2
            THEN 'CANCELLED' ELSE 'COMPLETED' END,
        '{}', '[]', 1, 'EUR', 'c-' || n / 4, 'p-' || n, 2, timestamptz '2026-01-31Z' + n * interval '1 second',
        timestamptz '2026-01-31Z' + n * interval '1 second', timestamptz '2026-01-31Z' + n * interval '2 seconds',
        CASE WHEN n % 3 > 0 THEN 2 ELSE 0 END
    FROM generate_series(1, $1::integer) n
    """,
    """
    INSERT INTO journals (order_id, last_sequence, last_published_sequence)
    SELECT 'o-' || n, 2, CASE WHEN n % 1000 = 0 THEN 1 ELSE 2 END FROM generate_series(1, $1::integer) n
    """,
    """
    INSERT INTO events (order_id, sequence, event_id, type, payload_json, ts)
    SELECT 'o-' || n, 1, 'e-' || n, 'order.state_changed', current_setting('tests.payload')::json, now()
    FROM generate_series(1, $1::integer) n
    """,
    """
    INSERT INTO inbound_events (order_id, event_digest, event_id, type, outcome, ts)
    SELECT 'o-' || n, sha256(convert_to('e-1', 'UTF8')), 'e-1', 'order.created', 'applied', now()
    FROM generate_series(1, $1::integer) n
    """,
    """
    INSERT INTO payments (payment_id, order_id, status, amount, currency)
    SELECT 'p-' || n, 'o-' || n, 'charged', 1, 'EUR' FROM generate_series(1, $1::integer) n
    """,
    """
    INSERT INTO sessions (digest, caller_id, name, role, expires_at)
    SELECT sha256(convert_to('s-' || n, 'UTF8')), 'caller-' || n / 5, 'Zoë', 'viewer', now() + interval '1 day'
    FROM generate_series(1, $1::integer / 10) n
    """,
    """
    INSERT INTO sandbox_shipments (order_id, package_id, address_json)
    SELECT 'o-' || n, 'package', '{}' FROM generate_series(1, $1::integer / 10) n
    """,
)
SMALL: dict[str, str] = {
    "api_keys": "a row for each key that somebody made: one page",
}
"""Tables that may be read whole, and why."""
PROMISES: dict[str, str] = {
    "api_keys_pkey": "no two keys have one id",
    "events_event_id_key": "no two events have one id, whoever writes them",
}
"""Indexes that nobody reads by, as what they are for is to refuse."""
LEFT_OUT = {
    "activities/adapters/sandbox.py": "the embedded provider and carrier, which no real installation has",
    "orders/installation/connections/postgres.py": "asks about rights, of the catalogue, when a person wants to know",
}
NOT_A_CALL_S = re.compile(
    r"\s*(BEGIN|COMMIT|ROLLBACK|SET|;|--|WITH RECURSIVE typeinfo)|.*\bpg_(type|catalog)\b", re.DOTALL
)
"""What the client libraries ask for themselves."""
NEWEST = PagePlace(NOON, "o-5")
ORDER_ID, NEW_ID = "o-600", "o-new"
KEY = InboundKey(ORDER_ID, "e-1", EventType.ORDER_CREATED)
DIGEST = bytes(32)
Ask = Callable[[Any], Awaitable[Any]]


def step(order_id: str, first: int, *states: OrderState) -> PublishEvents:
    events = (reached(order_id, number, state) for number, state in enumerate(states, start=first))
    return batch(order_id, *events, outcomes=(outcome_of(f"e-{first}"),))


def pages() -> list[tuple[OrderFilter, OrderSort]]:
    """What a list may ask for: each filter alone and with states, in each order."""
    ended = frozenset({OrderState.COMPLETED, OrderState.CANCELLED})
    filters: list[dict[str, Any]] = [
        {},
        {"states": ended},
        {"customer_id": "c-7"},
        {"customer_id": "c-7", "states": ended},
        {"payment_id": "p-7"},
        {"until": NOON},
        {"since": NOON, "states": frozenset({OrderState.VALIDATED})},
    ]
    return [(OrderFilter(**one), sort) for one in filters for sort in OrderSort]


async def all_pages(reader: OrderReader) -> None:
    for which, sort in pages():
        await reader.page(which, sort, after=NEWEST, limit=50)


async def recording(store: PostgresOrderStore) -> None:
    """A new order, its next event, a repeat, and a batch without events."""
    await store.record(step(NEW_ID, 1, OrderState.RECEIVED))
    await store.record(step(NEW_ID, 2, OrderState.APPROVED))
    await store.record(step(NEW_ID, 1, OrderState.RECEIVED))
    await store.record(PublishEvents(order_id=NEW_ID))
    await store.record(step(ORDER_ID, 3, OrderState.PAID))


async def publishing(store: PostgresOrderStore) -> None:
    await store.mark_published(ORDER_ID, 2)
    await store.close()


async def writing(marks: PublishedMarks) -> None:
    marks.note(ORDER_ID, 1)
    await marks.write(ORDER_ID)
    marks.note(ORDER_ID, 1)
    await marks._write_one(ORDER_ID)
    await marks.close()


async def removing(archive: ArchiveStore) -> None:
    chosen = (Candidate("o-612", NOON, 1, 2, is_published=True),)
    await archive.remove(chosen, {"o-612": {1: PAYLOAD}}, "file")


CHARGE = ChargePayment(order_id=ORDER_ID, payment_id="p-new", amount=1, currency="EUR")
LATE = Call(
    workflow="Late",
    workflow_id="late:o-600",
    task_queue="q",
    argument=LateEventInput(order_id=ORDER_ID, event=late("e-1")),
)
ASKED: dict[Any, dict[str, Ask]] = {
    OrderReader: {
        "order": lambda reader: reader.order(ORDER_ID),
        "orders_in": lambda reader: reader.orders_in([OrderState.PAID, OrderState.VALIDATED], until=NOON, limit=50),
        "page": all_pages,
        "count_by_state": lambda reader: reader.count_by_state(),
        "journal": lambda reader: reader.journal(ORDER_ID),
        "events": lambda reader: reader.events("o-601"),
        "inbound_events": lambda reader: reader.inbound_events(ORDER_ID),
        "inbound_event": lambda reader: reader.inbound_event(ORDER_ID, EventType.ORDER_CREATED, "e-1"),
        "outcomes_of": lambda reader: reader.outcomes_of([KEY]),
        "has_been": lambda reader: reader.has_been(ORDER_ID, OrderState.APPROVED),
        "payment": lambda reader: reader.payment("p-7"),
        "table_locks": lambda reader: reader.table_locks(),
    },
    EventLog: {
        "after": lambda log: log.after(100, until=200, limit=50),
        "last_position": lambda log: log.last_position(),
        "drawers": lambda log: log.drawers(),
        "who_draws": lambda log: log.who_draws(),
    },
    PostgresOrderStore: {
        "close": publishing,
        "look_up": lambda store: store.look_up("o-unknown"),
        "record": recording,
        "answer_late": lambda store: store.answer_late(NEW_ID, (late("e-9"),), NOON),
        "mark_published": publishing,
    },
    PublishedMarks: {"write": writing, "close": writing},
    PostgresPaymentStore: {
        "claim": lambda store: store.claim(CHARGE),
        "record_outcome": lambda store: store.record_outcome("p-new", PaymentStatus.CHARGED, None),
        "claim_void": lambda store: store.claim_void("p-void", ORDER_ID),
        "find": lambda store: store.find("p-new"),
    },
    ArchiveStore: {
        "candidates": lambda archive: archive.candidates(datetime.now(UTC), None, 50),
        "count": lambda archive: archive.count(datetime.now(UTC), 50),
        "documents": lambda archive: archive.documents([Candidate("o-603", NOON, 1, 2, is_published=True)]),
        "remove": removing,
    },
    AuditStore: {
        "estimate": lambda audit: audit.estimate(),
        "page": lambda audit: audit.page("", NOON, 50),
        "one": lambda audit: audit.one(ORDER_ID),
        "archived": lambda audit: audit.archived([ORDER_ID]),
        "held": lambda audit: audit.held({ORDER_ID: 1}),
        "heads": lambda audit: audit.heads("", 50),
    },
    ForgettingStore: {
        "orders_of": lambda forgetting: forgetting.orders_of("c-7", None, 50),
        "erase": lambda forgetting: forgetting.erase("o-604"),
    },
    RecordedEvents: {"settled": lambda recorded: recorded.settled([LATE])},
    KeyStore: {
        "add": lambda keys: keys.add(key_id="k", name="n", role=Role.VIEWER, digest=DIGEST, expires_at=None),
        "find": lambda keys: keys.find("k"),
        "all": lambda keys: keys.all(),
        "any_usable": lambda keys: keys.any_usable(),
        "revoke": lambda keys: keys.revoke("k"),
        "note_use": lambda keys: keys.note_use("k"),
    },
    SessionStore: {
        "add": lambda sessions: sessions.add(
            digest=DIGEST, caller_id="c", name="n", role=Role.VIEWER, api_key_id=None, lasts=timedelta(days=1)
        ),
        "find": lambda sessions: sessions.find(DIGEST),
        "end": lambda sessions: sessions.end(DIGEST),
    },
}
"""Of each class that executes statements every public method; one call of it executes all the statements it has."""
ASKED_OF_MODULES: dict[str, Ask] = {"activities.adapters.postgres.figures": read_figures}


@pytest.fixture(scope="module")
async def engine(endpoints: Endpoints) -> AsyncIterator[AsyncEngine]:
    async with migrated_engine(endpoints) as one:
        filling = await asyncpg.connect(
            host=one.url.host,
            port=one.url.port,
            user=one.url.username,
            password=one.url.password,
            database=one.url.database,
        )
        try:
            await filling.execute("SELECT set_config('tests.payload', $1, false)", PAYLOAD)
            for rows in ROWS:
                await filling.execute(rows, ORDERS)
            await filling.execute(
                "UPDATE journals SET last_published_sequence = 2 WHERE order_id IN ('o-612', 'o-604')"
            )
            await filling.execute("ANALYZE")
        finally:
            await filling.close()
        yield one


def made(kind: Any, engine: AsyncEngine) -> Any:
    return kind(engine, idle=timedelta(hours=1)) if kind is SessionStore else kind(engine)


@pytest.fixture(scope="module")
async def plans(engine: AsyncEngine) -> dict[str, list[str]]:
    """For each call the plan of each statement that it executed."""
    found = {}
    for kind, methods in ASKED.items():
        for name, ask in methods.items():
            found[f"{kind.__name__}.{name}"] = await plans_of(engine, partial(ask, made(kind, engine)))
    for name, ask in ASKED_OF_MODULES.items():
        found[name] = await plans_of(engine, partial(ask, engine))
    return found


async def plans_of(engine: AsyncEngine, call: Callable[[], Awaitable[Any]]) -> list[str]:
    """How the server plans what is asked, whatever the values are. What the call changes, it changes."""
    seen: list[tuple[str, Any]] = []

    def note(_: Connection, __: Any, statement: str, parameters: Any, ___: Any, ____: bool) -> None:
        seen.append((statement, parameters))

    def note_of_the_driver(query: Any) -> None:
        # The driver tells of all that it executes: of what SQLAlchemy hands to it, and of its own questions as well.
        if query.query not in {statement for statement, _ in seen} and not NOT_A_CALL_S.match(query.query):
            seen.append((query.query, tuple(query.args)))

    def listen(connection: Any, _: Any, __: Any) -> None:
        connection.driver_connection.add_query_logger(note_of_the_driver)

    def end(connection: Any, _: Any) -> None:
        connection.driver_connection.remove_query_logger(note_of_the_driver)

    listeners = (("before_cursor_execute", note), ("checkout", listen), ("checkin", end))
    for name, one in listeners:
        event.listen(engine.sync_engine, name, one)
    try:
        await call()
        await asyncio.sleep(0)  # The driver calls its loggers in the loop's next turn.
    finally:
        for name, one in listeners:
            event.remove(engine.sync_engine, name, one)
    planned = []
    async with engine.connect() as connection:
        await connection.exec_driver_sql("SET plan_cache_mode = force_generic_plan")
        for statement, parameters in seen:
            found = await connection.exec_driver_sql(f"EXPLAIN {statement}", parameters)
            planned.append("\n".join([statement, *found.scalars()]))
    return planned


async def test_no_large_table_is_read_whole(plans: dict[str, list[str]]) -> None:
    large = {table.name for table in metadata.sorted_tables} - SMALL.keys()
    whole = {
        f"{call} reads {table} whole:\n{plan}"
        for call, found in plans.items()
        for plan in found
        for table in re.findall(r"Seq Scan on (\w+)", plan)
        if table in large
    }
    assert not whole, "\n\n".join(sorted(whole))
    assert all(plans.values()), "each call has executed something"


async def test_every_index_serves_a_statement_or_keeps_a_promise(
    engine: AsyncEngine, plans: dict[str, list[str]]
) -> None:
    text = "\n".join(plan for found in plans.values() for plan in found)
    used = set(re.findall(r"(?:using|Bitmap Index Scan on|Conflict Arbiter Indexes:) (\w+)", text))
    tables = [table.name for table in metadata.sorted_tables if not table.name.startswith("sandbox_")]
    async with engine.connect() as connection:
        found = await connection.exec_driver_sql(
            "SELECT indexname FROM pg_indexes WHERE schemaname = 'public' AND tablename = ANY($1)", (tables,)
        )
        indexes = set(found.scalars())

    assert indexes - used - PROMISES.keys() == set(), "indexes that nothing reads"
    assert PROMISES.keys() <= indexes


async def test_a_plan_that_reads_a_table_whole_is_noticed(engine: AsyncEngine) -> None:
    async def ask() -> None:
        async with engine.connect() as connection:
            await connection.exec_driver_sql("SELECT id FROM orders WHERE tracking_id = 'x'")

    (plan,) = await plans_of(engine, ask)

    assert "Seq Scan on orders" in plan


def test_the_calls_are_all_that_the_application_has() -> None:
    for kind, methods in ASKED.items():
        public = {
            name for name, one in vars(kind).items() if inspect.iscoroutinefunction(one) and not name.startswith("_")
        }
        assert set(methods) == public, kind
    for name, asked in ASKED_OF_MODULES.items():
        functions = {one for one in vars(importlib.import_module(name)).values() if is_of(one, name)}
        assert functions == {asked}
    modules = {kind.__module__ for kind in ASKED} | ASKED_OF_MODULES.keys()
    assert executing_modules() == modules


def is_of(function: Any, module: str) -> bool:
    return inspect.iscoroutinefunction(function) and function.__module__ == module


def executing_modules() -> set[str]:
    """Every module of ours that takes a connection."""
    taking = re.compile(
        r"import .*\b(single_statements|transaction)\b|^    (single_statements|transaction),|driver import fetch",
        re.MULTILINE,
    )
    found = set()
    for folder in ("activities", "orders"):
        for path in (ROOT / folder).rglob("*.py"):
            name = str(path.relative_to(ROOT))
            if name not in LEFT_OUT and taking.search(path.read_text()):
                found.add(name.removesuffix(".py").replace("/", "."))
    return found
