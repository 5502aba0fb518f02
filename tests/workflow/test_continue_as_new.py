"""A run that has grown long continues as a new one, and nobody notices. On the real server, which suggests it."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest_asyncio
from temporalio.client import Client
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.testing import WorkflowEnvironment

from schemas.event_types import INBOUND
from schemas.inbound import InboundEvent
from schemas.states import OrderState, OrderStep
from stack.endpoints import Endpoints
from tests.helpers.system.waiting import assert_eventually
from tests.workflow.workbench.bench import ADDRESS, APPROVED, CREATED, Bench, running
from workflows.converter import DATA_CONVERTER
from workflows.names import order_workflow_id
from workflows.search_attributes import ORDER_PAYMENT_ID, ORDER_STEP

# The server suggests to continue at 4 MiB of history, which a few hundred updates of the longest texts come to.
UPDATES = 700
LONG_TEXT = "x" * 1_000
MANY_UPDATES, APPROVED_AFTER = 5_000, 4_000
SENDERS = 8


@pytest_asyncio.fixture(loop_scope="session")
async def real_bench(endpoints: Endpoints) -> AsyncIterator[Bench]:
    client = await Client.connect(endpoints.temporal_host, data_converter=DATA_CONVERTER)
    async with running(Bench(WorkflowEnvironment.from_client(client))) as bench:
        yield bench
    bench.check()


async def continued(bench: Bench, order_id: str) -> None:
    """Sends long updates to an order until its run has continued as another."""
    handle = bench.client.get_workflow_handle(order_workflow_id(order_id))
    first = (await handle.describe()).run_id
    numbers = iter(range(1, UPDATES))

    async def update() -> None:
        for number in numbers:
            long_fields = dict.fromkeys(("city", "state", "zip_code", "country"), LONG_TEXT)
            body = {"order_id": order_id, "address": {"street": str(number), **long_fields}}
            event = InboundEvent(event_id=f"update-{number}", type=ADDRESS, body=body)
            await handle.signal(INBOUND[ADDRESS].signal, event)
            bench.sent[order_id].add(event.event_id)

    async def has_continued() -> bool:
        return (await handle.describe()).run_id != first

    await asyncio.gather(*(update() for _ in range(8)))
    await assert_eventually(has_continued, timeout=60, message="the run continues as another")


async def test_hundreds_of_long_address_updates_are_carried_over_and_the_order_completes(
    real_bench: Bench, order_id: str
) -> None:
    bench = real_bench
    bench.new_policy(approval_timeout=timedelta(hours=1))
    await bench.send(order_id, ADDRESS, "update-0", address={"street": "0", "city": LONG_TEXT})
    await bench.send(order_id, CREATED, "created")
    await bench.reaches(order_id, OrderStep.AWAITING_MANUAL_APPROVAL)
    handle = bench.client.get_workflow_handle(order_workflow_id(order_id))
    await continued(bench, order_id)
    await bench.send(order_id, CREATED, "created")
    await bench.send(order_id, ADDRESS, "update-0")
    await bench.send(order_id, APPROVED)
    result = await bench.result(order_id)
    assert result.state is OrderState.COMPLETED
    story = bench.story(order_id)
    assert story.count("address") == UPDATES
    assert story.count("RECEIVED") == story.count("COMPLETED") == 1
    attributes = (await handle.describe()).typed_search_attributes
    assert attributes.get(ORDER_STEP) == "COMPLETED"
    assert attributes.get(ORDER_PAYMENT_ID) == f"pay-{order_id}", "set by the first run, and carried over"


async def test_a_run_that_waits_for_what_is_in_kafka_goes_on_waiting_for_the_same(
    real_bench: Bench, order_id: str
) -> None:
    bench = real_bench
    bench.new_policy(approval_timeout=timedelta(seconds=1))
    bench.kafka.produce(order_id, APPROVED)
    await bench.send(order_id, CREATED)

    async def waits() -> bool:
        return "to be handed over" in ((await bench.status(order_id)).waits_for or "")

    await assert_eventually(waits)
    before = (await bench.status(order_id)).waits_for
    await continued(bench, order_id)
    assert (await bench.status(order_id)).waits_for == before
    bench.kafka.produce(order_id, APPROVED)

    bench.kafka.hand_over(APPROVED, 0)

    assert (await bench.result(order_id)).state is OrderState.EXPIRED
    assert bench.kafka.calls["find"] == 1


async def test_five_thousand_updates_without_a_pause_are_all_answered_and_the_order_completes(
    real_bench: Bench, order_id: str
) -> None:
    bench = real_bench
    bench.new_policy(approval_timeout=timedelta(hours=1))
    await bench.send(order_id, CREATED, "created")
    numbers = iter(range(MANY_UPDATES))
    too_late: list[int] = []

    async def send() -> None:
        for number in numbers:
            if number == APPROVED_AFTER:
                await bench.send(order_id, APPROVED, "approved")
            try:
                await bench.send(order_id, ADDRESS, f"update-{number}", address={"street": str(number)})
            except WorkflowAlreadyStartedError:
                too_late.append(number)  # Refused by the server: the bridge has a late event answered elsewhere.

    await asyncio.gather(*(send() for _ in range(SENDERS)))
    result = await bench.result(order_id)
    assert result.state is OrderState.COMPLETED
    story = bench.story(order_id)
    answered = story.count("address") + story.count("already_shipping") + story.count("order_closed")
    assert answered + len(too_late) == MANY_UPDATES
    assert story.count("address") >= APPROVED_AFTER - SENDERS  # So many had come before the approval.
    assert story.count("RECEIVED") == story.count("COMPLETED") == 1
