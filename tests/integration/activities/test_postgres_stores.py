"""The stores on a real server that fails: what is told, what is left, and that they go on afterwards."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.adapters.postgres import (
    EngineOptions,
    OrderReader,
    PostgresOrderStore,
    PostgresPaymentStore,
    create_engine,
)
from activities.adapters.postgres.engine import transaction
from activities.adapters.postgres.reader import JournalRecord
from activities.ports import DatabaseUnavailableError, PaymentClaim
from schemas.activity_io import ChargePayment, EventOutcome, OrderProjection, PublishEvents
from schemas.event_types import EventType
from schemas.inbound import InboundEvent
from schemas.order import Address, Item, OrderDetails
from schemas.outbound import OrderStateChanged
from schemas.states import InboundOutcome, OrderState, PaymentStatus, ReasonCode
from stack.endpoints import Endpoints
from tests.helpers.patience import patiently
from tests.helpers.servers.databases import migrated_engine, temporary_database
from tests.helpers.servers.proxy import Proxy
from tests.helpers.system.waiting import assert_eventually, in_time

ATTEMPT_SECONDS = 4.0
"""What an activity's attempt has."""
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
DETAILS = OrderDetails(
    payment_id="p-1",
    customer_id="c-1",
    currency="EUR",
    amount=1250,
    items=(Item(sku="a", quantity=1, unit_amount=1250),),
    address=Address(street="1 Long Road"),
)


@pytest.fixture(scope="module")
async def engine(endpoints: Endpoints) -> AsyncIterator[AsyncEngine]:
    async with migrated_engine(endpoints) as one:
        yield one


@pytest.fixture
async def proxy(endpoints: Endpoints) -> AsyncIterator[Proxy]:
    async with Proxy(f"{endpoints.db_host}:{endpoints.db_port}") as one:
        yield one


@pytest.fixture
async def proxied(engine: AsyncEngine, proxy: Proxy) -> AsyncIterator[AsyncEngine]:
    """The same database, by way of the proxy."""
    host, _, port = proxy.address.rpartition(":")
    one = create_engine(engine.url.set(host=host, port=int(port)), EngineOptions(application_name="proxied"))
    yield one
    proxy.flow()
    await one.dispose()


@pytest.fixture
def order_id() -> str:
    return f"o-{secrets.token_hex(6)}"


def batch(order_id: str, *states: OrderState, first: int = 1) -> PublishEvents:
    events = tuple(
        OrderStateChanged(order_id=order_id, sequence=sequence, state=state, occurred_at=NOON)
        for sequence, state in enumerate(states, start=first)
    )
    projection = OrderProjection(state=states[-1], details=DETAILS) if states else None
    return PublishEvents(order_id=order_id, events=events, projection=projection)


async def lock_journal(connection: Any, order_id: str) -> None:
    await connection.execute(text("INSERT INTO journals (order_id) VALUES (:id)"), {"id": order_id})


async def proxied_backends(engine: AsyncEngine, *, waiting_for_a_lock: bool = False) -> list[int]:
    statement = text(
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'proxied' "
        "AND (wait_event_type = 'Lock' OR NOT :waiting)"
    )
    async with engine.connect() as connection:
        return list((await connection.execute(statement, {"waiting": waiting_for_a_lock})).scalars())


async def test_a_connection_killed_within_a_transaction_leaves_nothing_of_it_and_the_next_attempt_succeeds(
    engine: AsyncEngine, proxied: AsyncEngine, order_id: str
) -> None:
    store = PostgresOrderStore(proxied)
    async with engine.connect() as blocking:
        # Waits behind this for the journal's row: it is then certainly within its transaction.
        await lock_journal(blocking, order_id)
        recording = asyncio.create_task(store.record(batch(order_id, OrderState.RECEIVED)))
        (pid,) = await assert_eventually(lambda: proxied_backends(engine, waiting_for_a_lock=True))
        await blocking.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
        with pytest.raises(DatabaseUnavailableError):
            await recording
        await blocking.rollback()

    assert await OrderReader(engine).journal(order_id) is None
    stored = await store.record(batch(order_id, OrderState.RECEIVED))

    assert [event.sequence for event in stored] == [1]


