"""Temporal restarts, crashes, freezes, resets, is overloaded, loses replies and runs: each event counts once."""

import secrets
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest

from schemas.states import EventType
from stack import RunningStack
from tests.faults.outages import Outages, send_orders_to_cancel
from tests.faults.rooms import WAITS_FOR_A_TIME_OUT, patient_system
from tests.helpers.campaign import Fault, orders_from_environment, rounds_from_environment, run_campaign, work_seconds
from tests.helpers.checker import assert_no_violations
from tests.helpers.evidence import OrderRow
from tests.helpers.kafka_io import Outgoing
from tests.helpers.messages import message_of
from tests.helpers.system import OrderSystem

pytestmark = pytest.mark.timeout(1_800)

ORDERS = 40
BUSY_ORDERS, UPDATES_MAX = 8, 100


@pytest.fixture(scope="module")
async def outages(own_servers_only: RunningStack, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Outages]:
    async with patient_system(own_servers_only, tmp_path_factory.mktemp("temporal")) as prepared:
        yield prepared


async def test_every_fault_of_temporal_is_waited_out(outages: Outages) -> None:
    """I1, I4, I12."""
    rounds = rounds_from_environment(1)
    faults: list[Fault] = [
        outages.temporal_connections_reset,
        outages.temporal_restarted,
        partial(outages.replies_lost, partial(send_orders_to_cancel, outages.system, 10)),
        partial(outages.temporal_overloaded, partial(send_orders_to_cancel, outages.system, 20)),
        outages.temporal_stopped,
        outages.temporal_killed,
    ]
    orders = orders_from_environment(ORDERS * rounds)
    campaign = await run_campaign(
        outages.system,
        orders,
        faults=faults * rounds,
        without=WAITS_FOR_A_TIME_OUT,
        within_seconds=work_seconds(orders),
    )
    assert outages.injected.total() == len(faults) * rounds
    assert set(outages.injected.values()) == {rounds}
    campaign.assert_as_planned()


async def _send(system: OrderSystem, *events: tuple[EventType, str, dict[str, Any]]) -> None:
    made = [(kind, message_of(kind, {"order_id": order_id, **body})) for kind, order_id, body in events]
    await system.produce(Outgoing(system.topic_of(kind), message.value, message.key) for kind, message in made)


async def test_an_event_that_meets_the_closing_run_is_applied_or_answered(outages: Outages) -> None:
    """I9: while orders end, they are told more; what comes too late for one run is late, and nothing is lost."""
    system = outages.system
    ids = [f"o-{secrets.token_hex(6)}" for _ in range(BUSY_ORDERS)]
    await _send(system, *((EventType.ORDER_CREATED, one, {"payment_id": f"p-{one}"}) for one in ids))
    await _send(system, *((EventType.ORDER_APPROVED, one, {}) for one in ids))
    for number in range(UPDATES_MAX):
        # Those that have ended by now are told once more all the same: that update comes too late.
        open_runs = {run.workflow_id for run in await system.runs('ExecutionStatus = "Running"')} & set(ids)
        body = {"address": {"street": f"{number} Narrow Street"}}
        await _send(system, *((EventType.ORDER_ADDRESS_UPDATED, one, body) for one in ids))
        # No faster than they are taken: an order that is told something at every moment never ends.
        await system.wait_until_drained()
        if not open_runs:
            break
    await system.wait_until_idle(120.0)
    evidence = await system.evidence()
    assert_no_violations(evidence)
    answers = {row.reason for row in evidence.inbound if row.order_id in ids and row.outcome == "rejected"}
    assert answers & {"order_closed"}, f"no update met the end of its order: {answers}"


async def test_every_message_again_after_temporal_has_forgotten_the_runs_changes_no_order(outages: Outages) -> None:
    """I4, I5: as after the retention."""
    system = outages.system
    before = await system.evidence()
    known = {row.order_id: row for row in before.orders if row.state is not None}
    assert len(known) > BUSY_ORDERS
    for run in await system.runs('ExecutionStatus != "Running"'):
        await system.client.workflow_service.delete_workflow_execution(
            DeleteWorkflowExecutionRequest(
                namespace=system.client.namespace,
                workflow_execution=WorkflowExecution(workflow_id=run.workflow_id, run_id=run.run_id),
            )
        )

    async def forgotten() -> bool:
        return not await system.runs()

    await system.wait_until(forgotten, 60.0, lambda: "no run left in Temporal")
    letters = {
        (letter.header("dlq_source_topic"), letter.header("dlq_source_partition"), letter.header("dlq_source_offset"))
        for letter in before.dead_letters
    }
    again = [
        Outgoing(record.topic, record.value, record.key, record.headers)
        for record in before.inputs
        if (record.topic, str(record.partition), str(record.offset)) not in letters
        and _names_one_of(known, record.value)
    ]
    assert len(again) >= len(known)
    await system.produce(again)
    await system.wait_until_idle(work_seconds(len(known)))
    after = await system.evidence()
    assert_no_violations(after)
    assert {row.order_id: _without_sequence(row) for row in after.orders if row.order_id in known} == {
        order_id: _without_sequence(row) for order_id, row in known.items()
    }
    assert len(after.ledger) == len(before.ledger)
    assert len(after.shipments) == len(before.shipments)


def _names_one_of(known: dict[str, OrderRow], value: bytes | None) -> bool:
    return any(f'"{order_id}"'.encode() in (value or b"") for order_id in known)


def _without_sequence(row: OrderRow) -> OrderRow:
    """An event without an id of its own is another one the second time, and is answered with a number of its own."""
    return replace(row, last_sequence=0)
