"""Which late events the bridge need not call for, on a real Postgres: exact repeats of what is recorded."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.adapters.postgres import PostgresOrderStore
from bridge import Call
from orders.clients.recorded_events import RecordedEvents
from orders.mapping import OrderMapping
from schemas.event_types import EventType
from schemas.inbound import InboundEvent
from stack.endpoints import Endpoints
from tests.helpers.messages.journal_entries import NOON, ended
from tests.helpers.servers.databases import migrated_engine

ORDER = "o-1"
MAPPING = OrderMapping({"topic": EventType.ORDER_CANCELLED})
RECORDED = InboundEvent(
    event_id="e-9",
    type=EventType.ORDER_CANCELLED,
    occurred_at=NOON,
    body={"order_id": ORDER, "cancelled_by": "c-42", "reason": "ordered twice"},
)


@pytest.fixture
async def engine(endpoints: Endpoints) -> AsyncIterator[AsyncEngine]:
    """With an order that is over, and one late event of it that was answered."""
    async with migrated_engine(endpoints) as one:
        store = PostgresOrderStore(one)
        await ended(store, ORDER)
        await store.answer_late(ORDER, (RECORDED,), NOON)
        yield one


def late_call(event: InboundEvent, order_id: str = ORDER) -> Call:
    """As the bridge makes it of a record."""
    late = MAPPING.call_for(order_id, EventType(event.type), event).when_closed
    assert callable(late)
    call = late()
    assert isinstance(call, Call)
    return call


def with_body(**fields: object) -> InboundEvent:
    return RECORDED.model_copy(update={"body": RECORDED.body | fields})


async def test_an_exact_repeat_is_settled_however_it_is_written(engine: AsyncEngine) -> None:
    repeats = [
        RECORDED,
        RECORDED.model_copy(update={"occurred_at": NOON + timedelta(hours=1)}),
        RECORDED.model_copy(update={"body": dict(reversed(RECORDED.body.items()))}),
        with_body(event_id="e-9"),
    ]
    assert await RecordedEvents(engine).settled([late_call(one) for one in repeats]) == [True] * 4


async def test_an_event_with_another_body_is_left_to_the_workflow(engine: AsyncEngine) -> None:
    """Same order, id and type: only the fingerprint tells that it is no repeat."""
    others = [with_body(reason="damaged"), with_body(cancelled_by="c-43"), with_body(reason=None)]
    answers = await RecordedEvents(engine).settled([late_call(one) for one in [*others, RECORDED]])
    assert answers == [False, False, False, True]


async def test_an_event_of_another_order_id_or_type_is_left_to_the_workflow(engine: AsyncEngine) -> None:
    calls = [
        late_call(RECORDED, "o-2"),
        late_call(RECORDED.model_copy(update={"event_id": "e-10"})),
        late_call(RECORDED.model_copy(update={"type": EventType.ORDER_APPROVED})),
        Call("AnotherWorkflow", "w", "tq", argument=7),
    ]
    assert await RecordedEvents(engine).settled(calls) == [False] * 4


async def test_a_row_from_before_there_were_fingerprints_compares_the_id_and_the_type(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE inbound_events SET body_digest = NULL"))
    assert await RecordedEvents(engine).settled([late_call(with_body(reason="damaged"))]) == [True]