async def test_an_order_that_is_locked_for_long_is_told_in_time(engine: AsyncEngine, order_id: str) -> None:
    store = PostgresOrderStore(engine)
    async with engine.connect() as blocking:
        await lock_journal(blocking, order_id)
        held = "another transaction holds a lock"
        with in_time(ATTEMPT_SECONDS), pytest.raises(DatabaseUnavailableError, match=held):
            await store.record(batch(order_id, OrderState.RECEIVED))
        await blocking.rollback()

    assert await store.record(batch(order_id, OrderState.RECEIVED))


async def test_many_who_wait_for_one_order_leave_connections_to_the_others(engine: AsyncEngine, order_id: str) -> None:
    """I18: thirty late events of one order at once took all of a worker's connections."""
    small = create_engine(engine.url, EngineOptions(pool_size=2))
    store, event = PostgresOrderStore(small), InboundEvent(event_id="e", type=EventType.ORDER_APPROVED)
    unanswered: list[Exception] = []
    try:
        async with engine.connect() as blocking:
            await lock_journal(blocking, order_id)
            answer = partial(store.answer_late, order_id, (event,), NOON)
            waiting = [asyncio.create_task(patiently(answer, unanswered)) for _ in range(30)]
            await asyncio.gather(*(store.look_up(f"{order_id}-{number}") for number in range(5)))
            assert not any(one.done() for one in waiting)
            await blocking.rollback()
        outcomes = [one.outcome for answers, _ in await asyncio.gather(*waiting) for one in answers]
    finally:
        await small.dispose()
    assert outcomes.count(InboundOutcome.DUPLICATE) >= 29
    # Where it was recorded and not answered in time, it finds itself.
    assert InboundOutcome.REJECTED in outcomes or unanswered


async def test_a_database_that_is_down_is_told_and_used_once_it_is_back(
    proxied: AsyncEngine, proxy: Proxy, order_id: str
) -> None:
    store = PostgresOrderStore(proxied)
    await store.look_up(order_id)
    await proxy.refuse()
    with pytest.raises(DatabaseUnavailableError):
        await store.look_up(order_id)

    await proxy.serve()

    assert (await store.look_up(order_id)).state is None


async def test_a_database_that_hangs_is_told_in_time_by_all_and_used_once_it_goes_on(
    proxied: AsyncEngine, proxy: Proxy, order_id: str
) -> None:
    store = PostgresOrderStore(proxied)
    await store.look_up(order_id)
    proxy.stall()

    # And what the driver does, at most, about a connection that it gives up.
    with in_time(ATTEMPT_SECONDS + 2.5):
        # More than the pool has connections.
        outcomes = await asyncio.gather(
            *(store.record(batch(order_id, OrderState.RECEIVED)) for _ in range(20)), return_exceptions=True
        )

    assert {type(outcome) for outcome in outcomes} == {DatabaseUnavailableError}
    proxy.flow()

    async def works() -> bool:
        try:
            return [event.sequence for event in await store.record(batch(order_id, OrderState.RECEIVED))] == [1]
        except DatabaseUnavailableError:
            return False

    await assert_eventually(works, message="the store works again")


async def test_a_transaction_is_bounded_as_a_whole_and_its_connection_is_usable_again(engine: AsyncEngine) -> None:
    async def many_statements() -> None:
        async with transaction(engine, timedelta(seconds=0.3)) as connection:
            # Each is far within its own limit.
            for _ in range(100):
                await connection.execute(text("SELECT pg_sleep(0.05)"))

    with in_time(2), pytest.raises(DatabaseUnavailableError, match="did not answer in time"):
        await many_statements()

    async with transaction(engine) as connection:
        assert await connection.scalar(text("SELECT 1")) == 1


