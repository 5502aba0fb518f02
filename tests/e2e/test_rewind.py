"""A group that is rewound over orders that are over: what was recorded before costs look-ups, and starts nothing."""

import secrets
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest

from schemas.event_types import EventType
from stack import Endpoints
from tests.helpers.checker.evidence import Evidence, Run
from tests.helpers.messages.kafka_io import Outgoing, group_offsets
from tests.helpers.messages.messages import message_of
from tests.helpers.system.processes import free_port
from tests.helpers.system.system import OrderSystem, order_system

ORDERS, UPDATES = 10, 50
RECORDS = ORDERS * (UPDATES + 2)
LATE_RUNS = 'WorkflowType = "LateEventWorkflow"'


@pytest.fixture(scope="module")
async def system(endpoints: Endpoints, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[OrderSystem]:
    """Orders that are over, and all of whose events are recorded."""
    folder = tmp_path_factory.mktemp("rewound")
    async with order_system(endpoints, folder, ORDER_APPROVAL_TIMEOUT_SECONDS="600") as running:
        orders = [f"o-{secrets.token_hex(6)}" for _ in range(ORDERS)]
        for event_type, times, fields in (
            (EventType.ORDER_CREATED, 1, {"payment_id": "p-1"}),
            (EventType.ORDER_ADDRESS_UPDATED, UPDATES, {"address": {"city": "Utrecht"}}),
            (EventType.ORDER_CANCELLED, 1, {}),
        ):
            for _ in range(times):
                await running.produce([record(running, event_type, order_id, **fields) for order_id in orders])
            await running.wait_until_drained()
        await running.wait_until_idle()
        assert len((await running.evidence()).inbound) == RECORDS
        assert await running.runs(LATE_RUNS) == []
        await running.running("bridge").terminate()
        yield running


def record(system: OrderSystem, event_type: EventType, order_id: str, **fields: object) -> Outgoing:
    message = message_of(event_type, {"order_id": order_id, **fields})
    return Outgoing(system.topic_of(event_type), message.value, message.key)


async def read_again(system: OrderSystem, *, begun: int = 0, **settings: str) -> str:
    """Has a bridge of another group read the topics, which is what a rewind comes to; returns its log.

    Args:
        system: whose topics.
        begun: how many runs come of it, which are over when this returns. Temporal lists a run some moments late.
        settings: of the bridge.
    """
    known = len(await system.runs())
    group_id = f"{system.group_id}-{secrets.token_hex(3)}"
    bridge = system.start("bridge", "bridge", expect_end=False, BRIDGE_GROUP_ID=group_id, **settings)

    async def drained() -> bool:
        offsets = await group_offsets(system.endpoints.kafka_bootstrap_servers, group_id, list(system.input_topics))
        return all(partition.drained for partition in offsets)

    await system.wait_until(drained, 90.0, lambda: "all records read again")
    await bridge.terminate()

    async def answered() -> bool:
        runs = await system.runs()
        return len(runs) >= known + begun and not any(run.status == "RUNNING" for run in runs)

    await system.wait_until(answered, 60.0, lambda: f"{begun} runs more, and none under way")
    return bridge.log


async def test_records_of_orders_that_are_over_and_were_recorded_start_no_run_when_they_are_read_again(
    system: OrderSystem,
) -> None:
    before = await system.evidence()
    log = await read_again(system)
    after = await system.evidence()
    assert await system.runs(LATE_RUNS) == []
    assert log.count("bridge.record.settled") == RECORDS
    assert log.count('"outcome": "duplicate"') == RECORDS
    assert (after.inbound, after.published, after.orders) == (before.inbound, before.published, before.orders)


async def test_an_event_that_is_late_and_unknown_is_answered_as_ever(system: OrderSystem) -> None:
    order_id = (await system.evidence()).orders[0].order_id
    await system.produce([record(system, EventType.ORDER_APPROVED, order_id)])
    await read_again(system, begun=1)
    (run,) = await system.runs(LATE_RUNS)
    assert run.status == "COMPLETED"
    published = Evidence(input_topics={}, published=tuple(await system.published())).published_of(order_id)
    assert (published[-1]["type"], published[-1]["reason"]) == ("order.event_rejected", "order_closed")


async def test_a_record_with_a_recorded_id_and_another_body_is_left_to_the_workflow(system: OrderSystem) -> None:
    """It is no repeat, so the bridge does not settle it by itself. The workflow finds its id and type decided."""
    before = await system.evidence()
    cancelled = next(one for one in before.inbound if one.type == EventType.ORDER_CANCELLED)
    began_at = datetime.now(UTC)
    for body in ({}, {"reason": "damaged"}):
        event = {"order_id": cancelled.order_id, "event_id": cancelled.event_id, **body}
        message = message_of(EventType.ORDER_CANCELLED, event)
        await system.produce([Outgoing(system.topic_of(EventType.ORDER_CANCELLED), message.value, message.key)])
    late_before = len(await system.runs(LATE_RUNS))
    log = await read_again(system, begun=1, BRIDGE_BEGIN=began_at.isoformat())
    after = await system.evidence()
    assert (log.count('"outcome": "duplicate"'), log.count('"outcome": "late"')) == (1, 1)
    runs = await system.runs(LATE_RUNS)
    assert len(runs) == late_before + 1
    assert {run.status for run in runs} == {"COMPLETED"}
    assert (after.inbound, after.published, after.orders) == (before.inbound, before.published, before.orders)


async def test_orders_whose_runs_temporal_has_forgotten_cost_one_run_each(system: OrderSystem) -> None:
    """The first record of each begins it again; it finds that it is over, and nothing happens twice."""
    for run in await system.runs():
        await delete(system, run)
    await system.wait_until(lambda: has_no_runs(system), 60.0, lambda: "no run known to Temporal")
    before = await system.evidence()
    await read_again(system, begun=ORDERS)
    after = await system.evidence()
    runs = await system.runs()
    found = Counter((run.type, run.status) for run in runs)
    # The record of another body, which is no repeat, comes while its order's run is open, or has one of its own.
    assert found.pop(("LateEventWorkflow", "COMPLETED"), 0) <= 1
    assert found == {("OrderWorkflow", "COMPLETED"): ORDERS}
    assert (after.inbound, after.published, after.orders) == (before.inbound, before.published, before.orders)


async def delete(system: OrderSystem, run: Run) -> None:
    """As Temporal does it by itself when the namespace's retention is over."""
    client = system.client
    execution = WorkflowExecution(workflow_id=run.workflow_id, run_id=run.run_id)
    await client.workflow_service.delete_workflow_execution(
        DeleteWorkflowExecutionRequest(namespace=client.namespace, workflow_execution=execution)
    )


async def has_no_runs(system: OrderSystem) -> bool:
    return not await system.runs()


async def test_while_postgres_is_away_late_records_are_called_as_if_nothing_were_known(system: OrderSystem) -> None:
    """Postgres keeps the bridge waiting for nothing: the workers are asked, each by a run."""
    order_id = (await system.evidence()).orders[0].order_id
    began_at = datetime.now(UTC)
    known = await system.evidence()
    ids = {one.event_id for one in known.inbound}
    event = {"order_id": order_id, "event_id": f"e-{secrets.token_hex(4)}"}
    message = message_of(EventType.ORDER_CANCELLED, event)
    await system.produce([Outgoing(system.topic_of(EventType.ORDER_CANCELLED), message.value, message.key)] * 5)
    late_before = len(await system.runs(LATE_RUNS))
    log = await read_again(system, begun=1, BRIDGE_BEGIN=began_at.isoformat(), DB_PORT=str(free_port()))
    assert log.count("bridge.settled_before.unknown") == 1
    assert len(await system.runs(LATE_RUNS)) == late_before + 1
    assert {one.event_id for one in (await system.evidence()).inbound} - ids == {event["event_id"]}
