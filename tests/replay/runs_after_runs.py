"""The branches of an order's life that take more than one run, each played by a function.

A run goes on where another was ended, meets what another wrote, or continues as a new one. To add a branch: write the
function, put it into `OF_ENDED_RUNS` or `OF_LONG_RUNS`, and run `make record-histories`.
"""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Final

from schemas.activity_io import OrderProjection, PublishEvents
from schemas.outbound import OrderStateChanged
from schemas.states import OrderState, OrderStep
from tests.helpers.system.waiting import assert_eventually
from tests.replay.scenarios import SHORT, Scenario
from tests.workflow.workbench.bench import ADDRESS, APPROVED, CANCELLED, CREATED, FAILS, Bench
from tests.workflow.workbench.ended_runs import left_by_an_ended_run, recorded_at_another_time
from workflows.names import order_workflow_id

GATES: Final[dict[OrderState, Callable[[Bench], asyncio.Event]]] = {
    OrderState.VALIDATED: lambda bench: bench.validation,
    OrderState.APPROVED: lambda bench: bench.gateway.hold("charge"),
    OrderState.PAID: lambda bench: bench.carrier.hold("prepare"),
    OrderState.PACKAGE_PREPARED: lambda bench: bench.carrier.hold("dispatch"),
    OrderState.SHIPPING_FAILED: lambda bench: bench.gateway.hold("refund"),
}
"""Where a run is held so that it ends with its order recorded in that state."""


async def recovered_from(state: OrderState, bench: Bench, order_id: str) -> list[str]:
    """A run goes on where one was terminated."""
    bench.new_policy(shipping_attempts=1)
    gate = GATES[state](bench)
    if state is not OrderState.VALIDATED:
        gate.clear()
    zip_code = FAILS if state is OrderState.SHIPPING_FAILED else "0150"
    await bench.send(order_id, CREATED, "created", shipping_address={"zip_code": zip_code})
    if state is not OrderState.VALIDATED:
        await bench.send(order_id, APPROVED, "approved")
    await assert_eventually(lambda: state in bench.states(order_id), message=f"{order_id} is recorded as {state}")
    await bench.handle(order_id).terminate()
    gate.set()
    await bench.send(order_id, CREATED, "created")
    await bench.send(order_id, APPROVED, "approved")
    await bench.result(order_id)
    return [order_workflow_id(order_id)]


async def found_as(state: OrderState, bench: Bench, order_id: str) -> list[str]:
    """A run finds its order in a state in which none of this version leaves it, not even for a moment."""
    await left_by_an_ended_run(bench, order_id, state)
    await bench.send(order_id, CREATED, f"created-{order_id}")
    if state is OrderState.RECEIVED:
        await bench.send(order_id, APPROVED, f"approved-{order_id}")
    await bench.result(order_id)
    return [order_workflow_id(order_id)]


async def recovered_from_what_was_not_published(bench: Bench, order_id: str) -> list[str]:
    """What the ended run has recorded is published before anything is charged for it."""
    await left_by_an_ended_run(bench, order_id, OrderState.APPROVED, is_published=False)
    await bench.send(order_id, CREATED, f"created-{order_id}")
    await bench.result(order_id)
    return [order_workflow_id(order_id)]


async def decided_earlier(bench: Bench, order_id: str) -> list[str]:
    """What an ended run has recorded meanwhile stands there with another time, and is taken for this run's own."""
    go_on = await bench.brought_to(order_id, OrderStep.VALIDATING)
    await recorded_at_another_time(bench, order_id, OrderState.VALIDATED)
    go_on()
    await bench.reaches(order_id, OrderStep.AWAITING_MANUAL_APPROVAL)
    await bench.send(order_id, ADDRESS)
    await bench.send(order_id, APPROVED)
    await bench.result(order_id)
    return [order_workflow_id(order_id)]