async def test_a_cancelled_attempt_gives_its_lock_and_its_connection_back(
    engine: AsyncEngine, proxied: AsyncEngine, order_id: str
) -> None:
    store = PostgresOrderStore(proxied)
    async with engine.connect() as blocking:
        await lock_journal(blocking, order_id)
        attempts = [asyncio.create_task(store.record(batch(order_id, OrderState.RECEIVED))) for _ in range(15)]
        await assert_eventually(lambda: proxied_backends(engine, waiting_for_a_lock=True))
        for attempt in attempts:
            attempt.cancel()
        outcomes = await asyncio.gather(*attempts, return_exceptions=True)
        await blocking.rollback()

    assert {type(outcome) for outcome in outcomes} == {asyncio.CancelledError}
    again = partial(store.record, batch(order_id, OrderState.RECEIVED))
    stored = await asyncio.gather(*(patiently(again) for _ in range(15)))
    assert [[event.sequence for event in one] for one in stored] == [[1]] * 15


async def test_idle_connections_that_the_server_closed_are_replaced_unnoticed(
    engine: AsyncEngine, proxied: AsyncEngine, order_id: str
) -> None:
    store, connections = PostgresOrderStore(proxied), list[Any]()
    event.listen(proxied.sync_engine, "connect", lambda made, _: connections.append(made.driver_connection))
    await asyncio.gather(*(store.look_up(order_id) for _ in range(5)))
    async with engine.connect() as connection:
        for pid in await proxied_backends(engine):
            await connection.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
    await assert_eventually(lambda: all(one.is_closed() for one in connections), message="the driver has read of it")

    await asyncio.gather(*(store.look_up(order_id) for _ in range(5)))


async def test_a_process_that_stops_within_a_transaction_gives_its_lock_back(
    engine: AsyncEngine, order_id: str
) -> None:
    options = EngineOptions(idle_in_transaction_timeout=timedelta(milliseconds=300))
    stopped = create_engine(engine.url, options)
    async with stopped.connect() as blocking:
        await lock_journal(blocking, order_id)

        assert await PostgresOrderStore(engine).record(batch(order_id, OrderState.RECEIVED))

        await blocking.invalidate()
    await stopped.dispose()


async def test_tables_that_are_missing_are_told_with_what_to_do(endpoints: Endpoints) -> None:
    async with temporary_database(endpoints) as url:
        empty = create_engine(url)
        with pytest.raises(DatabaseUnavailableError, match="orders migrate"):
            await PostgresOrderStore(empty).look_up("o-1")
        await empty.dispose()


@pytest.mark.parametrize(
    ("change", "meaning"),
    [({"password": "wrong-secret"}, "refused the login"), ({"database": "nowhere"}, "no such database")],
)
async def test_a_login_that_is_refused_is_told_without_the_password(
    engine: AsyncEngine, change: dict[str, Any], meaning: str
) -> None:
    refused = create_engine(engine.url.set(**change))
    if "password" in change and await _logs_in(refused):
        await refused.dispose()
        refused = create_engine(engine.url.set(username="nobody-of-this-name"))
    with pytest.raises(DatabaseUnavailableError, match=meaning) as failed:
        await PostgresOrderStore(refused).look_up("o-1")

    assert "wrong-secret" not in str(failed.value)
    await refused.dispose()


async def _logs_in(engine: AsyncEngine) -> bool:
    """Local servers may trust every local login: then only an unknown user is refused."""
    try:
        await PostgresOrderStore(engine).look_up("o-1")
    except DatabaseUnavailableError:
        return False
    return True


async def test_late_answers_move_the_rows_sequence_and_nothing_else(engine: AsyncEngine, order_id: str) -> None:
    store, reader = PostgresOrderStore(engine), OrderReader(engine)
    await store.record(batch(order_id, OrderState.RECEIVED, OrderState.CANCELLED))

    await store.answer_late(order_id, (InboundEvent(event_id="e-9", type=EventType.ORDER_APPROVED),), NOON)

    order = await reader.order(order_id)
    assert order is not None
    assert (order.state, order.last_sequence) == (OrderState.CANCELLED, 3)
    assert await reader.journal(order_id) == JournalRecord(order_id, 3, 0)


