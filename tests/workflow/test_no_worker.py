"""I19 in real time, on a real server: what of ours takes longer than a provider is allowed to ends no order."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment

from schemas.order import OrderPolicy
from schemas.states import OrderState, OrderStep
from schemas.workflow_io import OrderWorkflowInput
from stack import Endpoints
from tests.helpers.system.waiting import assert_eventually, patient_timeout
from tests.workflow.workbench.bench import APPROVED, CREATED, Bench, running
from workflows.converter import DATA_CONVERTER
from workflows.names import ORDER_WORKFLOW, shipping_workflow_id

ALLOWED = timedelta(seconds=3)
POLICY = OrderPolicy(
    activity_start_to_close=timedelta(seconds=2),
    provider_time_allowed=ALLOWED,
    retry_initial_interval=timedelta(seconds=1),
    retry_maximum_interval=timedelta(seconds=1),
    shipping_attempts=1,
    shipping_retry_delay=timedelta(milliseconds=50),
)


@pytest.fixture
async def bench(endpoints: Endpoints) -> AsyncIterator[Bench]:
    """Without workers: the test starts them."""
    client = await Client.connect(endpoints.temporal_host, data_converter=DATA_CONVERTER)
    bench = Bench(WorkflowEnvironment.from_client(client), policy=POLICY)
    yield bench
    bench.check()


async def is_completed(bench: Bench, order_id: str) -> None:
    async with patient_timeout(60):
        result = await bench.result(order_id)
    assert (result.state, result.reason) == (OrderState.COMPLETED, None)


@pytest.mark.parametrize("call", ["charge", "prepare"])
@pytest.mark.parametrize("when", ["after a failed call", "in the middle of a call"])
async def test_a_time_without_workers_leaves_the_provider_the_time_allowed(
    bench: Bench, order_id: str, call: str, when: str
) -> None:
    """On each side of it the provider fails for less than is allowed."""
    port = bench.gateway if call == "charge" else bench.carrier
    port.fail_next(2, call)
    held = asyncio.Event()
    if when == "in the middle of a call":
        held = port.hold(call)
    async with running(bench):
        await bench.send(order_id, CREATED)
        await bench.send(order_id, APPROVED)
        await assert_eventually(port.reached[call].is_set)
    await asyncio.sleep(2 * ALLOWED.total_seconds())
    held.set()
    async with running(bench):
        await is_completed(bench, order_id)
    assert port.calls[call] >= 3


async def test_a_shipping_attempt_that_an_operator_terminates_is_begun_anew(bench: Bench, order_id: str) -> None:
    held = bench.carrier.hold("prepare")
    async with running(bench):
        await bench.send(order_id, CREATED)
        await bench.send(order_id, APPROVED)
        await assert_eventually(bench.carrier.reached["prepare"].is_set)
        await bench.client.get_workflow_handle(shipping_workflow_id(order_id, 1)).terminate()
        held.set()
        await is_completed(bench, order_id)


async def test_a_shipping_attempt_waits_for_its_id_however_long_another_run_holds_it(
    bench: Bench, order_id: str
) -> None:
    """Forty times as long as one pause, which was the end of an attempt once."""
    attempt = shipping_workflow_id(order_id, 1)
    another = OrderWorkflowInput(order_id=f"o-{uuid.uuid4()}", policy=POLICY)
    left = await bench.client.start_workflow(ORDER_WORKFLOW, another, id=attempt, task_queue="nobody listens")
    async with running(bench):
        await bench.send(order_id, CREATED)
        await bench.send(order_id, APPROVED)
        await bench.reaches(order_id, OrderStep.SHIPPING)
        await asyncio.sleep(40 * POLICY.shipping_retry_delay.total_seconds())
        await bench.reaches(order_id, OrderStep.SHIPPING)
        await left.terminate()
        await is_completed(bench, order_id)
