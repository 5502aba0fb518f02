"""Events that meet the end of their order's run: while it closes, and after Temporal has forgotten it."""

import secrets
from dataclasses import replace
from typing import Any

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest

from schemas.event_types import EventType
from tests.helpers.checker.checker import assert_no_violations
from tests.helpers.checker.evidence import OrderRow
from tests.helpers.messages.kafka_io import Outgoing
from tests.helpers.messages.messages import message_of
from tests.helpers.system.campaign import work_seconds
from tests.helpers.system.system import OrderSystem

BUSY_ORDERS, UPDATES_MAX = 8, 100
FORGOTTEN_WITHIN_SECONDS = 60.0


async def tell_orders_as_they_end(system: OrderSystem) -> set[str | None]:
    """I9: while orders end, they are told more; what comes too late for one run is late, and nothing is lost.

    Returns:
        The reasons with which updates were refused.
    """
    ids = [f"o-{secrets.token_hex(6)}" for _ in range(BUSY_ORDERS)]
    await _send(system, *((EventType.ORDER_CREATED, one, {"payment_id": f"p-{one}"}) for one in ids))
    await _send(system, *((EventType.ORDER_APPROVED, one, {}) for one in ids))
    for number in range(UPDATES_MAX):
        # Those that have ended by now are told once more all the same: that update comes too late.
        ended = {run.order_id for run in await system.runs('ExecutionStatus != "Running"')}
        body = {"address": {"street": f"{number} Narrow Street"}}
        await _send(system, *((EventType.ORDER_ADDRESS_UPDATED, one, body) for one in ids))
        # No faster than they are taken: an order that is told something at every moment never ends.
        await system.wait_until_drained()
        if ended.issuperset(ids):
            break
    await system.wait_until_idle(120.0)
    evidence = await system.evidence()
    assert_no_violations(evidence)
    return {row.reason for row in evidence.inbound if row.order_id in ids and row.outcome == "rejected"}


async def repeat_everything_after_the_runs_are_forgotten(system: OrderSystem) -> None:
    """I4, I5: as after Temporal's retention; every message again, and no order changes."""
    before = await system.evidence()
    known = {row.order_id: row for row in before.orders if row.state is not None}
    await _forget_runs(system)
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
    assert len(again) >= len(known) > 0
    await system.produce(again)
    await system.wait_until_idle(work_seconds(len(known)))
    after = await system.evidence()
    assert_no_violations(after)
    assert {row.order_id: _without_sequence(row) for row in after.orders if row.order_id in known} == {
        order_id: _without_sequence(row) for order_id, row in known.items()
    }
    assert len(after.ledger) == len(before.ledger)
    assert len(after.shipments) == len(before.shipments)


async def _forget_runs(system: OrderSystem) -> None:
    for run in await system.runs('ExecutionStatus != "Running"'):
        await system.client.workflow_service.delete_workflow_execution(
            DeleteWorkflowExecutionRequest(
                namespace=system.client.namespace,
                workflow_execution=WorkflowExecution(workflow_id=run.workflow_id, run_id=run.run_id),
            )
        )

    async def forgotten() -> bool:
        return not await system.runs()

    await system.wait_until(forgotten, FORGOTTEN_WITHIN_SECONDS, lambda: "no run left in Temporal")


async def _send(system: OrderSystem, *events: tuple[EventType, str, dict[str, Any]]) -> None:
    made = [(kind, message_of(kind, {"order_id": order_id, **body})) for kind, order_id, body in events]
    await system.produce(Outgoing(system.topic_of(kind), message.value, message.key) for kind, message in made)


def _names_one_of(known: dict[str, OrderRow], value: bytes | None) -> bool:
    return any(f'"{order_id}"'.encode() in (value or b"") for order_id in known)


def _without_sequence(row: OrderRow) -> OrderRow:
    """An event without an id of its own is another one the second time, and is answered with a number of its own."""
    return replace(row, last_sequence=0)