async def test_the_reader_tells_all_that_is_known_of_an_order(engine: AsyncEngine, order_id: str) -> None:
    store, reader = PostgresOrderStore(engine), OrderReader(engine)
    outcome = EventOutcome(
        event_id="e-1",
        type=EventType.ORDER_CANCELLED,
        outcome=InboundOutcome.REJECTED,
        reason=ReasonCode.ALREADY_CHARGED,
        at=NOON,
    )
    recorded = batch(order_id, OrderState.RECEIVED, OrderState.PAID).model_copy(update={"outcomes": (outcome,)})
    stored = await store.record(recorded)
    await store.mark_published(order_id, 1)
    await store.close()
    payment_id = f"p-{order_id}"
    charge = ChargePayment(order_id=order_id, payment_id=payment_id, amount=1250, currency="EUR")
    await PostgresPaymentStore(engine).claim(charge)

    order = await reader.order(order_id)

    assert order is not None
    assert (order.details, order.state, order.last_sequence) == (DETAILS, OrderState.PAID, 2)
    assert order in await reader.orders_in([OrderState.PAID])
    assert order not in await reader.orders_in([OrderState.RECEIVED])
    assert await reader.journal(order_id) == JournalRecord(order_id, 2, 1)
    assert await reader.events(order_id) == stored
    assert await reader.events(order_id, after_sequence=1) == stored[1:]
    assert await reader.events(order_id, limit=1) == stored[:1]
    assert await reader.inbound_events(order_id) == (outcome,)
    assert await reader.inbound_event(order_id, outcome.type, "e-1") == outcome
    assert await reader.inbound_event(order_id, outcome.type, "e-2") is None
    assert await reader.payment(payment_id) == PaymentClaim(
        payment_id=payment_id, order_id=order_id, amount=1250, currency="EUR", status=PaymentStatus.PENDING
    )
    assert await reader.order("o-nobody-knows") is None
    assert await reader.events("o-nobody-knows") == ()
    assert await reader.payment("p-nobody-knows") is None


async def test_a_snapshot_is_of_one_moment_though_another_run_records_in_between(
    engine: AsyncEngine, proxied: AsyncEngine, order_id: str
) -> None:
    """Two statements of a READ COMMITTED transaction saw the sequence of before, and the events decided since."""
    created = EventOutcome(event_id="e-1", type=EventType.ORDER_CREATED, outcome=InboundOutcome.APPLIED, at=NOON)
    known = batch(order_id, OrderState.RECEIVED).model_copy(update={"outcomes": (created,)})
    await PostgresOrderStore(engine).record(known)
    async with engine.connect() as another:
        await another.execute(text("LOCK TABLE inbound_events"))
        looking = asyncio.create_task(PostgresOrderStore(proxied).look_up(order_id))
        # It has read the sequence by now, and not the decided events.
        await assert_eventually(lambda: proxied_backends(engine, waiting_for_a_lock=True))
        inserted = (
            "INSERT INTO inbound_events (order_id, event_digest, event_id, type, outcome, ts) "
            "SELECT order_id, event_digest, event_id, :approved, outcome, ts FROM inbound_events WHERE order_id = :id"
        )
        await another.execute(text(inserted), {"approved": EventType.ORDER_APPROVED.value, "id": order_id})
        await another.execute(text("UPDATE journals SET last_sequence = 2 WHERE order_id = :id"), {"id": order_id})
        await another.commit()

    snapshot = await looking

    assert (snapshot.last_sequence, [one.event_id for one in snapshot.decided_events]) == (1, [created.event_id])


async def test_a_snapshot_carries_no_more_decided_ids_than_temporal_takes(
    engine: AsyncEngine, order_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("activities.adapters.postgres.orders.DECIDED_BYTES_MAX", 270)
    store = PostgresOrderStore(engine)
    outcomes = tuple(
        EventOutcome(
            event_id=f"event-{number:04}",
            type=EventType.ORDER_APPROVED,
            outcome=InboundOutcome.APPLIED,
            at=NOON + timedelta(seconds=number),
        )
        for number in range(10)
    )
    await store.record(PublishEvents(order_id=order_id, outcomes=outcomes))

    snapshot = await store.look_up(order_id)

    assert [one.event_id for one in snapshot.decided_events] == ["event-0009", "event-0008", "event-0007"]
