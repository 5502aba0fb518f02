"""Postgres or Kafka goes away in the middle of a record, or the worker dies: it is done once, and is seen to wait."""

import secrets
from collections.abc import AsyncIterator, Callable

import pytest

from schemas.event_types import EventType
from schemas.states import OrderState
from stack import Endpoints
from tests.e2e.test_main_job import COMPLETED_PATH, rejections_of
from tests.faults.drivers.record_outages import WITHIN_SECONDS, MidRecord, RecordOutages, record_outages
from tests.helpers.servers.postgres_moments import Moment
from tests.helpers.system.waiting import assert_eventually

IN_POSTGRES = {
    "the first record is on its way": MidRecord(OrderState.VALIDATED, Moment.ON_ITS_WAY),
    "the first record is committed and not answered": MidRecord(OrderState.VALIDATED, Moment.NOT_ANSWERED),
    "APPROVED is committed and not answered": MidRecord(OrderState.APPROVED, Moment.NOT_ANSWERED),
    "PAID is repeated, and not committed": MidRecord(OrderState.PAID, Moment.BEFORE_COMMIT),
    "the last record is on its way": MidRecord(OrderState.COMPLETED, Moment.ON_ITS_WAY),
    "the last record is committed and not answered": MidRecord(OrderState.COMPLETED, Moment.NOT_ANSWERED),
}
BEFORE_KAFKA = [OrderState.VALIDATED, OrderState.APPROVED, OrderState.COMPLETED]
"""The records between which and Kafka something happens."""
POSTGRES_IS_AWAY = "the database"
KAFKA_IS_AWAY = "Kafka did not acknowledge"


@pytest.fixture(scope="module")
async def room(endpoints: Endpoints, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RecordOutages]:
    async with record_outages(endpoints, tmp_path_factory.mktemp("records")) as one:
        yield one


async def completed(room: RecordOutages, order_id: str) -> None:
    await room.system.wait_until_states(order_id, *COMPLETED_PATH, within_seconds=WITHIN_SECONDS)


@pytest.mark.parametrize("at", IN_POSTGRES.values(), ids=IN_POSTGRES)
async def test_postgres_goes_away_in_the_middle_of_a_record(room: RecordOutages, at: MidRecord) -> None:
    order_id = await room.stopped_order(at, room.postgres_goes_away)
    await room.waits_in_plain_sight(order_id, POSTGRES_IS_AWAY)
    await room.takes_what_it_is_told(order_id)
    await room.postgres.serve()
    await completed(room, order_id)
    await room.all_is_well()
    assert await room.spoiled_tasks(order_id) == []


@pytest.mark.parametrize("state", BEFORE_KAFKA)
async def test_kafka_goes_away_between_a_record_and_its_events(room: RecordOutages, state: OrderState) -> None:
    order_id = await room.stopped_order(MidRecord(state, Moment.NOT_ANSWERED), room.kafka.refuse)
    known = await room.waits_in_plain_sight(order_id, KAFKA_IS_AWAY)
    assert state in [event["state"] for event in known["database"]["events"]], "it is recorded"
    charged = order_id in room.charged_orders()
    assert charged == (state is OrderState.COMPLETED), "nothing is charged before what led to it is published"
    await room.takes_what_it_is_told(order_id)
    published = (await room.system.evidence()).states_of(order_id)
    assert published == [*COMPLETED_PATH[: len(published)]], "what is published is a beginning of its life"
    assert state not in published
    await room.kafka.serve()
    await completed(room, order_id)
    await room.all_is_well()
    assert await room.spoiled_tasks(order_id) == []


async def test_a_worker_that_dies_in_each_of_these_moments_leaves_nothing_undone_and_nothing_done_twice(
    room: RecordOutages,
) -> None:
    """The orders of the earlier deaths are under way as the later workers die."""
    orders = []
    for at in IN_POSTGRES.values():
        orders.append(await room.stopped_order(at, room.worker_dies))
        await room.another_worker()
    for lose in (room.kafka.stall, room.kafka.mute):
        # Its event is on its way to Kafka; and Kafka has it, and its acknowledgement is on its way back.
        orders.append(await order_at_kafka(room, lose))
        await room.worker.kill9()
        await room.kafka.drop()
        room.kafka.flow()
        await room.another_worker()
    for order_id in orders:
        await completed(room, order_id)
    await room.all_is_well()
    _, again = (await room.system.evidence()).repeats()
    assert again > 0, "whoever dies before Kafka's acknowledgement publishes again: else nothing was tested"


async def order_at_kafka(room: RecordOutages, lose: Callable[[], None]) -> str:
    """An order whose last events are recorded, and are on their way to Kafka, or from there, when this returns."""

    async def hold() -> None:
        lose()

    order_id = await room.stopped_order(MidRecord(OrderState.COMPLETED, Moment.NOT_ANSWERED), hold)
    await assert_eventually(lambda: room.kafka.held_back > 0, WITHIN_SECONDS, "something on its way")
    return order_id


async def test_a_late_answer_is_recorded_once_though_postgres_goes_away_and_the_worker_dies_before_its_commit(
    room: RecordOutages,
) -> None:
    order_id = f"o-{secrets.token_hex(6)}"
    await room.send_order(order_id)
    await completed(room, order_id)
    await room.system.wait_until_idle(WITHIN_SECONDS)
    rejected = []
    for then in (room.postgres_goes_away, room.worker_dies):
        stop = room.postgres.stop_at(Moment.BEFORE_COMMIT, order_id, then=then)
        await room.tell(EventType.ORDER_APPROVED, order_id, note=then.__name__)
        await room.reached(stop, order_id)
        rejected.append(("order.approved", "order_closed"))
        if then == room.worker_dies:
            await room.another_worker()
        else:
            known = await room.waits_in_plain_sight(order_id, POSTGRES_IS_AWAY)
            (late,) = [run for run in known["temporal"]["open_runs"] if run["pending"]]
            assert late["workflow_id"].startswith(f"late:{order_id}:")
            await room.postgres.serve()
        await room.all_is_well()
        assert rejections_of(await room.system.evidence(), order_id) == rejected
