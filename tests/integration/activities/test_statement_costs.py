"""What the stores cost on a real server, counted on the wire: transactions and round trips, exactly.

A change that makes an order dearer fails here.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.adapters.postgres import OrderReader, PostgresOrderStore, PostgresPaymentStore, create_engine
from activities.adapters.postgres.published import PublishedMarks
from schemas.activity_io import ChargePayment, OrderProjection, PublishEvents
from schemas.order import Address
from schemas.outbound import OrderAddressChanged
from schemas.states import OrderState, PaymentStatus
from stack.endpoints import Endpoints
from tests.helpers.messages.journal_entries import DETAILS, NOON, batch, ended, late, outcome_of, reached
from tests.helpers.servers.databases import migrated_engine
from tests.helpers.servers.postgres_traffic import Cost, PostgresTraffic
from tests.helpers.system.waiting import assert_eventually

ONE = Cost(transactions=1, round_trips=1)


@pytest.fixture(scope="module")
async def database(endpoints: Endpoints) -> AsyncIterator[AsyncEngine]:
    async with migrated_engine(endpoints) as one:
        yield one


@pytest.fixture
async def traffic(endpoints: Endpoints) -> AsyncIterator[PostgresTraffic]:
    async with PostgresTraffic(f"{endpoints.db_host}:{endpoints.db_port}") as one:
        yield one


@pytest.fixture
async def engine(database: AsyncEngine, traffic: PostgresTraffic) -> AsyncIterator[AsyncEngine]:
    """The same database, by way of the traffic that is counted."""
    host, _, port = traffic.address.rpartition(":")
    one = create_engine(database.url.set(host=host, port=int(port)))
    # What a connection costs is not what is counted here.
    async with one.connect():
        pass
    yield one
    await one.dispose()


@pytest.fixture
def order_id() -> str:
    return f"o-{secrets.token_hex(6)}"


Measure = Callable[[Awaitable[object]], Awaitable[Cost]]


@pytest.fixture
def cost(traffic: PostgresTraffic) -> Measure:
    """Awaits something and says what it cost."""

    async def measured(done: Awaitable[object]) -> Cost:
        before = len(traffic.transactions)
        await done
        return Cost.of(traffic.since(before))

    return measured


def step(order_id: str, *states: OrderState, first: int) -> PublishEvents:
    return batch(order_id, *(reached(order_id, number, state) for number, state in enumerate(states, start=first)))


async def test_a_happy_orders_records_take_a_round_trip_each_and_so_do_its_payment_and_its_last_note(
    engine: AsyncEngine, traffic: PostgresTraffic, order_id: str
) -> None:
    orders, payments = PostgresOrderStore(engine), PostgresPaymentStore(engine)
    charge = ChargePayment(order_id=order_id, payment_id=order_id, amount=1250, currency="EUR")
    before = len(traffic.transactions)

    last = 0
    for states in (
        (OrderState.RECEIVED, OrderState.VALIDATED),
        (OrderState.APPROVED,),
        (OrderState.PAID,),
        (OrderState.PACKAGE_PREPARED, OrderState.CARRIER_DISPATCHED, OrderState.SHIPPED, OrderState.COMPLETED),
    ):
        if states == (OrderState.PAID,):
            await payments.claim(charge)
            await payments.record_outcome(order_id, PaymentStatus.CHARGED, None)
        stored = await orders.record(step(order_id, *states, first=last + 1))
        assert [event.sequence for event in stored] == list(range(last + 1, last + len(states) + 1))
        last += len(states)
        await orders.mark_published(order_id, last)

    assert Cost.of(traffic.since(before)) == Cost(transactions=7, round_trips=7)
    journal = await OrderReader(engine).journal(order_id)
    assert journal is not None
    assert (journal.last_sequence, journal.last_published_sequence) == (8, 8)


async def test_looking_an_order_up_takes_one_round_trip_where_it_is_new(
    engine: AsyncEngine, cost: Measure, order_id: str
) -> None:
    store = PostgresOrderStore(engine)

    assert await cost(store.look_up(order_id)) == ONE
    await store.record(step(order_id, OrderState.RECEIVED, first=1))
    # One that is interrupted: again, between BEGIN and COMMIT, with the events that were decided.
    assert await cost(store.look_up(order_id)) == Cost(transactions=2, round_trips=5)


async def test_a_repeat_and_a_batch_that_is_new_in_part_take_a_transaction_that_looks(
    engine: AsyncEngine, cost: Measure, order_id: str
) -> None:
    store = PostgresOrderStore(engine)
    await store.record(step(order_id, OrderState.RECEIVED, first=1))

    repeated = step(order_id, OrderState.RECEIVED, OrderState.VALIDATED, first=1)
    # The attempt that finds it there; then BEGIN, the lock, what is there, what is new, what is unpublished, COMMIT.
    assert await cost(store.record(repeated)) == Cost(transactions=2, round_trips=7)
    assert await cost(store.record(PublishEvents(order_id=order_id))) == Cost(transactions=1, round_trips=5)


async def test_a_late_event_takes_one_transaction(engine: AsyncEngine, cost: Measure, order_id: str) -> None:
    store = PostgresOrderStore(engine)
    await ended(store, order_id)

    assert await cost(store.answer_late(order_id, (late("e-9"),), NOON)) == Cost(transactions=1, round_trips=7)
    assert await cost(store.answer_late(order_id, (late("e-9"),), NOON)) == Cost(transactions=1, round_trips=6)


async def test_a_payments_claim_and_its_outcome_take_a_round_trip_each(
    engine: AsyncEngine, cost: Measure, order_id: str
) -> None:
    store = PostgresPaymentStore(engine)
    charge = ChargePayment(order_id=order_id, payment_id=order_id, amount=1, currency="EUR")

    assert await cost(store.claim(charge)) == ONE
    assert await cost(store.claim(charge)) == ONE
    assert await cost(store.record_outcome(order_id, PaymentStatus.CHARGED, None)) == ONE
    assert await cost(store.find(order_id)) == ONE
    assert await cost(store.claim_void(order_id, order_id)) == ONE
    # Charged already: the row does not move, and is read.
    again = await cost(store.record_outcome(order_id, PaymentStatus.DECLINED, None))
    assert again == Cost(transactions=2, round_trips=2)


async def test_how_far_many_orders_are_published_is_written_at_once(
    database: AsyncEngine, engine: AsyncEngine, traffic: PostgresTraffic, order_id: str
) -> None:
    store, ids = PostgresOrderStore(database), [f"{order_id}-{number}" for number in range(50)]
    for one in ids:
        await store.record(step(one, OrderState.RECEIVED, OrderState.VALIDATED, first=1))
    marks = PublishedMarks(engine, timedelta(milliseconds=200))
    before = len(traffic.transactions)

    for one in ids:
        marks.note(one, 1)
    await assert_eventually(lambda: not any(marks.of(one) for one in ids), message="all notes are written")
    for one in ids:
        marks.note(one, 2)
    await asyncio.gather(*(marks.write(one) for one in ids))

    assert Cost.of(traffic.since(before)) == Cost(transactions=2, round_trips=2)
    journals = [await OrderReader(database).journal(one) for one in ids]
    assert {one.last_published_sequence for one in journals if one is not None} == {2}
    await marks.close()


async def test_a_note_goes_along_with_the_orders_next_record(engine: AsyncEngine, cost: Measure, order_id: str) -> None:
    store, reader = PostgresOrderStore(engine), OrderReader(engine)
    await store.record(step(order_id, OrderState.RECEIVED, first=1))

    assert await cost(store.mark_published(order_id, 1)) == Cost(transactions=0, round_trips=0)
    assert await cost(store.record(step(order_id, OrderState.VALIDATED, first=2))) == ONE
    journal = await reader.journal(order_id)
    assert journal is not None
    assert (journal.last_sequence, journal.last_published_sequence) == (2, 1)


async def test_an_order_that_somebody_holds_keeps_the_notes_of_no_other_from_being_written(
    database: AsyncEngine, order_id: str
) -> None:
    store, held = PostgresOrderStore(database), f"{order_id}-held"
    for one in (order_id, held):
        await store.record(step(one, OrderState.RECEIVED, first=1))
    marks = PublishedMarks(database)
    marks.note(held, 1)
    marks.note(order_id, 1)
    async with database.connect() as blocking:
        await blocking.execute(text("SELECT FROM journals WHERE order_id = :id FOR UPDATE"), {"id": held})
        await marks.write(order_id)
        assert (marks.of(order_id), marks.of(held)) == (0, 1)
        await blocking.rollback()

    # And the end waits for nothing but what is still noted.
    await marks.close()
    assert marks.of(held) == 0
    journal = await OrderReader(database).journal(held)
    assert journal is not None
    assert journal.last_published_sequence == 1


async def test_what_does_not_change_in_a_transition_is_not_sent_again(
    engine: AsyncEngine, traffic: PostgresTraffic, order_id: str
) -> None:
    store, reader = PostgresOrderStore(engine), OrderReader(engine)
    await store.record(step(order_id, OrderState.RECEIVED, OrderState.VALIDATED, first=1))
    before = len(traffic.transactions)
    await store.record(step(order_id, OrderState.APPROVED, first=3))
    # And then what an earlier batch left unpublished.
    recorded, *_ = traffic.since(before)
    assert not recorded.touches("items_json")

    moved = DETAILS.model_copy(update={"address": Address(street="2 Short Lane")})
    changed = OrderAddressChanged(
        order_id=order_id,
        sequence=4,
        previous_state=OrderState.APPROVED,
        state=OrderState.APPROVED,
        occurred_at=NOON,
        address=moved.address,
    )
    projection = OrderProjection(state=OrderState.APPROVED, details=moved, address_updated_at=NOON)
    outcomes = (outcome_of("e-4"),)
    await store.record(PublishEvents(order_id=order_id, events=(changed,), projection=projection, outcomes=outcomes))

    order = await reader.order(order_id)
    assert order is not None
    assert (order.details, order.state, order.last_sequence) == (moved, OrderState.APPROVED, 4)


async def test_a_row_that_is_missing_is_written_whole_whatever_the_transition(
    engine: AsyncEngine, order_id: str
) -> None:
    store, reader = PostgresOrderStore(engine), OrderReader(engine)
    await store.answer_late(order_id, (late("e-1"),), NOON)

    await store.record(step(order_id, OrderState.APPROVED, first=2))

    order = await reader.order(order_id)
    assert order is not None
    assert (order.details, order.state, order.last_sequence) == (DETAILS, OrderState.APPROVED, 2)
