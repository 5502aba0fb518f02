"""A run that is told much while nothing can be recorded: what it must carry over, and what it does where it cannot."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from functools import partial
from itertools import count
from typing import Any

import pytest
import pytest_asyncio
from temporalio.service import RPCError
from temporalio.testing import WorkflowEnvironment

from schemas.event_types import INBOUND, EventType
from schemas.inbound import InboundEvent
from schemas.states import OrderState, OrderStep
from tests.helpers.system.waiting import answered, assert_eventually
from tests.workflow.workbench.bench import ADDRESS, APPROVED, CREATED, Bench, running
from tests.workflow.workbench.early_server import early_server
from workflows.life.state import CARRIED_BYTES_MAX, OrderRunInput
from workflows.names import order_workflow_id

CONTINUES_AT_EVENTS, SIGNALS_MAX = 60, 200
SENDERS = 8
FIELDS = ("city", "state", "zip_code", "country")
UPDATES_MAX = 3_000
FULL_SECONDS = 10.0
"""A run that has taken all signals and may continue as another does so after the 3 s for which it waits to publish."""


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def server() -> AsyncIterator[WorkflowEnvironment]:
    async with early_server(CONTINUES_AT_EVENTS, print, signals_max=SIGNALS_MAX) as environment:
        yield environment


@pytest_asyncio.fixture(loop_scope="session")
async def bench(server: WorkflowEnvironment) -> AsyncIterator[Bench]:
    async with running(Bench(server)) as one:
        yield one
    one.check()


async def awaits_approval_while_nothing_is_recorded(bench: Bench, order_id: str) -> asyncio.Event:
    """Brings an order to its wait, then Postgres is away until the event is set."""
    bench.new_policy(approval_timeout=timedelta(hours=1), activity_start_to_close=timedelta(minutes=5))
    await bench.send(order_id, CREATED)
    await bench.reaches(order_id, OrderStep.AWAITING_MANUAL_APPROVAL)
    await bench.publishes(order_id, 2)
    return bench.store.hold("record")


async def told(bench: Bench, order_id: str, updates: int, text: Callable[[str], str]) -> int:
    """Tells the order of so many addresses by several senders at once, up to where its run takes no more.

    Returns:
        How many were taken.
    """
    numbers, taken, is_full = count(), 0, False

    async def send() -> None:
        nonlocal taken, is_full
        while not is_full and (number := next(numbers)) < updates:
            address = {"street": str(number), **{name: text(f"{number}{name}") for name in FIELDS}}
            update = partial(signalled, bench, order_id, ADDRESS, f"update-{number}", address=address)
            try:
                await answered(update, _is_full, within_seconds=FULL_SECONDS)
            except TimeoutError:
                is_full = True
            else:
                taken += 1

    await asyncio.gather(*(send() for _ in range(SENDERS)))
    return taken


async def signalled(bench: Bench, order_id: str, event_type: EventType, event_id: str, **body: Any) -> None:
    """Signals an event once."""
    event = InboundEvent(event_id=event_id, type=event_type, body={"order_id": order_id, **body})
    handle = bench.client.get_workflow_handle(order_workflow_id(order_id))
    await handle.signal(INBOUND[event_type].signal, event)
    bench.sent[order_id].add(event_id)


def _is_full(error: Exception) -> bool:
    return isinstance(error, RPCError) and "limit for signal" in error.message


def unlike_all_others(name: str) -> str:
    """A text that compresses to no less than half."""
    return hashlib.shake_256(name.encode()).hexdigest(500)


async def begun_with(bench: Bench, order_id: str) -> OrderRunInput:
    """What the order's last run began with."""
    handle = bench.client.get_workflow_handle(order_workflow_id(order_id))
    async for event in handle.fetch_history_events(page_size=1):
        payloads = event.workflow_execution_started_event_attributes.input.payloads
        (begun,) = await bench.client.data_converter.decode(payloads, [OrderRunInput])
        assert isinstance(begun, OrderRunInput)
        return begun
    raise AssertionError("every history begins")


async def test_a_run_whose_state_no_payload_holds_is_carried_over_compressed(bench: Bench, order_id: str) -> None:
    back = await awaits_approval_while_nothing_is_recorded(bench, order_id)
    updates = 2 * SIGNALS_MAX
    assert await told(bench, order_id, updates, lambda _: "x" * 1_000) == updates, "each run makes room for more"

    async def is_carried() -> bool:
        begun = await begun_with(bench, order_id)
        return isinstance(begun.continued, str) and len(begun.state().model_dump_json()) > CARRIED_BYTES_MAX

    await assert_eventually(is_carried, timeout=60)
    back.set()
    await bench.send(order_id, APPROVED)
    assert (await bench.result(order_id)).state is OrderState.COMPLETED
    assert bench.story(order_id).count("address") == updates


async def test_a_run_that_cannot_be_carried_over_takes_no_more_until_its_decisions_are_out_and_then_goes_on(
    bench: Bench, order_id: str
) -> None:
    back = await awaits_approval_while_nothing_is_recorded(bench, order_id)
    taken = await told(bench, order_id, UPDATES_MAX, unlike_all_others)
    assert SIGNALS_MAX < taken < UPDATES_MAX, "so many that compressed they are too large"
    with pytest.raises(RPCError, match="limit for signal"):
        await signalled(bench, order_id, APPROVED, "approved")
    assert (await bench.status(order_id)).step is OrderStep.AWAITING_MANUAL_APPROVAL, "it can be asked meanwhile"

    back.set()

    # As the bridge does, which holds the order's records meanwhile, and nobody else's.
    approval = partial(signalled, bench, order_id, APPROVED, "approved")
    await answered(approval, _is_full, within_seconds=60)
    assert (await bench.result(order_id)).state is OrderState.COMPLETED
    assert bench.story(order_id).count("address") == taken
