"""A defect of ours stops an order in plain sight, publishes nothing wrong, and the order goes on once it is mended."""

from dataclasses import replace
from datetime import timedelta
from typing import cast

import pytest

from schemas.event_types import EventType
from schemas.states import OrderState, OrderStep
from tests.helpers.system.waiting import assert_eventually
from tests.workflow.workbench.bench import APPROVED, CREATED, Bench
from workflows.life.ledger import EFFECTS, Effect
from workflows.life.steps import STEPS, Step


async def failed_tasks(bench: Bench, order_id: str) -> list[str]:
    """What the run's workflow tasks failed of."""
    history = await bench.handle(order_id).fetch_history()
    return [
        event.workflow_task_failed_event_attributes.failure.message
        for event in history.events
        if event.HasField("workflow_task_failed_event_attributes")
    ]


async def test_a_transition_that_the_table_lacks(bench: Bench, order_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.task_timeout = timedelta(seconds=1)
    step = OrderStep.AWAITING_MANUAL_APPROVAL
    await bench.send(order_id, CREATED)
    await bench.reaches(order_id, step)
    with monkeypatch.context() as defect:
        defect.setitem(cast("dict[OrderStep, Step]", STEPS), step, replace(STEPS[step], transitions={}))
        await bench.send(order_id, APPROVED)
        (message,) = set(await assert_eventually(lambda: failed_tasks(bench, order_id)) or [])
        assert message == f"an order at {step} does not come from VALIDATED to APPROVED"
        assert bench.states(order_id) == [OrderState.RECEIVED, OrderState.VALIDATED]
    assert (await bench.result(order_id)).state is OrderState.COMPLETED


async def test_an_event_without_an_effect(bench: Bench, order_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.task_timeout = timedelta(seconds=1)
    await bench.send(order_id, CREATED)
    await bench.reaches(order_id, OrderStep.AWAITING_MANUAL_APPROVAL)
    with monkeypatch.context() as defect:
        defect.delitem(cast("dict[EventType, Effect]", EFFECTS), APPROVED)
        await bench.send(order_id, APPROVED)
        (message,) = set(await assert_eventually(lambda: failed_tasks(bench, order_id)) or [])
        assert message == "the rules apply order.approved, and no effect is known of it"
        assert bench.states(order_id) == [OrderState.RECEIVED, OrderState.VALIDATED]
    assert (await bench.result(order_id)).state is OrderState.COMPLETED
