"""Processes that die or are stopped in the middle of the work: nothing is lost, and nothing happens twice."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from schemas.states import EventType
from stack import Endpoints
from tests.helpers.campaign import orders_from_environment, run_campaign
from tests.helpers.checker import assert_no_violations
from tests.helpers.generator import AMOUNT_MAX
from tests.helpers.kafka_io import Outgoing
from tests.helpers.messages import message_of
from tests.helpers.system import OrderSystem, order_system
from tests.helpers.waiting import assert_eventually

pytestmark = pytest.mark.timeout(900)

ORDERS = 80
"""About 190 records; ``ORDERS=1000`` makes it the long form."""


@pytest.fixture
async def system(endpoints: Endpoints, tmp_path: Path) -> AsyncIterator[OrderSystem]:
    """A system that outlives a missing bridge: approval and early events wait longer than its session."""
    async with order_system(
        endpoints,
        tmp_path,
        BRIDGE_SESSION_TIMEOUT_SECONDS="9",
        ORDER_APPROVAL_TIMEOUT_SECONDS="40",
        ORDER_EARLY_EVENT_TTL_SECONDS="40",
        ORDER_SHIPPING_RETRY_DELAY_SECONDS="0.5",
        ORDER_AMOUNT_MAX=str(AMOUNT_MAX),
    ) as running:
        yield running


def within_seconds(orders: int) -> float:
    return 120.0 + orders / 4


async def some_orders_published(system: OrderSystem, records: int) -> None:
    """Waits until the system is in the middle of its work."""

    async def so_many() -> bool:
        return len(await system.published()) >= records

    await assert_eventually(so_many, 60.0, lambda: f"{records} published events\n{system.log_tails}")


async def test_kill_9_of_the_bridge_loses_nothing_and_doubles_nothing(system: OrderSystem) -> None:
    (bridge,) = [process for process in system.processes if "bridge" in process.name]

    async def kill_and_replace() -> None:
        await some_orders_published(system, 40)
        await bridge.kill9()
        system.start_bridge()

    orders = orders_from_environment(ORDERS)
    campaign = await run_campaign(system, orders, during=kill_and_replace, within_seconds=within_seconds(orders))
    assert bridge.exit_status == -9
    campaign.assert_as_planned()


@pytest.mark.parametrize("task_queue", ["order-tq", "shipping-tq"])
async def test_kill_9_of_a_worker_loses_nothing_and_doubles_nothing(system: OrderSystem, task_queue: str) -> None:
    (worker,) = [process for process in system.processes if task_queue in process.name]

    async def kill_and_replace() -> None:
        await some_orders_published(system, 40)
        await worker.kill9()
        system.start_worker(task_queue)

    orders = orders_from_environment(ORDERS)
    campaign = await run_campaign(system, orders, during=kill_and_replace, within_seconds=within_seconds(orders))
    assert worker.exit_status == -9
    campaign.assert_as_planned()


async def test_a_bridge_told_to_stop_under_load_drains_and_leaves_with_0(system: OrderSystem) -> None:
    (bridge,) = [process for process in system.processes if "bridge" in process.name]
    bodies = [{"order_id": f"o-{number}", "payment_id": f"p-{number}"} for number in range(400)]
    messages = [message_of(EventType.ORDER_CREATED, body) for body in bodies]
    topic = system.topic_of(EventType.ORDER_CREATED)
    await system.produce(Outgoing(topic, message.value, message.key) for message in messages)

    await assert_eventually(lambda: _some_committed(system), 30.0, "a bridge in the middle of its records")
    await bridge.terminate(expected_status=0)
    behind = [partition for partition in await system.offsets() if not partition.drained]
    assert behind, "the bridge had nothing left to do when it was stopped: produce more"
    started = {run.workflow_id for run in await system.runs() if run.type == "OrderWorkflow"}
    settled = sum((partition.committed or 0) for partition in await system.offsets())
    assert settled == len(started), "all that was started was committed before the end"

    for body in bodies:
        approval = message_of(EventType.ORDER_APPROVED, {"order_id": body["order_id"]})
        await system.produce([Outgoing(system.topic_of(EventType.ORDER_APPROVED), approval.value, approval.key)])
    system.start_bridge()
    await system.wait_until_idle(180.0)
    evidence = await system.evidence()
    assert_no_violations(evidence)
    assert {row.state for row in evidence.orders} <= {"COMPLETED", "EXPIRED"}
    assert len(evidence.orders) == len(bodies)


async def _some_committed(system: OrderSystem) -> bool:
    return any(partition.committed for partition in await system.offsets())
