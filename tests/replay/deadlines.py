"""Deadlines, each played by a function: orders that expire, and what was in Kafka in time and came late."""

from datetime import timedelta
from functools import partial
from typing import Final

from schemas.event_types import EventType
from tests.replay.scenarios import Scenario
from tests.workflow.workbench.bench import APPROVED, CANCELLED, CREATED, Bench
from workflows.names import order_workflow_id


async def expired(bench: Bench, order_id: str) -> list[str]:
    await bench.send(order_id, CREATED)
    await bench.result(order_id)
    return [order_workflow_id(order_id)]


async def handed_over_late(event_type: EventType, bench: Bench, order_id: str) -> list[str]:
    """An event that was in Kafka at the deadline that it meets, and came after it."""
    await bench.waits_for_its_backlog(order_id, event_type)
    await bench.comes_late(order_id, event_type)
    await bench.result(order_id)
    return [order_workflow_id(order_id)]


async def expired_after_a_wait(bench: Bench, order_id: str) -> list[str]:
    await bench.waits_for_its_backlog(order_id, APPROVED)
    bench.kafka.hand_over(APPROVED)
    await bench.result(order_id)
    return [order_workflow_id(order_id)]


async def expired_though_not_handed_over(bench: Bench, order_id: str) -> list[str]:
    """Kafka does not say what is behind, and later it is for longer than the order may wait."""
    bench.new_policy(expiry_wait_max=timedelta(minutes=2))
    bench.kafka.fail_next(1_000, "find")
    await bench.send(order_id, CREATED)
    await bench.result(order_id)
    return [order_workflow_id(order_id)]


async def expired_without_a_bridge(bench: Bench, order_id: str) -> list[str]:
    bench.new_policy(expiry_wait_max=None)
    await bench.send(order_id, CREATED)
    await bench.result(order_id)
    return [order_workflow_id(order_id)]


OF_DEADLINES: Final[dict[str, Scenario]] = {
    **{
        scenario.__name__: scenario
        for scenario in (
            expired,
            expired_after_a_wait,
            expired_though_not_handed_over,
            expired_without_a_bridge,
        )
    },
    **{
        f"{event_type.rpartition('.')[2]}_handed_over_late": partial(handed_over_late, event_type)
        for event_type in (CREATED, APPROVED, CANCELLED)
    },
}
"""By name, which is the file's; played on a server that skips time."""