async def overtaken(bench: Bench, order_id: str) -> list[str]:
    """What a terminated run still wrote stands under this run's numbers, which so begins again from the records."""
    bench.new_policy(activity_start_to_close=timedelta(minutes=1))
    await bench.send(order_id, CREATED, "created")
    await bench.publishes(order_id, 2)
    gate = bench.store.hold("record")
    bench.store.reached["record"].clear()
    await bench.send(order_id, ADDRESS, "of the ended run")
    await assert_eventually(bench.store.reached["record"].is_set)
    await bench.handle(order_id).terminate()
    for _ in range(2):
        await bench.send(order_id, ADDRESS, "address")
    await bench.send(order_id, APPROVED, "approved")
    await bench.comes_to(order_id, OrderState.APPROVED)
    gate.set()
    await bench.result(order_id)
    return [order_workflow_id(order_id)]


async def ended_by_another_run(bench: Bench, order_id: str) -> list[str]:
    await bench.send(order_id, CREATED, "created")
    await bench.publishes(order_id, 2)
    await _write_elsewhere(bench, order_id, OrderState.EXPIRED)
    await bench.send(order_id, CANCELLED, "cancelled")
    await bench.result(order_id)
    return [order_workflow_id(order_id)]


async def continued(bench: Bench, order_id: str) -> list[str]:
    """A long run continues as another; on a server that suggests it early (`CONTINUES_AT_EVENTS`)."""
    await bench.send(order_id, ADDRESS, address={"street": "early"})
    await _told_until_it_continues(bench, order_id)
    await bench.send(order_id, CREATED)
    await bench.reaches(order_id, OrderStep.AWAITING_MANUAL_APPROVAL)
    await _told_until_it_continues(bench, order_id)
    await bench.send(order_id, APPROVED)
    await bench.result(order_id)
    return [order_workflow_id(order_id)]


async def continued_while_it_waits(bench: Bench, order_id: str) -> list[str]:
    """A run whose deadline waits for what is in Kafka continues as another, which waits for the same."""
    bench.new_policy(approval_timeout=SHORT)
    await bench.waits_for_its_backlog(order_id, APPROVED)
    await _told_until_it_continues(bench, order_id)
    bench.kafka.hand_over(APPROVED)
    await bench.result(order_id)
    return [order_workflow_id(order_id)]


CONTINUES_AT_EVENTS: Final = 60


async def _told_until_it_continues(bench: Bench, order_id: str) -> None:
    handle = bench.client.get_workflow_handle(order_workflow_id(order_id))
    first = (await handle.describe()).run_id
    for number in range(CONTINUES_AT_EVENTS):
        await bench.send(order_id, ADDRESS, address={"street": str(number)})
        await bench.status(order_id)
        if (await handle.describe()).run_id != first:
            return
    raise AssertionError("the run was to continue as another")


async def _write_elsewhere(bench: Bench, order_id: str, state: OrderState) -> None:
    """Records a transition as another run of the order would."""
    last = bench.events(order_id)[-1]
    event = OrderStateChanged(
        order_id=order_id,
        sequence=last.sequence + 1,
        previous_state=last.state,
        state=state,
        occurred_at=last.occurred_at,
    )
    details = bench.store.orders[order_id].details
    assert details is not None
    projection = OrderProjection(state=state, details=details)
    await bench.store.record(PublishEvents(order_id=order_id, events=(event,), projection=projection))


OF_ENDED_RUNS: Final[dict[str, Scenario]] = {
    **{f"recovered_from_{state.lower()}": partial(recovered_from, state) for state in GATES},
    **{
        f"recovered_from_{state.lower()}": partial(found_as, state)
        for state in (OrderState.RECEIVED, OrderState.CARRIER_DISPATCHED, OrderState.SHIPPED)
    },
    **{
        scenario.__name__: scenario
        for scenario in (
            recovered_from_what_was_not_published,
            decided_earlier,
            overtaken,
            ended_by_another_run,
        )
    },
}
"""These end a run while an activity is under way, after which that server skips no time any more."""

OF_LONG_RUNS: Final[dict[str, Scenario]] = {
    "continued": continued,
    "continued_while_it_waits": continued_while_it_waits,
}
"""Played on the development server, which suggests to continue: the one that skips time does not."""
