"""Records the histories that new code must replay: ``make record-histories``. On purpose, never by a test."""

import asyncio
import json
import sys
import uuid
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

from temporalio.client import WorkflowFailureError
from temporalio.testing import WorkflowEnvironment

from schemas.inbound import InboundEvent
from schemas.orchestration import LateEventInput
from schemas.states import OrderStep
from stack.java import time_skipping_server
from tests.helpers.fakes import FLAKY_ZIP_CODE
from tests.workflow import time_skipping
from tests.workflow.bench import ADDRESS, APPROVED, CANCELLED, CREATED, FAILS, Bench, running
from workflows.names import LATE_EVENT_WORKFLOW, shipping_workflow_id

HISTORIES = Path(__file__).parent / "histories"
Scenario = Callable[[Bench, str], Awaitable[list[str]]]
"""Plays one branch with an order id, and returns the ids of the workflows whose histories are kept."""


async def completed(bench: Bench, order_id: str) -> list[str]:
    await bench.send(order_id, CREATED, shipping_address={"city": "Oslo"})
    await bench.reaches(order_id, OrderStep.AWAITING_MANUAL_APPROVAL)
    await bench.send(order_id, ADDRESS)
    await bench.send(order_id, APPROVED)
    await bench.result(order_id)
    return [order_id, shipping_workflow_id(order_id, 1)]


async def early_events(bench: Bench, order_id: str) -> list[str]:
    await bench.send(order_id, APPROVED)
    await bench.send(order_id, ADDRESS)
    await bench.send(order_id, ADDRESS, "same")
    await bench.send(order_id, ADDRESS, "same")
    await bench.send(order_id, CREATED)
    await bench.result(order_id)
    return [order_id]


async def orphaned(bench: Bench, order_id: str) -> list[str]:
    await bench.send(order_id, APPROVED)
    try:
        await bench.result(order_id)
    except WorkflowFailureError:
        return [order_id]
    raise AssertionError("the run was to fail")


async def expired(bench: Bench, order_id: str) -> list[str]:
    await bench.send(order_id, CREATED)
    await bench.result(order_id)
    return [order_id]


async def cancelled(bench: Bench, order_id: str) -> list[str]:
    await bench.send(order_id, CREATED)
    await bench.reaches(order_id, OrderStep.AWAITING_MANUAL_APPROVAL)
    await bench.send(order_id, CANCELLED)
    await bench.result(order_id)
    return [order_id]


async def cancelled_in_temporal(bench: Bench, order_id: str) -> list[str]:
    await bench.send(order_id, CREATED)
    await bench.reaches(order_id, OrderStep.AWAITING_MANUAL_APPROVAL)
    await bench.handle(order_id).cancel()
    await bench.result(order_id)
    return [order_id]


async def rejected(bench: Bench, order_id: str) -> list[str]:
    await bench.send(order_id, CREATED, amount=10**9)
    await bench.result(order_id)
    return [order_id]


async def payment_declined(bench: Bench, order_id: str) -> list[str]:
    await bench.send(order_id, CREATED, payment_id="decline-1")
    await bench.send(order_id, APPROVED)
    await bench.result(order_id)
    return [order_id]


async def payment_outcome_unknown(bench: Bench, order_id: str) -> list[str]:
    bench.new_policy(activity_schedule_to_close=timedelta(seconds=10))
    bench.gateway.lose_next_answers(100, "charge")
    await bench.send(order_id, CREATED)
    await bench.send(order_id, APPROVED)
    await bench.result(order_id)
    return [order_id]


async def shipped_at_the_third_attempt(bench: Bench, order_id: str) -> list[str]:
    await bench.send(order_id, CREATED, shipping_address={"zip_code": FLAKY_ZIP_CODE})
    await bench.send(order_id, APPROVED)
    await bench.result(order_id)
    return [order_id, shipping_workflow_id(order_id, 2)]


async def refunded(bench: Bench, order_id: str) -> list[str]:
    await bench.send(order_id, CREATED, shipping_address={"zip_code": FAILS})
    await bench.send(order_id, APPROVED)
    await bench.result(order_id)
    return [order_id]


async def refusals(bench: Bench, order_id: str) -> list[str]:
    go_on = await bench.brought_to(order_id, OrderStep.SHIPPING)
    for event_type in (CREATED, APPROVED, CANCELLED, ADDRESS):
        await bench.send(order_id, event_type)
    await bench.signal_with_start(order_id, "approve_order", ["no event"])
    await bench.publishes(order_id, 9)
    go_on()
    await bench.result(order_id)
    return [order_id]


async def resumed(bench: Bench, order_id: str) -> list[str]:
    go_on = await bench.brought_to(order_id, OrderStep.SHIPPING)
    await bench.publishes(order_id, 4)
    await bench.handle(order_id).terminate()
    go_on()
    await bench.send(order_id, CREATED, f"created-{order_id}")
    await bench.result(order_id)
    return [order_id]


async def late_event(bench: Bench, order_id: str) -> list[str]:
    await bench.send(order_id, CREATED)
    await bench.send(order_id, CANCELLED)
    await bench.result(order_id)
    late_id = f"late:{order_id}:1"
    event = InboundEvent(event_id="late", type=APPROVED)
    await bench.client.execute_workflow(
        LATE_EVENT_WORKFLOW,
        LateEventInput(order_id=order_id, event=event),
        id=late_id,
        task_queue=bench.order_queue,
    )
    return [late_id]


SCENARIOS: tuple[Scenario, ...] = (
    completed,
    early_events,
    orphaned,
    expired,
    cancelled,
    cancelled_in_temporal,
    rejected,
    payment_declined,
    payment_outcome_unknown,
    shipped_at_the_third_attempt,
    refunded,
    refusals,
    resumed,
    late_event,
)


async def record(scenario: Scenario, environment: WorkflowEnvironment) -> None:
    """Plays a scenario and writes its histories."""
    name, order_id = scenario.__name__, f"o-{uuid.uuid4().hex[:8]}"
    async with running(Bench(environment)) as bench:
        for workflow_id in await scenario(bench, order_id):
            history = await bench.client.get_workflow_handle(workflow_id).fetch_history()
            kind = "" if workflow_id == order_id else f".{workflow_id.split(':')[0]}"
            path = HISTORIES / f"{name}{kind}.json"
            path.write_text(f"{json.dumps(_anonymous(history.to_json_dict()), indent=1)}\n")
            sys.stdout.write(f"{path.name}: {len(history.events)} events\n")


_OF_THE_MACHINE = ("identity", "stackTrace")


def _anonymous(value: object) -> object:
    """Leaves out which machine and process a history comes from: replaying looks at neither of these fields."""
    if isinstance(value, dict):
        return {key: "recorded" if key in _OF_THE_MACHINE else _anonymous(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_anonymous(item) for item in value]
    return value


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


async def main() -> None:
    """Records all of them."""
    async with await time_skipping.start(time_skipping_server(_say)) as environment:
        for scenario in SCENARIOS:
            await record(scenario, environment)


if __name__ == "__main__":
    asyncio.run(main())
