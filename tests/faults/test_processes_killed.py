"""Processes that die or are stopped in the middle of the work: nothing is lost, and nothing happens twice."""

import secrets
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any

import pytest

from schemas.event_types import EventType
from stack import Endpoints
from tests.helpers.checker.checker import assert_no_violations
from tests.helpers.messages.generator import AMOUNT_MAX
from tests.helpers.messages.kafka_io import Outgoing
from tests.helpers.messages.messages import message_of
from tests.helpers.system.campaign import orders_from_environment, patience_seconds, run_campaign, work_seconds
from tests.helpers.system.system import TASK_QUEUES, OrderSystem, order_system

pytestmark = pytest.mark.timeout(1_800)

ORDERS = 80
"""About 190 records; ``ORDERS=1000`` makes it the long form."""


@pytest.fixture(scope="module")
async def system(endpoints: Endpoints, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[OrderSystem]:
    """One system for all; each test leaves it with one running bridge and two workers.

    It outlives a missing bridge: approvals and early events are awaited longer than Kafka waits for a dead member.
    """
    time_out = patience_seconds(30, orders_from_environment(ORDERS))
    async with order_system(
        endpoints,
        tmp_path_factory.mktemp("faults"),
        BRIDGE_SESSION_TIMEOUT_SECONDS="9",
        ORDER_APPROVAL_TIMEOUT_SECONDS=time_out,
        ORDER_EARLY_EVENT_TTL_SECONDS=time_out,
        ORDER_SHIPPING_RETRY_DELAY_SECONDS="0.5",
        ORDER_AMOUNT_MAX=str(AMOUNT_MAX),
    ) as running:
        yield running


async def wait_for_progress(system: OrderSystem, events: int = 40) -> None:
    """Waits until so many more events are published: the system is in the middle of its work."""
    before = len(await system.published())

    async def so_many() -> bool:
        return len(await system.published()) >= before + events

    await system.wait_until(so_many, 60.0, lambda: f"{events} more published events")


async def test_kill_9_of_the_bridge_loses_nothing_and_doubles_nothing(system: OrderSystem) -> None:
    bridge = system.running("bridge")

    async def kill_and_replace() -> None:
        await bridge.kill9()
        # What holds at any moment holds in the middle of an outage.
        assert_no_violations(await system.evidence(), drained=False)
        system.start_bridge()

    orders = orders_from_environment(ORDERS)
    campaign = await run_campaign(system, orders, faults=[kill_and_replace], still_seconds=work_seconds(orders))
    assert bridge.exit_status == -9
    campaign.assert_as_planned()


async def test_kill_9_of_each_worker_loses_nothing_and_doubles_nothing(system: OrderSystem) -> None:
    workers = {task_queue: system.running(task_queue) for task_queue in TASK_QUEUES}

    async def kill_and_replace(task_queue: str) -> None:
        await wait_for_progress(system)
        await workers[task_queue].kill9()
        assert_no_violations(await system.evidence(), drained=False)
        system.start_worker(task_queue)

    faults = [partial(kill_and_replace, task_queue) for task_queue in TASK_QUEUES]
    orders = orders_from_environment(ORDERS)
    campaign = await run_campaign(system, orders, faults=faults, still_seconds=work_seconds(orders))
    assert [worker.exit_status for worker in workers.values()] == [-9, -9]
    campaign.assert_as_planned()


async def test_a_bridge_told_to_stop_under_load_drains_commits_and_leaves_with_0(system: OrderSystem) -> None:
    await system.running("bridge").terminate(expected_status=0)
    before = sum(partition.committed or 0 for partition in await system.offsets())
    ids = [f"o-{secrets.token_hex(6)}" for _ in range(200)]
    await _send_to_all(system, EventType.ORDER_CREATED, ids, lambda order_id: {"payment_id": f"p-{order_id}"})

    # A call at a time, so that it is stopped in the middle and not after it.
    bridge = system.start_bridge(BRIDGE_CALLS_IN_FLIGHT_MAX="1", BRIDGE_COMMIT_INTERVAL_SECONDS="0.1")
    await system.wait_until(
        lambda: _committed_beyond(system, before), 60.0, lambda: "a bridge in the middle of its records"
    )
    await bridge.terminate(expected_status=0)

    offsets = await system.offsets()
    assert not all(partition.drained for partition in offsets), "it had nothing left to do: send more"
    committed = sum(partition.committed or 0 for partition in offsets) - before
    started = {run.order_id for run in await system.runs() if run.type == "OrderWorkflow"} & set(ids)
    assert committed == len(started), "all that was delivered is committed, and nothing else"

    system.start_bridge()
    await _send_to_all(system, EventType.ORDER_CANCELLED, ids, lambda _: {})
    await system.wait_until_idle(180.0)
    evidence = await system.evidence()
    assert_no_violations(evidence)
    assert {row.state for row in evidence.orders if row.order_id in ids} <= {"CANCELLED", "EXPIRED"}
    assert {row.order_id for row in evidence.orders} >= set(ids)


async def _send_to_all(
    system: OrderSystem, event_type: EventType, ids: list[str], body_of: Callable[[str], dict[str, Any]]
) -> None:
    messages = [message_of(event_type, {"order_id": order_id, **body_of(order_id)}) for order_id in ids]
    topic = system.topic_of(event_type)
    await system.produce(Outgoing(topic, message.value, message.key) for message in messages)


async def _committed_beyond(system: OrderSystem, before: int) -> bool:
    return sum(partition.committed or 0 for partition in await system.offsets()) > before
